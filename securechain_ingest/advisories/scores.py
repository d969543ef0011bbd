"""This module computes the CVSS base scores of advisories, one for each vulnerability, and their means (contract,
sections 1.2 and 3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from cvss import CVSS3, CVSS4
from cvss.exceptions import CVSSError

MALWARE: Final = "MAL-"
"""The ids of reports of malicious packages begin with this."""

_VECTORS: Final = {"CVSS_V3": CVSS3, "CVSS_V4": CVSS4}
"""These types of `severity` give a score. If both are given, the first one is used."""

_MAX_VECTOR_LENGTH: Final = 1_000

Scores = Mapping[str, float]
"""It has the highest base score by type of `severity`."""


def scores(document: Mapping[str, Any], elements: Iterable[Mapping[str, Any]]) -> Scores:
    """Return the highest base scores of a record's own `severity` and of that of the elements of `affected` that count.

    An entry gives its `base_score`, or else what is computed from its vector. An entry with neither a number nor a
    readable vector gives no score. Any other type (CVSS_V2) gives none, either. A report of malware gives none, because
    malware is no weakness that could be more or less severe.
    """
    found: dict[str, float] = {}
    if str(document.get("id")).startswith(MALWARE):
        return found
    for holder in (document, *elements):
        for entry in _list(holder.get("severity")):
            kind = entry.get("type") if isinstance(entry, Mapping) else None
            if isinstance(kind, str) and (score := _score(kind, entry)) is not None:
                found[kind] = max(score, found.get(kind, score))
    return found


def score_of_group(group: Iterable[Scores]) -> float | None:
    """Return the one score of a vulnerability that several records describe. It is None if none of them gives a
    score."""
    records = list(group)
    for kind in _VECTORS:
        if given := [record[kind] for record in records if kind in record]:
            return max(given)
    return None


def _score(kind: str, entry: Mapping[str, Any]) -> float | None:
    if kind not in _VECTORS:
        return None
    score = entry.get("base_score")
    if isinstance(score, int | float) and not isinstance(score, bool) and 0 <= score <= 10:
        return float(score)
    vector = entry.get("score")
    return vector_score(kind, vector) if isinstance(vector, str) else None


@lru_cache(maxsize=10_000)
def vector_score(kind: str, vector: str) -> float | None:
    """Return the base score of a vector of that type, such as CVSS_V3 (3.0 or 3.1). It is None if the text is not such
    a vector."""
    if kind not in _VECTORS or len(vector) > _MAX_VECTOR_LENGTH:
        return None
    try:
        return float(_VECTORS[kind](vector.strip().rstrip("/")).base_score)
    except CVSSError:
        return None


def means(scores: Iterable[float]) -> tuple[float, float]:
    """Return (mean, weighted mean) of the scores, rounded to 2 decimal places. Both are 0.0 if there is no score or all
    are 0."""
    values = list(scores)
    total = sum(values)
    if total == 0:
        return 0.0, 0.0
    return round(total / len(values), 2), round(sum(value * value for value in values) / total, 2)


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()
