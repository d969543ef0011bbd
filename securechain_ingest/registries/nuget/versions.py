"""This module orders NuGet's versions, and gives their normal form (Microsoft Learn, "NuGet package versioning").

A version has up to four numbers, then SemVer 2's labels, compared without regard to case; build metadata is ignored.
`1`, `1.0.0.0` and `1.00` are one version. Unlike in SemVer, labels that are numbers may have leading zeros.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, TypeAlias

NuGetKey: TypeAlias = tuple[tuple[int, int, int, int], bool, tuple[tuple[bool, int, str], ...]]

LABELS = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
# The clients of the graph read a leading `v` away.
_VERSION: Final = re.compile(rf"\s*v?([0-9]+(?:\.[0-9]+){{0,3}})(?:-({LABELS}))?(?:\+[0-9A-Za-z.-]*)?\s*", re.ASCII)
_MAX_LENGTH: Final = 256
_WHOLE_NUMBER: Final = re.compile(r"-?[0-9]+", re.ASCII)
_SMALLEST, _GREATEST = -(2**31), 2**31 - 1


def is_version(name: str) -> bool:
    """Return whether the name can be ordered."""
    return len(name) <= _MAX_LENGTH and _VERSION.fullmatch(name) is not None


@lru_cache(maxsize=32_768)
def version_key(name: str) -> NuGetKey:
    """Return a sortable key, which is equal for the spellings of one version. It raises ValueError for a name that is
    not a version."""
    match = _VERSION.fullmatch(name) if len(name) <= _MAX_LENGTH else None
    if match is None:
        raise ValueError(name)
    numbers, labels = match.groups()
    major, minor, patch, revision = [*map(int, numbers.split(".")), 0, 0, 0][:4]
    return (major, minor, patch, revision), labels is None, _label_keys(labels) if labels else ()


@lru_cache(maxsize=32_768)
def range_key(name: str) -> NuGetKey:
    """Return a key in NuGet's own order (NuGet.Versioning, VersionComparer), by which advisories' ranges are meant.

    There a label is a number if it is one of 32 bits, with a sign or without; longer ones, such as moments, are text.
    """
    numbers, is_release, _ = version_key(name)
    match = _VERSION.fullmatch(name)
    labels = match[2].split(".") if match and match[2] else []
    return numbers, is_release, tuple(map(_label_in_ranges, labels))


def normal_version(name: str) -> str:
    """Return the form that the registry's URLs have in lower case: at least three numbers, no zeros in front, no
    metadata.

    It raises ValueError for a name that is not a version.
    """
    (*numbers, revision), is_release, _ = version_key(name)
    text = ".".join(map(str, [*numbers, revision] if revision else numbers))
    return text if is_release else f"{text}-{name.partition('+')[0].partition('-')[2].strip()}"


def _label_keys(labels: str) -> tuple[tuple[bool, int, str], ...]:
    """Numbers are sorted by value and come before words; words are sorted by their lower-case text."""
    return tuple(
        (False, int(label), "") if label.isdigit() else (True, 0, label) for label in labels.lower().split(".")
    )


def _label_in_ranges(label: str) -> tuple[bool, int, str]:
    number = int(label) if _WHOLE_NUMBER.fullmatch(label) else None
    is_number = number is not None and _SMALLEST <= number <= _GREATEST
    return (False, number or 0, "") if is_number else (True, 0, label.upper())
