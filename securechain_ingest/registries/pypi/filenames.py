"""This module reads the names of distribution files (PyPA's specifications of binary and source distribution
formats)."""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from packaging.version import Version

SDIST_SUFFIXES: Final = (".tar.gz", ".zip", ".tgz", ".tar.bz2", ".tar.xz", ".tar")

_MAX_LENGTH: Final = 1_000
"""This is in characters, and more than a file system allows."""
_MAX_PARTS: Final = 8
"""A version has at most so many parts between hyphens."""


def is_wheel(filename: str) -> bool:
    return filename.lower().endswith(".whl")


def is_sdist(filename: str) -> bool:
    return filename.lower().endswith(SDIST_SUFFIXES)


def version_in(filename: str, versions: Container[Version | str]) -> str | None:
    """Return the version of a wheel or a source archive. The result is None for other files, which are not read.

    `versions` are those that are known, as `comparable` returns them: a version may have hyphens in a source archive's
    name, so that it has to be one of them.
    """
    if len(filename) > _MAX_LENGTH:
        return None
    if is_wheel(filename):
        parts = filename[: -len(".whl")].split("-")
        version = parts[1].replace("_", "-") if len(parts) in (5, 6) else ""
        return version if version in versions or isinstance(comparable(version), Version) else None
    stem = next((filename[: -len(suffix)] for suffix in SDIST_SUFFIXES if filename.lower().endswith(suffix)), "")
    parts = stem.split("-")
    ends = ("-".join(parts[start:]) for start in range(max(1, len(parts) - _MAX_PARTS), len(parts)))
    known = next((end for end in ends if comparable(end) in versions), None)
    return known if known is not None or not isinstance(comparable(parts[-1]), Version) else parts[-1]


def comparable(version: str) -> Version | str:
    """Return what is equal for the spellings of one version. A name from before PEP 440 is returned as it is."""
    try:
        return Version(version)
    except ValueError:
        return version
