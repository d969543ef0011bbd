"""These are names of toys: which there can be, and the identity behind each."""

from __future__ import annotations

import re
from typing import Final

from securechain_ingest.errors import InvalidName
from securechain_ingest.model import Ecosystem, PackageRef
from securechain_ingest.registries.kit.semver import version_key

TOYBOX: Final = Ecosystem(
    name="toybox",
    label="ToyboxPackage",
    endpoint="toybox_index",
    archives="toybox_files",
    purl_type="toybox",
    osv=None,
    version_key=version_key,
    announced=re.compile(r"[0-9]{1,18}"),
)

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,99}")


def identify(name: str) -> PackageRef:
    """Return the identity behind a name in any case. It raises InvalidName."""
    if not _NAME.fullmatch(name):
        raise InvalidName(f"{name[:100]!r} is not a name that a toy can have")
    lower = name.lower()
    return PackageRef(TOYBOX, lower, lower, f"pkg:toybox/{lower}")
