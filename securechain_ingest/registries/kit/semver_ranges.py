"""The intervals that comparators on SemVer versions admit, and which spellings of them the graph's clients read right.

npm's and Cargo's comparators mean the same (node-semver's README, "Advanced Range Syntax"; The Cargo Book, "Specifying
Dependencies"). The clients parse both with univers' npm class, which takes partial versions for whole ones, compares
build metadata, and keeps all bounds in one sorted list, so that a further or a repeated bound breaks it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from securechain_ingest.model import ANY
from securechain_ingest.registries.kit.semver import VersionKey, version_key

NOTHING: Final = "<0.0.0-0"
"""The empty range, as node-semver writes it."""

MAX_RANGE_LENGTH: Final = 4096
"""Characters; a longer range is not taken apart."""

# What univers reads as it is meant, and an x-range.
_IDENTIFIER = r"(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)"
_ORDERLY: Final = re.compile(
    rf"(?:[<>]=? ?|= ?|[~^])?(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*)){{0,2}}(?:-{_IDENTIFIER}(?:\.{_IDENTIFIER})*)?", re.ASCII
)
_X_RANGE: Final = re.compile(r"(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*))?\.x", re.ASCII)

_Place: TypeAlias = tuple[VersionKey, bool]
"""Just below a version (False) or just above it (True)."""


@dataclass(frozen=True, slots=True)
class Interval:
    """The versions between two places, each with the text of its version; None: without end."""

    low: tuple[_Place, str] | None = None
    high: tuple[_Place, str] | None = None

    @property
    def is_empty(self) -> bool:
        return self.low is not None and self.high is not None and self.low[0] >= self.high[0]

    @property
    def is_single(self) -> bool:
        return self.low is not None and self.high is not None and self.low[0][0] == self.high[0][0]

    def __and__(self, other: Interval) -> Interval:
        lows = [end for end in (self.low, other.low) if end]
        highs = [end for end in (self.high, other.high) if end]
        return Interval(max(lows, default=None), min(highs, default=None))

    def overlaps(self, later: Interval) -> bool:
        """Whether one that does not begin before this one begins inside it; touching ends do not count."""
        return self.high is None or later.low is None or later.low[0] < self.high[0]

    def bounds(self) -> list[str]:
        """The comparators that spell it out: one for a single version, none for everything."""
        if self.low and self.is_single:
            return [self.low[1]]
        low = [(">" if self.low[0][1] else ">=") + self.low[1]] if self.low else []
        high = [("<=" if self.high[0][1] else "<") + self.high[1]] if self.high else []
        return low + high

    def __str__(self) -> str:
        return " ".join(self.bounds()) or ANY


EVERYTHING: Final = Interval()
_EMPTY_END: Final = ((version_key("0.0.0"), False), "0.0.0")
EMPTY: Final = Interval(_EMPTY_END, _EMPTY_END)


def in_order(intervals: Iterable[Interval]) -> list[Interval]:
    """Those that admit anything, by their beginning."""
    return sorted(
        (interval for interval in intervals if not interval.is_empty),
        key=lambda interval: (interval.low is not None, interval.low),
    )


def union(intervals: list[Interval]) -> list[Interval]:
    """The union of intervals in order as disjoint ones."""
    merged = intervals[:1]
    for interval in intervals[1:]:
        last = merged[-1]
        if last.overlaps(interval):
            highs = [end for end in (last.high, interval.high) if end]
            merged[-1] = Interval(last.low, max(highs) if len(highs) == 2 else None)
        else:
            merged.append(interval)
    return merged


def is_readable(operator: str, comparator: str) -> bool:
    """Whether univers reads this one comparator as it is meant; `operator` is what it begins with."""
    if operator == "" and _X_RANGE.fullmatch(comparator):
        return True
    if not _ORDERLY.fullmatch(comparator):
        return False
    version, _, prerelease = comparator.lstrip("<>=~^ ").partition("-")
    is_whole = version.count(".") == 2
    if prerelease and not is_whole:
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


def are_two_bounds(intervals: Sequence[Interval]) -> bool:
    """Whether univers keeps these comparators apart: a lower and an upper bound, of different versions."""
    ends = sorted((one.low is None, one.high is None) for one in intervals)
    return ends == [(False, True), (True, False)] and not (intervals[0] & intervals[1]).is_single


def numbers_before_wildcard(parts: Iterable[str | None]) -> list[int]:
    """The parts of a version in front of the first that is missing or a wildcard."""
    numbers: list[int] = []
    for part in parts:
        if not part or part in "xX*":
            break
        numbers.append(int(part))
    return numbers


def x_range(numbers: Sequence[int]) -> str | None:
    """A partial version as an x-range; None for a whole one."""
    return ".".join(map(str, [*numbers, "x"])) if 0 < len(numbers) < 3 else None


def comparator(operator: str, numbers: list[int], prerelease: str | None) -> Interval:
    """What one comparator admits; a partial version has fewer than three numbers and no pre-release."""
    if not numbers:
        return EMPTY if operator in ("<", ">") else EVERYTHING
    is_whole = len(numbers) == 3
    floor = _text(numbers) + (f"-{prerelease}" if is_whole and prerelease else "")
    after = _text([*numbers[:-1], numbers[-1] + 1])
    match operator:
        case ">=":
            return Interval(low=_end(floor))
        case ">":
            return Interval(low=_end(floor, above=True) if is_whole else _end(after))
        case "<":
            return Interval(high=_end(floor))
        case "<=":
            return Interval(high=_end(floor, above=True) if is_whole else _end(after))
        case "~" | "~>":
            return Interval(_end(floor), _end(_bump(numbers, min(1, len(numbers) - 1))))
        case "^":
            leading = next((index for index, number in enumerate(numbers) if number), len(numbers) - 1)
            return Interval(_end(floor), _end(_bump(numbers, leading)))
        case _:
            return Interval(_end(floor), _end(floor, above=True) if is_whole else _end(after))


def _bump(numbers: list[int], index: int) -> str:
    return _text([*numbers[:index], numbers[index] + 1])


def _text(numbers: list[int]) -> str:
    return ".".join(map(str, [*numbers, 0, 0][:3]))


def _end(version: str, *, above: bool = False) -> tuple[_Place, str]:
    return (version_key(version), above), version
