"""This module reads comparators on SemVer versions as intervals, and says which spellings the graph's clients read
right.

npm's and Cargo's comparators mean the same (node-semver's README, "Advanced Range Syntax"; The Cargo Book, "Specifying
Dependencies"). The clients parse both with univers' npm class, which takes partial versions for whole ones, compares
build metadata, and keeps all bounds in one sorted list, so that a further or a repeated bound breaks it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from securechain_ingest.model import ANY
from securechain_ingest.registries.kit.intervals import Bound, Interval
from securechain_ingest.registries.kit.semver import SemverKey, version_key

NOTHING: Final = "<0.0.0-0"
"""This is the empty range, as node-semver writes it."""

MAX_RANGE_LENGTH: Final = 4096
"""This is in characters; a longer range is not taken apart."""

# What univers reads as it is meant, and an x-range.
_IDENTIFIER = r"(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)"
_ORDERLY: Final = re.compile(
    rf"(?:[<>]=? ?|= ?|[~^])?(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*)){{0,2}}(?:-{_IDENTIFIER}(?:\.{_IDENTIFIER})*)?", re.ASCII
)
_X_RANGE: Final = re.compile(r"(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*))?\.x", re.ASCII)

_LIKE_X_RANGE: Final = ".x"
"""univers takes every comparator with this ending, but for a caret, for an x-range; in `1.0.0-beta.x` it is none."""

SemverInterval: TypeAlias = Interval[SemverKey]

EVERYTHING: Final[SemverInterval] = Interval()
_EMPTY_BOUND: Final = Bound(version_key("0.0.0"), False, "0.0.0")
EMPTY: Final[SemverInterval] = Interval(_EMPTY_BOUND, _EMPTY_BOUND)


def spelled(interval: SemverInterval) -> str:
    """Return the interval as a range that clients read right: one version, comparators, or `any`."""
    if interval.low is not None and interval.is_single:
        return interval.low.text
    return " ".join(interval.comparators()) or ANY


def is_readable(operator: str, comparator: str) -> bool:
    """Return whether univers reads this one comparator as it is meant. `operator` is what the comparator begins
    with."""
    if operator == "" and _X_RANGE.fullmatch(comparator):
        return True
    if not _ORDERLY.fullmatch(comparator):
        return False
    version, _, prerelease = comparator.lstrip("<>=~^ ").partition("-")
    is_whole = version.count(".") == 2
    if prerelease and not is_whole:
        return False
    if comparator.endswith(_LIKE_X_RANGE) and operator != "^":
        return False
    match operator:
        case ">=" | "<":
            return True
        case "~":
            return not prerelease
        case "^":
            return is_whole or version.strip("0.") != ""
        case _:
            return is_whole


def are_two_bounds(intervals: Sequence[SemverInterval]) -> bool:
    """Return whether univers keeps these comparators apart: they are a lower and an upper bound, of different
    versions."""
    ends = sorted((one.low is None, one.high is None) for one in intervals)
    return ends == [(False, True), (True, False)] and not (intervals[0] & intervals[1]).is_single


def numbers_before_wildcard(parts: Iterable[str | None]) -> list[int]:
    """Return the parts of a version that stand before the first which is missing or a wildcard."""
    numbers: list[int] = []
    for part in parts:
        if not part or part in "xX*":
            break
        numbers.append(int(part))
    return numbers


def x_range(numbers: Sequence[int]) -> str | None:
    """Return a partial version as an x-range. The result is None for a whole version."""
    return ".".join(map(str, [*numbers, "x"])) if 0 < len(numbers) < 3 else None


def comparator(operator: str, numbers: list[int], prerelease: str | None) -> SemverInterval:
    """Return what one comparator admits. A partial version has fewer than three numbers and no pre-release."""
    if not numbers:
        return EMPTY if operator in ("<", ">") else EVERYTHING
    is_whole = len(numbers) == 3
    floor = _text(numbers) + (f"-{prerelease}" if is_whole and prerelease else "")
    after = _text([*numbers[:-1], numbers[-1] + 1])
    match operator:
        case ">=":
            return Interval(low=_bound(floor))
        case ">":
            return Interval(low=_bound(floor, is_above=True) if is_whole else _bound(after))
        case "<":
            return Interval(high=_bound(floor))
        case "<=":
            return Interval(high=_bound(floor, is_above=True) if is_whole else _bound(after))
        case "~" | "~>":
            return Interval(_bound(floor), _bound(_bump(numbers, min(1, len(numbers) - 1))))
        case "^":
            leading = next((index for index, number in enumerate(numbers) if number), len(numbers) - 1)
            return Interval(_bound(floor), _bound(_bump(numbers, leading)))
        case _:
            return Interval(_bound(floor), _bound(floor, is_above=True) if is_whole else _bound(after))


def _bump(numbers: list[int], index: int) -> str:
    return _text([*numbers[:index], numbers[index] + 1])


def _text(numbers: list[int]) -> str:
    return ".".join(map(str, [*numbers, 0, 0][:3]))


def _bound(version: str, *, is_above: bool = False) -> Bound[SemverKey]:
    # Build metadata, which does not count in an order, hides the ending.
    return Bound(version_key(version), is_above, f"{version}+0" if version.endswith(_LIKE_X_RANGE) else version)
