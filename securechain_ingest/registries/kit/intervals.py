"""This module computes with intervals of versions in the order of any ecosystem: what a range or a list of clauses
admits.

An interval lies between two bounds. A bound lies just below a version or just above it. So `>=1` and `<1` begin and end
at the same bound, `>1` and `<=1` at the next one, and what is left beside an interval has the interval's own bounds.

A bound carries its version's text, which does not count where bounds are compared. Where bounds are equal and their
texts differ (`1.0` and `1.0.0`), the one of the interval that comes first is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K")


@dataclass(frozen=True, slots=True, order=True)
class Bound(Generic[K]):
    """A bound lies just below a version, or just above it."""

    key: K
    """The key sorts versions in the order of their ecosystem."""
    is_above: bool
    text: str = field(compare=False)
    """The text is the version as it is to be written."""


@dataclass(frozen=True, slots=True)
class Interval(Generic[K]):
    """An interval holds the versions between two bounds; a bound that is None does not restrict it."""

    low: Bound[K] | None = None
    high: Bound[K] | None = None

    @property
    def is_empty(self) -> bool:
        """Return whether no version can be inside."""
        return self.low is not None and self.high is not None and self.low >= self.high

    @property
    def is_single(self) -> bool:
        """Return whether exactly one version is inside. The interval must not be empty."""
        return self.low is not None and self.high is not None and self.low.key == self.high.key

    def holds(self, key: K) -> bool:
        """Return whether the version with this key is inside."""
        return (self.low is None or self.low <= Bound(key, False, "")) and (
            self.high is None or self.high >= Bound(key, True, "")
        )

    def __and__(self, other: Interval[K]) -> Interval[K]:
        """Return what both hold. It may be empty."""
        lows = [bound for bound in (self.low, other.low) if bound is not None]
        highs = [bound for bound in (self.high, other.high) if bound is not None]
        return Interval(max(lows, default=None), min(highs, default=None))

    def comparators(self, blank: str = "") -> list[str]:
        """Return the bounds, written as `>=1.0` and `<2.0`. There are none for an interval without bounds."""
        low = [f"{'>' if self.low.is_above else '>='}{blank}{self.low.text}"] if self.low else []
        high = [f"{'<=' if self.high.is_above else '<'}{blank}{self.high.text}"] if self.high else []
        return low + high

    def in_brackets(self, comma: str) -> str:
        """Return the interval as `[1.0, 2.0)`, with `comma` between the versions, and a single version as `[1.0]`."""
        if self.low is not None and self.is_single:
            return f"[{self.low.text}]"
        low = ("(" if self.low.is_above else "[") + self.low.text if self.low else "("
        high = self.high.text + ("]" if self.high.is_above else ")") if self.high else ")"
        return f"{low}{comma}{high}"


def in_order(intervals: Iterable[Interval[K]]) -> list[Interval[K]]:
    """Return the intervals without the empty ones, sorted by where they begin."""
    found = (interval for interval in intervals if not interval.is_empty)
    return sorted(found, key=lambda interval: (interval.low is not None, interval.low))


def intersection(some: Iterable[Interval[K]], others: Sequence[Interval[K]]) -> list[Interval[K]]:
    """Return intervals that hold what some interval on each of the two sides holds. None of them is empty."""
    both = (one & other for one in some for other in others)
    return [interval for interval in both if not interval.is_empty]


def union(intervals: Iterable[Interval[K]], *, joins_touching: bool) -> list[Interval[K]]:
    """Return what any of the intervals holds, as disjoint intervals in order.

    Two that only touch (`<1` and `>=1`) become one if `joins_touching` is set, and otherwise stay two.
    """
    united: list[Interval[K]] = []
    for interval in in_order(intervals):
        last = united[-1] if united else None
        if last is None or not _meet(last, interval, joins_touching):
            united.append(interval)
        elif last.high is not None and (interval.high is None or interval.high > last.high):
            united[-1] = Interval(last.low, interval.high)
    return united


def gaps(intervals: Iterable[Interval[K]]) -> list[Interval[K]]:
    """Return what none of the intervals holds, as disjoint intervals in order."""
    found: list[Interval[K]] = []
    begin: Bound[K] | None = None
    for interval in union(intervals, joins_touching=True):
        if interval.low is not None:
            found.append(Interval(begin, interval.low))
        if interval.high is None:
            return found
        begin = interval.high
    return [*found, Interval(begin)]


def _meet(one: Interval[K], later: Interval[K], joins_touching: bool) -> bool:
    """Return whether the second interval begins inside the first or, if that counts, exactly at its end. It must not
    begin before the first."""
    if one.high is None or later.low is None:
        return True
    return later.low <= one.high if joins_touching else later.low < one.high
