"""Packages with versions, as people write them."""

from __future__ import annotations

from urllib.parse import unquote

from securechain_ingest.errors import InvalidName
from securechain_ingest.model import PackageRef
from securechain_ingest.registries import named_package


def named_version(text: str) -> tuple[PackageRef, str | None]:
    """Return the identity behind `pypi:six`, `npm:@babel/core@7.0.0` or a purl, and the version if there is one.

    Raises InvalidName.
    """
    is_purl = text.startswith("pkg:")
    bare = text.partition("#")[0].partition("?")[0] if is_purl else text
    name, separator, version = bare.rpartition("@")
    # A scope begins with the same sign: npm:@babel/core.
    if not separator or name[-1:] in ("", ":", "/"):
        return named_package(bare), None
    if not version and is_purl:
        return named_package(name), None  # Programs write the separator though they know no version.
    if not version:
        raise InvalidName(f"{text} ends in @ without a version")
    return named_package(name), unquote(version) if is_purl else version
