"""Which versions of a package an advisory affects (OSV schema 1.7, contract section 3). Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import structlog

from securechain_ingest.advisories.scores import base_scores, means
from securechain_ingest.model import Ecosystem, Rating

logger = structlog.get_logger(__name__)

Document = Mapping[str, Any]


def rate(
    ecosystem: Ecosystem, names: Collection[str], versions: Iterable[str], documents: Iterable[Document]
) -> dict[str, Rating]:
    """The rating of every version, from the advisory documents of one package.

    `names` are the package's spellings in the advisories. Withdrawn documents do not count; a version that no document
    affects gets the empty rating. A range with a boundary that the ecosystem cannot order affects nothing.
    """
    key_of = lru_cache(maxsize=None)(ecosystem.version_key)
    affecting: dict[str, list[Document]] = {version: [] for version in versions}
    for document in documents:
        if document.get("withdrawn"):
            continue
        elements = [element for element in _list(document.get("affected")) if _is_about(element, ecosystem.osv, names)]
        for version, found in affecting.items():
            if any(_affects(element, version, key_of) for element in elements):
                found.append(document)
    return {version: _rating(found) for version, found in affecting.items()}


def _rating(documents: Sequence[Document]) -> Rating:
    if not documents:
        return Rating()
    mean, weighted_mean = means(score for document in documents for score in base_scores(document))
    return Rating(mean, weighted_mean, tuple(sorted({str(document["id"]) for document in documents})))


def _is_about(element: Any, osv: str, names: Collection[str]) -> bool:
    package = element.get("package") if isinstance(element, Mapping) else None
    if not isinstance(package, Mapping):
        return False
    # Maven and others may carry a `:<repository>` suffix, which does not change the ecosystem.
    return str(package.get("ecosystem")).split(":", 1)[0] == osv and package.get("name") in names


def _affects(element: Mapping[str, Any], version: str, key_of: Callable[[str], Any]) -> bool:
    if version in _list(element.get("versions")):
        return True
    try:
        key = key_of(version)
    except ValueError:
        return False
    ranges = (entry for entry in _list(element.get("ranges")) if isinstance(entry, Mapping))
    return any(
        _contains(_list(entry.get("events")), key, key_of)
        for entry in ranges
        if entry.get("type") in {"SEMVER", "ECOSYSTEM"}
    )


def _contains(events: Sequence[Any], key: Any, key_of: Callable[[str], Any]) -> bool:
    """OSV's evaluation: walk the events in version order, each switching the state at its boundary.

    `introduced` 0 is below every version, `fixed` and `limit` are exclusive, `last_affected` is inclusive.
    """
    affected = False
    for boundary, kind in _sorted_events(events, key_of):
        if kind == "introduced":
            affected = affected or boundary is None or key >= boundary
        elif kind == "last_affected":
            affected = affected and not key > boundary
        elif key >= boundary:
            affected = False
    return affected


def _sorted_events(events: Sequence[Any], key_of: Callable[[str], Any]) -> list[tuple[Any, str]]:
    """(boundary, kind) in ascending order; a boundary of None stands for "from the start"."""
    start: list[tuple[Any, str]] = []
    rest: list[tuple[Any, str]] = []
    for event in events:
        for kind in ("introduced", "fixed", "last_affected", "limit"):
            value = event.get(kind) if isinstance(event, Mapping) else None
            if not isinstance(value, str) or (kind == "limit" and value == "*"):
                continue
            if kind == "introduced" and value == "0":
                start.append((None, kind))
                continue
            try:
                rest.append((key_of(value), kind))
            except ValueError:
                logger.debug("advisory_boundary_unordered", boundary=value)
                return []
    # At one boundary the end of one interval comes before the start of the next; `last_affected` still includes it.
    rest.sort(key=lambda item: (item[0], item[1] == "introduced"))
    return start + rest


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()
