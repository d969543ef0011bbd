"""This module orders npm's and Cargo's versions by SemVer 2, in which build metadata is ignored (semver.org, section
11)."""

from __future__ import annotations

import re
from typing import Final, TypeAlias

SemverKey: TypeAlias = tuple[int, int, int, bool, tuple[tuple[bool, int, str], ...]]

_MAX_LENGTH: Final = 1_024
"""This is in characters and equals the limit of the graph: univers looks at each character again and again."""

_NUMBER = r"(0|[1-9][0-9]*)"
_IDENTIFIER = r"(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_STRICT: Final = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-({_IDENTIFIER}(?:\.{_IDENTIFIER})*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)


def version_key(name: str) -> SemverKey:
    """Return a sortable key. It raises ValueError for a name that the clients of the graph cannot order either.

    Old names that are not strict SemVer (`v1.2`, `1.2.3.4`, `1.2.3beta`) are read as they are there: by univers.
    """
    if len(name) > _MAX_LENGTH:
        raise ValueError(f"a version of {len(name)} characters")
    if match := _STRICT.fullmatch(name):
        major, minor, patch, prerelease = match.groups()
        identifiers = prerelease.split(".") if prerelease else ()
    else:
        # It is imported here because it is needed rarely, and every command would wait for it.
        from univers.versions import SemverVersion

        version = SemverVersion(name)
        major, minor, patch, identifiers = version.major, version.minor, version.patch, version.prerelease
    return (int(major), int(minor), int(patch), not identifiers, tuple(map(_identifier_key, identifiers)))


def is_prerelease(key: SemverKey) -> bool:
    """Return whether a version with this key is a pre-release."""
    return not key[3]


def _identifier_key(identifier: str) -> tuple[bool, int, str]:
    """Numbers are sorted by value and come before words; words are sorted by their ASCII text."""
    return (False, int(identifier), "") if identifier.isdigit() else (True, 0, identifier)
