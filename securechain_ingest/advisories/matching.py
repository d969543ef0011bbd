"""Which versions of a package an advisory affects (OSV schema 1.7, contract section 3). Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import structlog

from securechain_ingest.advisories.scores import base_scores, means
from securechain_ingest.advisories.upsert import REMOVED
from securechain_ingest.model import PackageRef, Rating

logger = structlog.get_logger(__name__)

Document = Mapping[str, Any]

# What happens first at one boundary. An interval may begin where another was fixed, and end with the version that it
# begins with.
_TURN: Final = {"fixed": 0, "introduced": 1, "last_affected": 2}


@dataclass(frozen=True, slots=True)
class _Range:
    """One range of an advisory, in keys of the ecosystem's order."""

    events: tuple[tuple[Any, str], ...]
    """(boundary, kind) in ascending order; a boundary of None stands for "from the start"."""
    limits: tuple[Any, ...]
    """A version above all of them is not meant; none: all are."""

    def contains(self, key: Any) -> bool:
        """OSV's evaluation: each event that the version has reached switches the state."""
        if self.limits and not any(key < limit for limit in self.limits):
            return False
        affected = False
        for boundary, kind in self.events:
            if boundary is not None and (key <= boundary if kind == "last_affected" else key < boundary):
                break
            affected = kind == "introduced"
        return affected


def rate(ref: PackageRef, versions: Iterable[str], documents: Iterable[Document]) -> dict[str, Rating]:
    """The rating of every version of a package, from the documents that may be about it.

    Withdrawn documents do not count; a version that no document affects gets the empty rating. A range with a boundary
    that the ecosystem cannot order affects nothing.
    """
    key_of = lru_cache(maxsize=None)(ref.ecosystem.range_order)
    affecting: dict[str, list[Document]] = {version: [] for version in versions}
    keys: dict[str, Any] = {}
    for version in affecting:
        with suppress(ValueError):
            keys[version] = key_of(version)
    for document in documents:
        if document.get("withdrawn") or document.get(REMOVED) or not document.get("id"):
            continue
        elements = [element for element in _list(document.get("affected")) if _is_about(element, ref)]
        listed = {str(version) for element in elements for version in _list(element.get("versions"))}
        ranges = [found for element in elements for found in _ranges(element, key_of)]
        for version, found_in in affecting.items():
            if version in listed or (version in keys and any(each.contains(keys[version]) for each in ranges)):
                found_in.append(document)
    return {version: _rating(found_in) for version, found_in in affecting.items()}


def spellings(ref: PackageRef) -> frozenset[str]:
    """How advisories may spell a package, but for the case: as its registry, or normalised with hyphens or underscores.

    Only what means the same package in its ecosystem.
    """
    key = ref.ecosystem.name_key(ref.registry_name)
    return frozenset(
        name for name in (ref.registry_name, key, key.replace("-", "_")) if ref.ecosystem.name_key(name) == key
    )


def _rating(documents: Sequence[Document]) -> Rating:
    if not documents:
        return Rating()
    mean, weighted_mean = means(score for document in documents for score in base_scores(document))
    return Rating(mean, weighted_mean, tuple(sorted({str(document["id"]) for document in documents})))


def _is_about(element: Any, ref: PackageRef) -> bool:
    package = element.get("package") if isinstance(element, Mapping) else None
    if not isinstance(package, Mapping):
        return False
    # Maven and others may carry a `:<repository>` suffix, which does not change the ecosystem.
    ecosystem = str(package.get("ecosystem")).split(":", 1)[0]
    name_key = ref.ecosystem.name_key
    return ecosystem == ref.ecosystem.osv and name_key(str(package.get("name"))) == name_key(ref.registry_name)


def _ranges(element: Mapping[str, Any], key_of: Callable[[str], Any]) -> Iterator[_Range]:
    for entry in _list(element.get("ranges")):
        if isinstance(entry, Mapping) and entry.get("type") in {"SEMVER", "ECOSYSTEM"}:
            try:
                yield _range(_list(entry.get("events")), key_of)
            except ValueError as error:
                logger.debug("advisory_boundary_unordered", reason=str(error))


def _range(events: Sequence[Any], key_of: Callable[[str], Any]) -> _Range:
    """Raises ValueError for a boundary without an order."""
    marks = [(kind, value) for event in events if isinstance(event, Mapping) for kind, value in event.items()]
    marks = [(kind, value) for kind, value in marks if isinstance(value, str)]
    is_from_start = ("introduced", "0") in marks
    bounded = [(key_of(value), kind) for kind, value in marks if kind in _TURN and (kind, value) != ("introduced", "0")]
    bounded.sort(key=lambda event: (event[0], _TURN[event[1]]))
    limits = [value for kind, value in marks if kind == "limit"]
    return _Range(
        events=((None, "introduced"), *bounded) if is_from_start else tuple(bounded),
        limits=() if "*" in limits else tuple(map(key_of, limits)),
    )


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()
