"""Maven's version requirements as the graph's clients read them (contract, section 2, Maven).

Format: maven.apache.org, "POM Reference", section "Dependency Version Requirement Specification". The clients read a
plain version, which Maven only recommends, as nothing at all, so it is written as exactly that version.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from securechain_ingest.model import ANY
from securechain_ingest.registries.maven.versions import VersionKey, version_key

MAX_LENGTH: Final = 1024

_PLAIN: Final = re.compile(r"[^\s\[\](),;${}]+")
_INTERVAL: Final = re.compile(r"([\[(])([^\[\](),]*)(?:(,)([^\[\](),]*))?([\])])(?:,(?=[\[(])|$)")
_FLOATING: Final = frozenset({"LATEST", "RELEASE"})


@dataclass(frozen=True, slots=True)
class _Interval:
    """The versions between two; an empty text: without end."""

    low: str
    high: str
    with_low: bool
    with_high: bool

    @property
    def begin(self) -> tuple[bool, VersionKey, bool]:
        """Sortable, by the lower end."""
        return bool(self.low), version_key(self.low) if self.low else (), not self.with_low

    @property
    def is_empty(self) -> bool:
        if not self.low or not self.high:
            return False
        low, high = version_key(self.low), version_key(self.high)
        return low > high or (low == high and not (self.with_low and self.with_high))

    def meets(self, later: _Interval) -> bool:
        """Whether one that does not begin before this one begins inside it or right at its end."""
        if not self.high or not later.low:
            return True
        high, low = version_key(self.high), version_key(later.low)
        return low < high or (low == high and (self.with_high or later.with_low))

    def joined(self, later: _Interval) -> _Interval:
        ends = [(not one.high, version_key(one.high) if one.high else (), one.with_high) for one in (self, later)]
        last = self if ends[0] >= ends[1] else later
        return _Interval(self.low, last.high, self.with_low, last.with_high)

    def __str__(self) -> str:
        if self.low and self.low == self.high:
            return f"[{self.low}]"
        return f"{'[' if self.with_low else '('}{self.low},{self.high}{']' if self.with_high else ')'}"


@lru_cache(maxsize=32_768)
def constraints(declared: str | None) -> str:
    """What an edge carries for a dependency's version, as it is after interpolation and management.

    `any` for none, for one whose properties nobody defines, and for what Maven does not understand either.
    """
    declared = declared or ""
    text = "".join(declared.split())
    if not text or len(text) > MAX_LENGTH or "${" in text or text in _FLOATING:
        return ANY
    try:
        if _PLAIN.fullmatch(text):
            version_key(text)
            return f"[{text}]"
        return _ranges(text) or " ".join(declared.split())
    except ValueError:
        return ANY


def _ranges(text: str) -> str | None:
    """The intervals as a client reads them right; None: it does as declared. Raises ValueError for what is no range."""
    intervals: list[_Interval] = []
    position = 0
    while position < len(text):
        match = _INTERVAL.match(text, position)
        if match is None:
            raise ValueError(text)
        opening, low, comma, high, closing = match.groups()
        interval = _Interval(low, high if comma else low, opening == "[", closing == "]")
        if interval.is_empty or not (comma or low):
            raise ValueError(text)
        intervals.append(interval)
        position = match.end()
    united: list[_Interval] = []
    for interval in sorted(intervals, key=lambda interval: interval.begin):
        if united and united[-1].meets(interval):
            united[-1] = united[-1].joined(interval)
        else:
            united.append(interval)
    if not united[0].low and not united[0].high:
        return ANY
    is_readable = united == intervals and all(interval.low != interval.high or "," not in text for interval in united)
    return None if is_readable else ",".join(map(str, united))
