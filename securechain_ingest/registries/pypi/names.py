"""This module has the names of PyPI projects and versions (PEP 503, PEP 508, PEP 440, the purl specification)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from packaging.version import Version

from securechain_ingest.errors import InvalidName
from securechain_ingest.model import Ecosystem, PackageRef

MAX_NAME_LENGTH: Final = 256

_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")


@lru_cache(maxsize=32_768)
def version_key(name: str) -> Version:
    """Return a key by which versions have the order of PEP 440. It raises ValueError for a name from before it."""
    return Version(name)


@lru_cache(maxsize=65_536)
def normal_name(name: str) -> str:
    """Return the one spelling that PyPI answers without a redirect (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def older_spellings(name: str) -> tuple[str, ...]:
    """Return the names by which graphs of earlier programs may call a project of a lower-case name."""
    normal = normal_name(name)
    return normal, normal.replace("-", "_"), normal.replace("-", ".")


PYPI: Final = Ecosystem(
    name="pypi",
    label="PyPIPackage",
    endpoint="pypi",
    archives="pypi_files",
    purl_type="pypi",
    osv="PyPI",
    version_key=version_key,
    name_key=normal_name,
    older_spellings=older_spellings,
    import_names_version=5,
    announced=re.compile(r"[0-9]{1,18}"),
)


def identify(name: str) -> PackageRef:
    """Return the identity behind any spelling of a name (PEP 508 says which there are). It raises InvalidName."""
    if len(name) > MAX_NAME_LENGTH or not _NAME.fullmatch(name):
        raise InvalidName(f"{name[:MAX_NAME_LENGTH]!r} is not a name that a PyPI project can have")
    return PackageRef(PYPI, name, name.lower(), f"pkg:pypi/{normal_name(name)}")
