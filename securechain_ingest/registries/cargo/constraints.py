"""This module writes Cargo's requirements as the graph's clients read them (contract, section 2, Cargo).

The clients parse them with univers' npm class (see `semver_ranges`). It reads a bare version as that one alone, and a
comma without a blank after it, or after a pre-release, as part of a version. A requirement is written as declared
unless it is one of those; then it is spelled out as the interval that admits the same releases.

One thing gets lost: `=1.2.3` allows Cargo a `1.2.3+build`, and univers does not; nor does it take that version for the
lowest one of `^1.2.3` or of any other interval with two ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache, reduce
from typing import Final

from securechain_ingest.model import ANY
from securechain_ingest.registries.kit.intervals import Bound, Interval, in_order, union
from securechain_ingest.registries.kit.semver import version_key
from securechain_ingest.registries.kit.semver_ranges import (
    EVERYTHING,
    MAX_RANGE_LENGTH,
    NOTHING,
    SemverInterval,
    are_two_bounds,
    comparator,
    is_readable,
    numbers_before_wildcard,
    spelled,
    x_range,
)

_PART = r"(0|[1-9][0-9]{0,19}|[xX*])"
_COMPARATOR: Final = re.compile(
    rf"([<>]=|[~^<>=]|) *{_PART}(?:\.{_PART}(?:\.{_PART}(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?)?)?", re.ASCII
)
_WILDCARDS: Final = frozenset("xX*")
_ALL_VERSIONS: Final = "*"


@lru_cache(maxsize=65_536)
def constraints(declared: str) -> str:
    """Return what an edge carries for a requirement. One that Cargo itself cannot read is written as it is."""
    text = declared.strip()
    try:
        interval, written = _requirement(text)
    except ValueError:
        return declared if text else ANY
    return NOTHING if interval.is_empty else written


def joined(declared: Iterable[str]) -> str:
    """Return one string for several entries on one crate.

    Cargo builds with a single version where entries allow a common one, so that all of them have to hold. Entries that
    exclude each other (renamed ones, to use two major versions) each bring a version of their own.
    """
    different = list(dict.fromkeys(declared))
    if len(different) == 1:
        return constraints(different[0])
    try:
        read = {text: _requirement(text.strip()) for text in different}
    except ValueError:
        return " || ".join(dict.fromkeys(map(constraints, different)))
    possible = {text: meaning for text, meaning in read.items() if not meaning[0].is_empty}
    # An entry that admits pre-releases alone (`<0`) asks for nothing that Cargo would choose beside another one.
    possible = {text: meaning for text, meaning in possible.items() if _has_release(meaning[0])} or possible
    groups = _unified(interval for interval, _ in possible.values())
    if len(groups) < 2:
        return constraints(", ".join(possible)) if groups else NOTHING
    spellings = dict(possible.values())
    united = union(groups, joins_touching=False)
    return " || ".join(spellings.get(group) or spelled(group) for group in united)


def _unified(intervals: Iterable[SemverInterval]) -> list[SemverInterval]:
    """Return what is common to those that overlap, in order."""
    groups: list[SemverInterval] = []
    for interval in in_order(intervals):
        for position, group in enumerate(groups):
            common = group & interval
            # Pre-releases alone, as between 1.0.0 and 1.0.1, are nothing that releases would agree on.
            if _has_release(common) if _has_release(interval) else not common.is_empty:
                groups[position] = common
                break
        else:
            groups.append(interval)
    return in_order(groups)


def _has_release(interval: SemverInterval) -> bool:
    """Return whether the requirement admits a version that is not a pre-release."""
    if interval.is_empty:
        return False
    first = "0.0.0"
    if interval.low is not None:
        release, _, prerelease = interval.low.text.partition("+")[0].partition("-")
        major, minor, patch = (int(part) for part in release.split("."))
        first = f"{major}.{minor}.{patch + (interval.low.is_above and not prerelease)}"
    return interval.high is None or Bound(version_key(first), False, first) < interval.high


def _requirement(text: str) -> tuple[SemverInterval, str]:
    """Return what a requirement admits and how it is written. It raises ValueError for a text that is not a
    requirement."""
    if len(text) > MAX_RANGE_LENGTH:
        raise ValueError(text)
    if text == _ALL_VERSIONS:
        return EVERYTHING, text
    parts = [part.strip() for part in text.split(",")]
    if len(parts) > 1 and not parts[-1]:
        parts.pop()  # Cargo allows a comma at the end.
    read = [_comparator(part) for part in parts]
    interval = reduce(Interval.__and__, (one for one, _ in read), EVERYTHING)
    written = [spelling for _, spelling in read]
    if interval == EVERYTHING:
        return interval, ANY
    if len(read) == 1:
        return interval, written[0] or _spelled(interval)
    is_orderly = all(written) and are_two_bounds([one for one, _ in read]) and "-" not in text
    return interval, ", ".join(filter(None, written)) if is_orderly else _spelled(interval)


def _comparator(text: str) -> tuple[SemverInterval, str | None]:
    """Return what one comparator admits, and the spelling of it that clients read right, if there is one other than the
    interval's."""
    match = _COMPARATOR.fullmatch(text)
    if match is None:
        raise ValueError(text)
    operator, *parts, prerelease = match.groups()
    numbers = numbers_before_wildcard(parts)
    has_wildcard = any(part in _WILDCARDS for part in parts)
    # A bare version is a caret requirement, with a wildcard it is an x-range.
    meaning = operator or ("=" if has_wildcard else "^")
    interval = comparator(meaning, numbers, prerelease)
    if meaning == "=" and (partial := x_range(numbers)):
        return interval, partial
    spelling = text if operator else f"^{text}"
    return interval, spelling if not has_wildcard and is_readable(meaning, spelling) else None


def _spelled(interval: SemverInterval) -> str:
    """The contract wants a comma; there is none where univers would read it as a part of a pre-release."""
    if interval.low is not None and interval.is_single:
        return f"={interval.low.text}"
    bounds = interval.comparators()
    return (" " if "-" in bounds[0] else ", ").join(bounds) if bounds else ANY
