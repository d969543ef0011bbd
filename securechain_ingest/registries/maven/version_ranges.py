"""A parent's version may be a range; the versions that a repository lists resolve it (Maven's
`DefaultModelResolver`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, Final

from securechain_ingest.registries.maven.intervals import read_intervals
from securechain_ingest.registries.maven.version_order import order_key

MAX_LENGTH: Final = 256


def is_range(version: str) -> bool:
    return version.startswith(("[", "("))


def highest_in(text: str, versions: Iterable[str]) -> str:
    """Return the highest of the versions in a range, pre-releases too. It raises ValueError, with a sentence, if there
    is none. It also does so for a range without an upper bound, which Maven refuses: the next release would change what
    was released before."""
    if len(text) > MAX_LENGTH:
        msg = f"{text[:MAX_LENGTH]} is no range"
        raise ValueError(msg)
    intervals = read_intervals(text, order_key)
    if any(each.low and each.high and each.high.key < each.low.key for each in intervals):
        msg = f"{text} is no range"
        raise ValueError(msg)
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
