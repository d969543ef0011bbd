"""npm's ranges as the graph's clients read them (contract, section 2, npm).

Clients parse an edge's constraints with univers, which reads some of them unlike npm does (node-semver's README,
"Ranges"; see `semver_ranges`); overlapping or empty alternatives break it too. Each alternative is written as declared
unless it is one of those; then it is spelled out as the interval that admits the same releases.
"""

from __future__ import annotations

import re
from functools import lru_cache, reduce
from typing import Final

from securechain_ingest.model import ANY
from securechain_ingest.registries.semver_ranges import (
    EVERYTHING,
    MAX_RANGE_LENGTH,
    NOTHING,
    Interval,
    are_two_bounds,
    comparator,
    in_order,
    is_readable,
    numbers_before_wildcard,
    union,
    x_range,
)

_PART = r"([0-9]{1,16}|[xX*])"
_PRERELEASE = r"(?:-([0-9A-Za-z.-]+)|([A-Za-z][0-9A-Za-z.-]*))"
_VERSION = rf"[v= ]*{_PART}(?:\.{_PART}(?:\.{_PART}{_PRERELEASE}?(?:\+[0-9A-Za-z.-]+)?)?)?(?= |$)"
_COMPARATOR: Final = re.compile(rf"(~>|[<>]=|[~^<>=]|) ?{_VERSION} ?")
_HYPHEN: Final = re.compile(rf"{_VERSION} - {_VERSION}")


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
    intervals = in_order(interval for interval, _ in alternatives)
    if not intervals:
        return NOTHING
    merged = union(intervals)
    if EVERYTHING in merged:
        return ANY
    if len(merged) < len(intervals):
        return " || ".join(map(str, merged))
    written = [text for interval, text in alternatives if not interval.is_empty]
    return text if written == parts else " || ".join(written)


def _alternative(text: str) -> tuple[Interval, str]:
    """One of the parts between `||`: what it admits and how it is written. Raises ValueError if it is not a range."""
    if hyphen := _HYPHEN.fullmatch(text):
        groups = hyphen.groups()
        interval = _comparator(">=", *groups[:5]) & _comparator("<=", *groups[5:])
        readable = all("-" not in end and is_readable(">=", f">={end}") for end in text.split(" - "))
        return interval, text if readable and not interval.is_single else str(interval)
    intervals: list[Interval] = []
    readable = True
    position = 0
    while position < len(text):
        match = _COMPARATOR.match(text, position)
        if match is None:
            raise ValueError(text)
        operator, *version = match.groups()
        intervals.append(_comparator(operator, *version))
        readable = readable and is_readable(operator, match[0].strip())
        position = match.end()
    interval = reduce(Interval.__and__, intervals, EVERYTHING)
    if len(intervals) == 1:
        if not readable and operator in ("", "="):
            return interval, x_range(numbers_before_wildcard(version[:3])) or str(interval)
    else:
        readable = readable and are_two_bounds(intervals)
    return interval, text if readable else str(interval)


def _comparator(operator: str, *version: str | None) -> Interval:
    return comparator(operator, numbers_before_wildcard(version[:3]), version[3] or version[4])
