"""npm's ranges as the graph's clients read them (contract, section 2, npm).

Clients parse an edge's constraints with univers, which reads some of them unlike npm does (node-semver's README,
"Ranges"): it takes partial versions for whole ones, compares build metadata, and keeps the bounds of all alternatives
in one sorted list, so that overlapping or empty alternatives and repeated bounds break it. Each alternative is
written as declared unless it is one of those; then it is spelled out as the interval that admits the same releases.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Final, TypeAlias

from securechain_ingest.model import ANY
from securechain_ingest.registries.npm.versions import VersionKey, version_key

NOTHING: Final = "<0.0.0-0"
"""The empty range, as node-semver writes it."""

MAX_RANGE_LENGTH: Final = 4096

_PART = r"([0-9]{1,16}|[xX*])"
_PRERELEASE = r"(?:-([0-9A-Za-z.-]+)|([A-Za-z][0-9A-Za-z.-]*))"
_VERSION = rf"[v= ]*{_PART}(?:\.{_PART}(?:\.{_PART}{_PRERELEASE}?(?:\+[0-9A-Za-z.-]+)?)?)?(?= |$)"
_COMPARATOR: Final = re.compile(rf"(~>|[<>]=|[~^<>=]|) ?{_VERSION} ?")
_HYPHEN: Final = re.compile(rf"{_VERSION} - {_VERSION}")
# What univers reads as node-semver does, and an x-range.
_ORDERLY: Final = re.compile(
    r"(?:[<>]=? ?|= ?|[~^])?(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*)){0,2}(?:-[0-9A-Za-z.-]+)?", re.ASCII
)
_X_RANGE: Final = re.compile(r"(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*))?\.x", re.ASCII)

_Place: TypeAlias = tuple[VersionKey, bool]
"""Just below a version (False) or just above it (True)."""


@dataclass(frozen=True, slots=True)
class _Interval:
    """The versions between two places, each with the text of its version; None: without end."""

    low: tuple[_Place, str] | None = None
    high: tuple[_Place, str] | None = None

    @property
    def is_empty(self) -> bool:
        return self.low is not None and self.high is not None and self.low[0] >= self.high[0]

    def __and__(self, other: _Interval) -> _Interval:
        lows = [end for end in (self.low, other.low) if end]
        highs = [end for end in (self.high, other.high) if end]
        return _Interval(max(lows, default=None), min(highs, default=None))

    @property
    def is_single(self) -> bool:
        return self.low is not None and self.high is not None and self.low[0][0] == self.high[0][0]

    def overlaps(self, later: _Interval) -> bool:
        """Whether one that does not begin before this one begins inside it; touching ends do not count."""
        return self.high is None or later.low is None or later.low[0] < self.high[0]

    def __str__(self) -> str:
        if self.low and self.is_single:
            return self.low[1]
        low = [(">" if self.low[0][1] else ">=") + self.low[1]] if self.low else []
        high = [("<=" if self.high[0][1] else "<") + self.high[1]] if self.high else []
        return " ".join(low + high) or ANY


_EVERYTHING: Final = _Interval()
_EMPTY_END: Final = ((version_key("0.0.0"), False), "0.0.0")
_EMPTY: Final = _Interval(_EMPTY_END, _EMPTY_END)


@lru_cache(maxsize=32_768)
def constraints(declared: str) -> str:
    """What an edge carries for a declared range; `any` for none. Tags, URLs and paths are written as they are."""
    text = " ".join(declared.split())
    if len(text) > MAX_RANGE_LENGTH:
        return declared
    try:
        parts = [part.strip() for part in text.split("||")]
        alternatives = [_alternative(part) for part in parts]
    except ValueError:
        return declared
    intervals = sorted(
        (interval for interval, _ in alternatives if not interval.is_empty),
        key=lambda interval: (interval.low is not None, interval.low),
    )
    if not intervals:
        return NOTHING
    merged = _merge(intervals)
    if _EVERYTHING in merged:
        return ANY
    if len(merged) < len(intervals):
        return " || ".join(map(str, merged))
    written = [text for interval, text in alternatives if not interval.is_empty]
    return text if written == parts else " || ".join(written)


def _merge(intervals: list[_Interval]) -> list[_Interval]:
    """The union of intervals, sorted by their beginning, as disjoint ones."""
    merged = intervals[:1]
    for interval in intervals[1:]:
        last = merged[-1]
        if last.overlaps(interval):
            highs = [end for end in (last.high, interval.high) if end]
            merged[-1] = _Interval(last.low, max(highs) if len(highs) == 2 else None)
        else:
            merged.append(interval)
    return merged


def _alternative(text: str) -> tuple[_Interval, str]:
    """One of the parts between `||`: what it admits and how it is written. Raises ValueError if it is not a range."""
    if hyphen := _HYPHEN.fullmatch(text):
        groups = hyphen.groups()
        interval = _comparator(">=", *groups[:5]) & _comparator("<=", *groups[5:])
        is_readable = all(_ORDERLY.fullmatch(end) and "-" not in end for end in text.split(" - "))
        return interval, text if is_readable and not interval.is_single else str(interval)
    intervals: list[_Interval] = []
    is_readable = True
    position = 0
    while position < len(text):
        match = _COMPARATOR.match(text, position)
        if match is None:
            raise ValueError(text)
        operator, *version = match.groups()
        intervals.append(_comparator(operator, *version))
        is_readable = is_readable and _is_readable(operator, match[0].strip())
        position = match.end()
    interval = reduce(_Interval.__and__, intervals, _EVERYTHING)
    if len(intervals) == 1:
        if not is_readable and operator in ("", "="):
            return interval, _x_range(version) or str(interval)
    else:
        # Two bounds that univers keeps apart: a lower one and an upper one, of different versions.
        ends = sorted((one.low is None, one.high is None) for one in intervals)
        is_readable = is_readable and ends == [(False, True), (True, False)] and not interval.is_single
    return interval, text if is_readable else str(interval)


def _is_readable(operator: str, comparator: str) -> bool:
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


def _x_range(version: list[str]) -> str | None:
    """A partial version as an x-range; None for a whole one."""
    numbers = _numbers(version[:3])
    return ".".join(map(str, [*numbers, "x"])) if 0 < len(numbers) < 3 else None


def _numbers(parts: list[str]) -> list[int]:
    """The parts in front of the first that is missing or a wildcard."""
    numbers: list[int] = []
    for part in parts:
        if not part or part in "xX*":
            break
        numbers.append(int(part))
    return numbers


def _comparator(operator: str, *version: str | None) -> _Interval:
    """What one comparator admits; from node-semver's documentation, "Advanced Range Syntax"."""
    numbers = _numbers([part or "" for part in version[:3]])
    if not numbers:
        return _EMPTY if operator in ("<", ">") else _EVERYTHING
    is_whole = len(numbers) == 3
    prerelease = version[3] or version[4] if is_whole else None
    floor = _text(numbers) + (f"-{prerelease}" if prerelease else "")
    after = _text([*numbers[:-1], numbers[-1] + 1])
    match operator:
        case ">=":
            return _Interval(low=_end(floor))
        case ">":
            return _Interval(low=_end(floor, above=True) if is_whole else _end(after))
        case "<":
            return _Interval(high=_end(floor))
        case "<=":
            return _Interval(high=_end(floor, above=True) if is_whole else _end(after))
        case "~" | "~>":
            return _Interval(_end(floor), _end(_bump(numbers, min(1, len(numbers) - 1))))
        case "^":
            leading = next((index for index, number in enumerate(numbers) if number), len(numbers) - 1)
            return _Interval(_end(floor), _end(_bump(numbers, leading)))
        case _:
            return _Interval(_end(floor), _end(floor, above=True) if is_whole else _end(after))


def _bump(numbers: list[int], index: int) -> str:
    return _text([*numbers[:index], numbers[index] + 1])


def _text(numbers: list[int]) -> str:
    return ".".join(map(str, [*numbers, 0, 0][:3]))


def _end(version: str, *, above: bool = False) -> tuple[_Place, str]:
    return (version_key(version), above), version
