"""This module writes npm's ranges as the graph's clients read them (contract, section 2, npm).

Clients parse an edge's constraints with univers, which reads some of them unlike npm does (see `ranges`); overlapping
or empty alternatives break it too. Each alternative is written as declared unless it is one of those; then it is
spelled out as the interval that admits the same releases.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, TypeAlias

from securechain_ingest.model import ANY
from securechain_ingest.registries.kit.intervals import in_order, union
from securechain_ingest.registries.kit.semver_ranges import (
    EVERYTHING,
    MAX_RANGE_LENGTH,
    NOTHING,
    SemverInterval,
    are_two_bounds,
    is_readable,
    numbers_before_wildcard,
    spelled,
    x_range,
)
from securechain_ingest.registries.npm.ranges import normal_text, read_alternative

_CACHED_LENGTH: Final = 256
"""This is in characters; longer ranges are rare, and in a cache of them authors could take as much memory as they like.
"""

# What npm takes for a path, an address or an archive, whatever else is in it (npm-package-arg's README).
_ELSEWHERE: Final = re.compile(r"[.]|(?:git\+)?[a-z]+:", re.IGNORECASE)
_ARCHIVES: Final = (".tgz", ".tar.gz", ".tar")
_HYPHEN: Final = re.compile(r"([^ ]+) - ([^ ]+)")
_WRITTEN: Final = re.compile(r"((~>|[<>]=|[~^<>=]|) ?([^ ]+))(?: |$)")
_BARE: Final = re.compile(r"([0-9]{1,16}|[xX*])(?:\.([0-9]{1,16}|[xX*])(?:\.([0-9]{1,16}|[xX*]))?)?")

_Alternative: TypeAlias = tuple[SemverInterval, str]
"""An alternative is what it admits, and how it is written."""


def constraints(declared: str) -> str:
    """Return what an edge carries for a declared range, which is `any` for none. Tags, URLs and paths are written as
    they are."""
    return _cached(declared) if len(declared) <= _CACHED_LENGTH else _constraints(declared)


def either(declared: Iterable[str]) -> str:
    """Return what an edge carries for several entries on one package, which npm installs side by side. It is `any` if
    one of them is not a range."""
    ranges = [_alternatives(text) for text in dict.fromkeys(declared)]
    return _written([each for alternatives in ranges for each in alternatives or [(EVERYTHING, ANY)]])


def _constraints(declared: str) -> str:
    alternatives = _alternatives(declared)
    if alternatives is None:
        return declared
    written = _written(alternatives)
    text = normal_text(declared)
    # As declared, to the blank, where every alternative stands.
    return text if written == " || ".join(part.strip(" ") for part in text.split("||")) else written


_cached: Final = lru_cache(maxsize=32_768)(_constraints)


def _alternatives(declared: str) -> list[_Alternative] | None:
    """Return the parts of a range that npm can read. The result is None if the text is not a range."""
    text = normal_text(declared)
    if len(text) > MAX_RANGE_LENGTH or "/" in text or _ELSEWHERE.match(text) or text.lower().endswith(_ARCHIVES):
        return None
    try:
        parts = [(part, read_alternative(part)) for part in (part.strip(" ") for part in text.split("||"))]
    except ValueError:
        return None
    return [(interval, _spelling(part, interval)) for part, interval in parts if interval is not None] or None


def _written(alternatives: Sequence[_Alternative]) -> str:
    intervals = in_order(interval for interval, _ in alternatives)
    if not intervals:
        return NOTHING
    merged = union(intervals, joins_touching=False)
    if EVERYTHING in merged:
        return ANY
    if len(merged) < len(intervals):
        return " || ".join(map(spelled, merged))
    return " || ".join(text for interval, text in alternatives if not interval.is_empty)


def _spelling(text: str, interval: SemverInterval) -> str:
    """An alternative is written as it is declared if the clients read it as npm does, and otherwise by its bounds."""
    if hyphen := _HYPHEN.fullmatch(text):
        readable = all("-" not in end and is_readable(">=", f">={end}") for end in hyphen.groups())
        return text if readable and not interval.is_single else spelled(interval)
    comparators = [(match[2], match[3], match[1]) for match in _WRITTEN.finditer(text)]
    if len(comparators) == 1 and comparators[0][0] in ("", "=") and (bare := _BARE.fullmatch(comparators[0][1])):
        operator = comparators[0][0]
        if not is_readable(operator, text) and (partial := x_range(numbers_before_wildcard(bare.groups()))):
            return partial
    readable = all(is_readable(operator, written) for operator, _, written in comparators)
    if readable and len(comparators) > 1:
        bounds = [read_alternative(operator + version) for operator, version, _ in comparators]
        readable = are_two_bounds([bound for bound in bounds if bound is not None])
    return text if readable else spelled(interval)
