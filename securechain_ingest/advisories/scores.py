"""CVSS v3 base scores of advisory documents, and their means (contract, sections 1.2 and 3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from cvss import CVSS3
from cvss.exceptions import CVSS3Error

MALWARE = "MAL-"
"""How the ids of reports of malicious packages begin."""


def base_scores(document: Mapping[str, Any]) -> list[float]:
    """One score for each CVSS_V3 entry of the document's `severity`: its `base_score`, else computed from the vector.

    An entry with neither a number nor a readable vector, and any other type (CVSS_V2, CVSS_V4), gives no score; nor
    does a report of malware, which is no weakness that could be more or less severe.
    """
    if str(document.get("id")).startswith(MALWARE):
        return []
    entries = [entry for entry in _list(document.get("severity")) if isinstance(entry, Mapping)]
    # A record may tell the severity of each affected package instead, mostly the same one.
    for element in () if entries else _list(document.get("affected")):
        for entry in _list(element.get("severity")) if isinstance(element, Mapping) else ():
            if isinstance(entry, Mapping) and entry not in entries:
                entries.append(entry)
    scores = (_score(entry) for entry in entries if entry.get("type") == "CVSS_V3")
    return [score for score in scores if score is not None]


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def _score(entry: Mapping[str, Any]) -> float | None:
    score = entry.get("base_score")
    if isinstance(score, int | float) and not isinstance(score, bool) and 0 <= score <= 10:
        return float(score)
    vector = entry.get("score")
    return vector_score(vector) if isinstance(vector, str) else None


@lru_cache(maxsize=10_000)
def vector_score(vector: str) -> float | None:
    """The base score of a CVSS v3.0 or v3.1 vector; None if it is not one."""
    try:
        return float(CVSS3(vector.strip().rstrip("/")).base_score)
    except CVSS3Error:
        return None


def means(scores: Iterable[float]) -> tuple[float, float]:
    """(mean, weighted mean) of the scores, rounded to 2 places; 0.0 when there is none or all are 0."""
    values = list(scores)
    total = sum(values)
    if total == 0:
        return 0.0, 0.0
    return round(total / len(values), 2), round(sum(value * value for value in values) / total, 2)
