"""This module reads what one advisory says of one package (OSV schema 1.7, contract section 3). Its functions are pure.

Other programs write into the collection, too. A value that is not of the type that the schema wants is passed over and
reported in a sentence. It has no other effect.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Any, Final, TypeAlias

from securechain_ingest.advisories.names import affected_package
from securechain_ingest.advisories.scores import Scores, scores
from securechain_ingest.advisories.upsert import REMOVED
from securechain_ingest.model import PackageRef

Document = Mapping[str, Any]
Order: TypeAlias = Callable[[str], Any]
"""It maps the name of a version to a sortable key. It raises ValueError for a name without an order."""
Report: TypeAlias = Callable[[str], None]
Span: TypeAlias = tuple[int, int]
"""These are versions in ascending order, from the first index up to the version before the second index."""

# This says which event comes first at one boundary. An interval may begin where another was fixed,
# and end with the version that it begins with.
_TURN: Final = {"fixed": 0, "introduced": 1, "last_affected": 2}
_FROM_THE_START: Final = ("introduced", "0")


@dataclass(frozen=True, slots=True)
class AffectedRange:
    """It is one range of an advisory, in keys of the ecosystem's order."""

    events: tuple[tuple[Any, str], ...]
    """It has (boundary, kind) in ascending order. A boundary of None stands for "from the start"."""
    limits: tuple[Any, ...]
    """A version is affected only if it is below one of these. If there are none, there is no limit."""

    def spans(self, keys: Sequence[Any]) -> Iterator[Span]:
        """Yield the affected spans. OSV evaluates the events over ascending keys: each event that a version has reached
        switches the state."""
        end = max((bisect_left(keys, limit) for limit in self.limits), default=len(keys))
        reached = [(_first_reached(keys, boundary, kind), kind) for boundary, kind in self.events]
        for (start, kind), (until, _) in pairwise([*reached, (len(keys), "")]):
            if kind == "introduced" and start < min(until, end):
                yield start, min(until, end)


@dataclass(frozen=True, slots=True)
class Record:
    """It is a record that counts, as far as it is about one package."""

    id: str
    names: frozenset[str]
    """These are its id and its aliases. Records that share one of them describe the same vulnerability."""
    scores: Scores
    listed: tuple[str, ...]
    ranges: tuple[AffectedRange, ...]


def read(document: Document, ref: PackageRef, order: Order, report: Report) -> Record | None:
    """Return what a document says of a package. It is None if the document says nothing of it, or if it is withdrawn.

    A range with a boundary that cannot be ordered affects nothing.
    """
    if document.get("withdrawn") or document.get(REMOVED):
        return None
    elements = [each for each in _list(document, "affected", report) if is_about(each, ref, report)]
    if not elements:
        return None
    identifier = document.get("id")
    if not isinstance(identifier, str) or not identifier:
        report("it has no id")
        return None
    aliases = _texts(document, "aliases", report)
    for holder in (document, *elements):
        _check_severity(holder, report)
    return Record(
        id=identifier,
        names=frozenset({identifier, *filter(None, aliases)}),
        scores=scores(document, elements),
        listed=tuple(
            dict.fromkeys(version for each in elements for version in _texts(each, "versions", report) if version)
        ),
        ranges=tuple(found for each in elements for found in _ranges(each, order, report)),
    )


def _first_reached(keys: Sequence[Any], boundary: Any, kind: str) -> int:
    """Return the index of the first version that an event concerns."""
    if boundary is None:
        return 0
    return bisect_right(keys, boundary) if kind == "last_affected" else bisect_left(keys, boundary)


def is_about(element: Any, ref: PackageRef, report: Report) -> bool:
    """Return whether an element of `affected` names the package."""
    if not isinstance(element, Mapping):
        report("an element of affected is no object")
        return False
    package = affected_package(element)
    if package is None:
        # Elements about Git repositories have no package.
        if element.get("package") is not None:
            report("a package of affected has no ecosystem and name")
        return False
    ecosystem, name = package
    name_key = ref.ecosystem.name_key
    return ecosystem == ref.ecosystem.osv and name_key(name) == name_key(ref.registry_name)


def _ranges(element: Mapping[str, Any], order: Order, report: Report) -> Iterator[AffectedRange]:
    for entry in _list(element, "ranges", report):
        kind = entry.get("type") if isinstance(entry, Mapping) else None
        if not isinstance(kind, str):
            report("a range has no type")
        elif kind in {"SEMVER", "ECOSYSTEM"}:
            boundaries = list(_boundaries(_list(entry, "events", report)))
            if None in boundaries:
                report("an event of a range is no text")
                continue
            try:
                yield _range([boundary for boundary in boundaries if boundary is not None], order)
            except ValueError:
                # Authors write texts of their own, such as a version that the registry has never had. There are too
                # many of these to report each.
                continue


def _boundaries(events: Sequence[Any]) -> Iterator[tuple[str, str] | None]:
    """Yield (kind, value) of each event. None stands in place of an event that is not of that form.

    A kind whose value is null is one that the event does not have: some programs write all kinds in each event.
    """
    for event in events:
        if not isinstance(event, Mapping):
            yield None
            continue
        for kind, value in event.items():
            if (kind in _TURN or kind == "limit") and value is not None:
                yield (kind, value.strip()) if isinstance(value, str) else None


def _range(boundaries: Sequence[tuple[str, str]], order: Order) -> AffectedRange:
    """Return the range with these boundaries. It raises ValueError for a boundary without an order. It also raises
    ValueError for an empty boundary, because some orders have a place for an empty text."""
    if not all(value for _, value in boundaries):
        raise ValueError
    bounded = [(order(value), kind) for kind, value in boundaries if kind in _TURN and (kind, value) != _FROM_THE_START]
    bounded.sort(key=lambda event: (event[0], _TURN[event[1]]))
    limits = [value for kind, value in boundaries if kind == "limit"]
    return AffectedRange(
        events=tuple(_without_empty_intervals(bounded, from_the_start=_FROM_THE_START in boundaries)),
        limits=() if "*" in limits else tuple(map(order, limits)),
    )


def _without_empty_intervals(events: Sequence[tuple[Any, str]], *, from_the_start: bool) -> Iterator[tuple[Any, str]]:
    """Yield the events without those that fix at once what they introduce. If an interval from before is fixed there, a
    new one begins there."""
    if from_the_start:
        yield None, "introduced"
    is_affected = from_the_start
    for boundary, group in groupby(events, key=itemgetter(0)):
        kinds = dict.fromkeys(kind for _, kind in group)
        is_empty = not is_affected and "introduced" in kinds and "fixed" in kinds
        for kind in kinds:
            if not is_empty or kind == "last_affected":
                is_affected = kind == "introduced"
                yield boundary, kind


def _check_severity(holder: Mapping[str, Any], report: Report) -> None:
    for entry in _list(holder, "severity", report):
        if not isinstance(entry, Mapping) or not isinstance(entry.get("type"), str):
            report("an entry of severity has no type")


def _texts(holder: Mapping[str, Any], field: str, report: Report) -> Iterator[str]:
    for value in _list(holder, field, report):
        if isinstance(value, str):
            yield value.strip()
        else:
            report(f"an entry of {field} is no text")


def _list(holder: Mapping[str, Any], field: str, report: Report) -> Sequence[Any]:
    value = holder.get(field)
    if isinstance(value, list | tuple):
        return value
    if value is not None:
        report(f"{field} is no list")
    return ()
