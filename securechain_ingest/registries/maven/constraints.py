"""This module writes Maven's version requirements as the graph's clients read them (contract, section 2, Maven).

Their format is at maven.apache.org, "POM Reference", section "Dependency Version Requirement Specification". The
clients read a plain version, which Maven only recommends, as nothing at all, so it is written as exactly that version.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from securechain_ingest.model import ANY
from securechain_ingest.registries.kit.intervals import Interval, union
from securechain_ingest.registries.maven.intervals import read_intervals
from securechain_ingest.registries.maven.versions import MavenKey, version_key

MAX_LENGTH: Final = 1024

_PLAIN: Final = re.compile(r"[^\s\[\](),;${}]+")
_BADLY_JOINED: Final = re.compile(r"[\])](?:[\[(]|,$)")
"""Between two intervals there is no comma, or there is one behind the last."""
_FLOATING: Final = frozenset({"LATEST", "RELEASE"})


@lru_cache(maxsize=32_768)
def constraints(declared: str | None) -> str:
    """Return what an edge carries for a dependency's version, as it is after interpolation and management.

    It is `any` for none, for one whose properties nobody defines, and for a text that Maven does not understand either.
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
    """The intervals are written as clients read them right; None means that they do so as declared. It raises
    ValueError for a text that is not a range."""
    intervals = read_intervals(text, version_key)
    if any(interval.is_empty for interval in intervals):
        raise ValueError(text)
    united = union(intervals, joins_touching=True)
    if Interval() in united:
        return ANY
    is_joined = _BADLY_JOINED.search(text) is None
    is_readable = is_joined and united == intervals and ("," not in text or not any(map(_is_spelled_single, united)))
    return None if is_readable else ",".join(interval.in_brackets(",") for interval in united)


def _is_spelled_single(interval: Interval[MavenKey]) -> bool:
    """Clients do not read `[1.0,1.0]`."""
    return interval.low is not None and interval.high is not None and interval.low.text == interval.high.text
