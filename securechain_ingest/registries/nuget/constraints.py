"""NuGet's version ranges as the graph's clients read them (contract, section 2, NuGet).

Declared are intervals (`[1.0.0, 2.0.0)`), plain versions, which are lower bounds, and floating ones (`1.0.*`), of which
only the lower bound restricts what is allowed: the star picks among that (Microsoft Learn, "Package versioning").

Clients parse intervals with univers' Maven grammar. It takes `[1.0.0, 1.0.0]` and ends that Maven's order finds in the
wrong order for errors, and then all versions for allowed; and it wants numbers in labels without leading zeros.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final, TypeAlias

from univers.maven import Version as MavenVersion

from securechain_ingest.model import ANY
from securechain_ingest.registries.nuget.versions import LABELS, VersionKey, version_key

MAX_RANGE_LENGTH: Final = 1024

_INTERVAL: Final = re.compile(r"([\[(])([^,\[\]()]*)(?:(,)([^,\[\]()]*))?([\])])")
_FLOATING: Final = re.compile(rf"((?:[0-9]+\.){{0,3}})\*(-.*)?|([0-9.]+-)((?:{LABELS}\.?)?)\*", re.ASCII)

_Place: TypeAlias = tuple[VersionKey, bool]
"""Just below a version (False) or just above it (True)."""
_End: TypeAlias = tuple[_Place, str]
"""With the version's text."""


@dataclass(frozen=True, slots=True)
class _Interval:
    """The versions between two places; None: without end."""

    low: _End | None = None
    high: _End | None = None

    @property
    def is_single(self) -> bool:
        return self.low is not None and self.high is not None and self.low[0][0] == self.high[0][0]

    def __str__(self) -> str:
        if self.low and self.is_single:
            return f"[{self.low[1]}]"
        low = ("(" if self.low[0][1] else "[") + self.low[1] if self.low else "("
        high = self.high[1] + ("]" if self.high[0][1] else ")") if self.high else ")"
        return f"{low}, {high}"


_EVERYTHING: Final = _Interval()


@lru_cache(maxsize=32_768)
def constraints(declared: tuple[str, ...]) -> str:
    """What an edge carries for the ranges that a version's groups declare for one package: what any of them allows.

    An interval where they meet, else several (`[1.0.0, 2.0.0),[3.0.0, )`); everything above the lowest bound where the
    clients could not read that. `any` for no range and for what NuGet itself could not read.
    """
    try:
        intervals = {_interval(text) for text in declared}
    except ValueError:
        return ANY
    merged = _merge(sorted(intervals, key=lambda interval: (interval.low is not None, interval.low)))
    readable = merged if _is_readable(merged) else [_Interval(merged[0].low)]
    return ANY if _EVERYTHING in readable else ",".join(map(str, readable))


def _interval(text: str) -> _Interval:
    """What one declared range allows. Raises ValueError for what is none."""
    if len(text) > MAX_RANGE_LENGTH:
        raise ValueError(text[:MAX_RANGE_LENGTH])
    if not text.strip():
        return _EVERYTHING
    match = _INTERVAL.fullmatch(text.strip())
    if match is None:
        return _Interval(low=_low(text, above=False))
    opening, first, comma, second, closing = match.groups()
    if not comma:
        if (opening, closing) != ("[", "]") or not first.strip():
            raise ValueError(text)
        second = first
    low = _low(first, above=opening == "(")
    high = _end(second, above=closing == "]") if second.strip() else None
    if low and high and low[0] >= high[0]:
        raise ValueError(text)
    return _Interval(low, high)


def _low(text: str, *, above: bool) -> _End | None:
    floating = _FLOATING.fullmatch(text.strip())
    if floating is None:
        return _end(text, above=above) if text.strip() else None
    numbers, prerelease, version, labels = floating.groups()
    if version is None:
        return _end(f"{numbers}0" + ("-0" if prerelease else ""), above=False) if numbers else None
    return _end(version + (f"{labels}0" if labels[-1:] in ("", ".") else labels), above=False)


def _end(text: str, *, above: bool) -> _End:
    version = text.strip().partition("+")[0]
    key = version_key(version)
    numbers, dash, labels = version.partition("-")
    plain = ".".join(str(int(label)) if label.isdigit() else label for label in labels.split("."))
    return (key, above), numbers + dash + plain


def _merge(intervals: Iterable[_Interval]) -> list[_Interval]:
    """The union of intervals, sorted by their beginning, as disjoint ones."""
    merged: list[_Interval] = []
    for interval in intervals:
        last = merged[-1] if merged else None
        if last and (last.high is None or interval.low is None or interval.low[0] <= last.high[0]):
            highs = [end for end in (last.high, interval.high) if end]
            merged[-1] = _Interval(last.low, max(highs) if len(highs) == 2 else None)
        else:
            merged.append(interval)
    return merged


def _is_readable(intervals: Sequence[_Interval]) -> bool:
    """Whether Maven's order, which knows other labels, finds the ends in order; without labels the orders are one."""
    ends = [
        end[1]
        for interval in intervals
        for end in ((interval.low,) if interval.is_single else (interval.low, interval.high))
        if end
    ]
    if not any("-" in end for end in ends):
        return True
    keys = [MavenVersion(end) for end in ends]  # type: ignore[no-untyped-call]
    return all(one < other for one, other in pairwise(keys))
