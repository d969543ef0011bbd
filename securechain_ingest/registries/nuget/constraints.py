"""This module writes NuGet's version ranges as the graph's clients read them (contract, section 2, NuGet).

Packages declare intervals (`[1.0.0, 2.0.0)`), plain versions, which are lower bounds, and floating versions (`1.0.*`),
of which only the lower bound restricts what is allowed: the star chooses among that (Microsoft Learn, "Package
versioning").

Clients parse intervals with univers' Maven grammar. It reads `[1.0.0, 1.0.0]`, and bounds that Maven's order finds in
the wrong order, as errors, and then all versions as allowed; and it wants numbers in labels without leading zeros.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final, TypeAlias

from univers.maven import Version as MavenVersion

from securechain_ingest.model import ANY
from securechain_ingest.registries.kit.intervals import Bound, Interval, union
from securechain_ingest.registries.nuget.versions import LABELS, NuGetKey, version_key

MAX_RANGE_LENGTH: Final = 1024

_INTERVAL: Final = re.compile(r"([\[(])([^,\[\]()]*)(?:(,)([^,\[\]()]*))?([\])])")
_FLOATING: Final = re.compile(rf"((?:[0-9]+\.){{0,3}})\*(-.*)?|([0-9.]+-)((?:{LABELS}\.?)?)\*", re.ASCII)

_Range: TypeAlias = Interval[NuGetKey]

_EVERYTHING: Final[_Range] = Interval()


@lru_cache(maxsize=32_768)
def constraints(declared: tuple[str, ...]) -> str:
    """Return what an edge carries for the ranges that a version's groups declare for one package: what any of them
    allows.

    It is an interval where they meet, and otherwise several (`[1.0.0, 2.0.0),[3.0.0, )`). Where the clients could not
    read that, it is everything above the lowest bound. It is `any` for no range and for one that NuGet itself could not
    read.
    """
    try:
        intervals = [_interval(text) for text in declared]
    except ValueError:
        return ANY
    # The order in which groups declare them says nothing, so that it must not decide between `1.0` and `1.0.0`.
    intervals.sort(key=lambda interval: interval.low.text if interval.low else "")
    united = union(intervals, joins_touching=True)
    readable = united if _is_readable(united) else [Interval(united[0].low)]
    return ANY if _EVERYTHING in readable else ",".join(map(_printed, readable))


def _printed(interval: _Range) -> str:
    return interval.in_brackets(", ")


def _interval(text: str) -> _Range:
    """Return what one declared range allows. It raises ValueError for a text that is not a range."""
    if len(text) > MAX_RANGE_LENGTH:
        raise ValueError(text[:MAX_RANGE_LENGTH])
    if not text.strip():
        return _EVERYTHING
    match = _INTERVAL.fullmatch(text.strip())
    if match is None:
        return Interval(low=_low(text, is_above=False))
    opening, first, comma, second, closing = match.groups()
    if not comma:
        if (opening, closing) != ("[", "]") or not first.strip():
            raise ValueError(text)
        second = first
    low = _low(first, is_above=opening == "(")
    high = _bound(second, is_above=closing == "]") if second.strip() else None
    interval = Interval(low, high)
    if interval.is_empty:
        raise ValueError(text)
    return interval


def _low(text: str, *, is_above: bool) -> Bound[NuGetKey] | None:
    floating = _FLOATING.fullmatch(text.strip())
    if floating is None:
        return _bound(text, is_above=is_above) if text.strip() else None
    numbers, prerelease, version, labels = floating.groups()
    if version is None:
        return _bound(f"{numbers}0" + ("-0" if prerelease else ""), is_above=False) if numbers else None
    return _bound(version + (f"{labels}0" if labels[-1:] in ("", ".") else labels), is_above=False)


def _bound(text: str, *, is_above: bool) -> Bound[NuGetKey]:
    version = text.strip().partition("+")[0]
    key = version_key(version)
    numbers, dash, labels = version.partition("-")
    plain = ".".join(str(int(label)) if label.isdigit() else label for label in labels.split("."))
    return Bound(key, is_above, numbers + dash + plain)


def _is_readable(intervals: Sequence[_Range]) -> bool:
    """Return whether Maven's order, by which the clients compare, finds the bounds in order, too. The two orders differ
    only in labels."""
    ends = [
        end.text
        for interval in intervals
        for end in ((interval.low,) if interval.is_single else (interval.low, interval.high))
        if end
    ]
    if not any("-" in end for end in ends):
        return True
    keys = [MavenVersion(end) for end in ends]  # type: ignore[no-untyped-call]
    return all(one < other for one, other in pairwise(keys))
