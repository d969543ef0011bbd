"""Ranges of a parent's version, resolved by the versions that a repository lists (Maven's `DefaultModelResolver`)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, Final, NamedTuple

from securechain_ingest.registries.maven.version_order import order_key

MAX_LENGTH: Final = 256

_INTERVAL: Final = re.compile(r"([\[(])([^\[\](),]*)(?:(,)([^\[\](),]*))?([\])])\s*(?:,\s*|$)")


class _Interval(NamedTuple):
    """The versions between two; None: without end."""

    low: Any
    high: Any
    with_low: bool
    with_high: bool

    def holds(self, key: Any) -> bool:
        if self.low is not None and (key < self.low or (key == self.low and not self.with_low)):
            return False
        return self.high is None or key < self.high or (key == self.high and self.with_high)


def is_range(version: str) -> bool:
    return version.startswith(("[", "("))


def highest_in(text: str, versions: Iterable[str]) -> str:
    """The highest of the versions in a range, pre-releases too. Raises ValueError, with a sentence, if there is none,
    and for a range that ends nowhere, which Maven refuses: the next release would change what was released before."""
    intervals = _intervals(text)
    if any(interval.high is None for interval in intervals):
        msg = f"the range {text} has no upper bound"
        raise ValueError(msg)
    inside = [(key, version) for key, version in _orderable(versions) if any(each.holds(key) for each in intervals)]
    if not inside:
        msg = f"no version is in the range {text}"
        raise ValueError(msg)
    return max(inside)[1]


def _orderable(versions: Iterable[str]) -> Iterator[tuple[Any, str]]:
    for version in versions:
        with suppress(ValueError):
            yield order_key(version), version


def _intervals(text: str) -> list[_Interval]:
    """Raises ValueError for what is no range."""
    msg = f"{text[:MAX_LENGTH]} is no range"
    if len(text) > MAX_LENGTH:
        raise ValueError(msg)
    intervals: list[_Interval] = []
    position, text = 0, text.strip()
    while position < len(text):
        match = _INTERVAL.match(text, position)
        if match is None:
            raise ValueError(msg)
        opening, low, comma, high, closing = match.groups()
        high = high if comma else low
        interval = _Interval(_end(low), _end(high), opening == "[", closing == "]")
        if not comma and (interval.low is None or opening + closing != "[]"):
            raise ValueError(msg)
        if interval.low is not None and interval.high is not None and interval.high < interval.low:
            raise ValueError(msg)
        intervals.append(interval)
        position = match.end()
    return intervals


def _end(text: str) -> Any:
    text = text.strip()
    return order_key(text) if text else None
