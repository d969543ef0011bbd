"""This module says which names crates can have, what the identity of each is, and where the sparse index keeps it.

The rules are in The Cargo Book, "Registry Index" (names and paths). crates.io takes `-` and `_` for the same and
ignores case when it decides whether a name is free, yet the path of a crate in the index keeps its published `-` and
`_`.
"""

from __future__ import annotations

import re
from typing import Final

from securechain_ingest.errors import InvalidName
from securechain_ingest.model import Ecosystem, PackageRef
from securechain_ingest.registries.kit.semver import version_key


def name_key(name: str) -> str:
    """Return a key that is equal for names which the registry takes for one."""
    return name.lower().replace("_", "-")


CARGO: Final = Ecosystem(
    name="cargo",
    label="CargoPackage",
    endpoint="crates_index",
    archives="crates_static",
    purl_type="cargo",
    osv="crates.io",
    version_key=version_key,
    name_key=name_key,
    import_names_version=3,
)

MAX_NAME_LENGTH: Final = 64

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*", re.ASCII)
_OTHER_SEPARATOR: Final = str.maketrans("-_", "_-")


def identify(name: str) -> PackageRef:
    """Return the identity behind a name. It raises InvalidName."""
    if len(name) > MAX_NAME_LENGTH or not _NAME.fullmatch(name):
        raise InvalidName(f"{name[:MAX_NAME_LENGTH]!r} is not a name that a crate can have")
    lower = name.lower()
    return PackageRef(CARGO, name, lower, f"pkg:cargo/{lower}")


def other_spelling(name: str) -> str | None:
    """Return the name with each `-` for `_` and the other way round. The result is None if the name has neither."""
    other = name.translate(_OTHER_SEPARATOR)
    return other if other != name else None


def index_path(name: str) -> str:
    """Return the path of a crate's index file: `1/a`, `2/ab`, `3/a/abc`, or `ab/cd/abcd…`, all in lower case."""
    lower = name.lower()
    if len(lower) < 3:
        return f"{len(lower)}/{lower}"
    return f"3/{lower[0]}/{lower}" if len(lower) == 3 else f"{lower[:2]}/{lower[2:4]}/{lower}"


def library_name(name: str) -> str:
    """Return the name by which Rust code knows a crate if its manifest gives the library no other."""
    return name.replace("-", "_")
