"""This module reads Maven's notation of version ranges.

The notation is described at maven.apache.org, "POM Reference", section "Dependency Version Requirement Specification".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeVar

from securechain_ingest.registries.kit.intervals import Bound, Interval

K = TypeVar("K")

MAX_SHOWN: Final = 256
"""An error shows that many characters of a text."""

_INTERVAL: Final = re.compile(r"([\[(])([^\[\](),]*)(?:(,)([^\[\](),]*))?([\])])\s*(?:,\s*)?")


def read_intervals(text: str, version_key: Callable[[str], K]) -> list[Interval[K]]:
    """Return the intervals of a text such as `[1.0,2.0),[3.0]`, in its order. One of them may be empty. As Maven does
    it, the comma behind an interval may be missing, and may stand behind the last one.

    It raises ValueError for a text that is no range, and for a version that `version_key` refuses.
    """
    text = text.strip()
    intervals: list[Interval[K]] = []
    position = 0
    while position < len(text):
        match = _INTERVAL.match(text, position)
        if match is None:
            raise ValueError(f"{text[:MAX_SHOWN]} is no range")
        opening, low, comma, high, closing = match.groups()
        if not comma and (not low.strip() or opening + closing != "[]"):
            raise ValueError(f"{text[:MAX_SHOWN]} is no range")
        intervals.append(
            Interval(
                _bound(low, opening == "(", version_key),
                _bound(high if comma else low, closing == "]", version_key),
            )
        )
        position = match.end()
    return intervals


def _bound(text: str, is_above: bool, version_key: Callable[[str], K]) -> Bound[K] | None:
    text = text.strip()
    return Bound(version_key(text), is_above, text) if text else None
