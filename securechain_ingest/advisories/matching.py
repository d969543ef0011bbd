"""This module finds which versions of a package its advisories affect, and how each version is rated (contract, section
3).

Versions are sorted once, and each range is found in them by bisection. So the work grows with the sum of the versions
and the records, and not with their product. Rating is pure; a large amount of work is done in a child process of the
parser pool.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any, Final

import anyio.lowlevel

from securechain_ingest.advisories.records import Document, Order, Record, Span, read
from securechain_ingest.advisories.scores import means, score_of_group
from securechain_ingest.archives.faults import tell
from securechain_ingest.model import Ecosystem, PackageRef, Rating

if TYPE_CHECKING:
    from securechain_ingest.archives.pool import ParserPool

RULE: Final = 4
"""This number goes up when the rule changes which versions are affected or how they are rated. The next sync of the
advisories then rates every package anew that an advisory names."""

INLINE_PAIRS: Final = 1_000
"""This process itself rates at most this many pairs of a version and an element of a record. They take a millisecond or
two."""

_NAMED_AT_ONCE: Final = 10_000
"""This many versions are put together with their ratings before the event loop gets a turn."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """It holds the ratings of many versions in few bytes, because nearly all of them are equal."""

    ratings: tuple[Rating, ...]
    rating_numbers: array[int]
    """It has the index in `ratings` for each version, in the order in which the versions were given."""
    unreadable: tuple[tuple[str, str], ...]
    """It has (id, reason) for each record of which some part had to be passed over."""


def rate(ref: PackageRef, versions: Iterable[str], documents: Iterable[Document]) -> dict[str, Rating]:
    """Return the rating of every version of a package, from the documents that may be about it.

    Withdrawn documents do not count. A version that no document affects gets the empty rating. A part of a document
    that cannot be read is passed over, with one line in the log for each such document.
    """
    names = tuple(dict.fromkeys(versions))
    assessment = assess(ref, names, tuple(documents))
    _report(ref, assessment, set())
    return dict(_named(names, assessment))


async def rated(
    pool: ParserPool | None,
    ref: PackageRef,
    versions: Collection[str],
    documents: Collection[Document],
    reported: set[str] | None = None,
) -> dict[str, Rating]:
    """Return what `rate` returns, worked out in a child process of the pool if it is much work.

    Documents whose ids are in `reported` have had their line in the log already. The function raises ParserLost or
    ArchiveRefused if the child process fails.
    """
    names = tuple(versions)
    pairs = len(versions) * sum(map(_elements, documents))
    if pool is None or pairs <= INLINE_PAIRS:
        assessment = assess(ref, names, tuple(documents))
    else:
        assessment = await pool.run(assess, ref, names, tuple(documents))
    _report(ref, assessment, set() if reported is None else reported)
    ratings: dict[str, Rating] = {}
    named = _named(names, assessment)
    while portion := dict(islice(named, _NAMED_AT_ONCE)):
        ratings |= portion
        await anyio.lowlevel.checkpoint()
    return ratings


def assess(ref: PackageRef, versions: Sequence[str], documents: Sequence[Document]) -> Assessment:
    """Return what `rate` finds, in a form that can be sent to another process, as the arguments can."""
    order = order_of(ref.ecosystem)
    records, unreadable = read_records(ref, documents, order)
    if not records:
        return Assessment((Rating(),), array("L", bytes(array("L").itemsize * len(versions))), unreadable)
    orderable, unorderable = _sorted(versions, order)
    affecting = _Affecting(records)
    rating_numbers = array("L", [0]) * len(versions)
    keys = [key for key, _ in orderable]
    for (start, end), found in _runs([_spans(record, keys, order) for record in records], len(keys)):
        number = affecting.number_of(found)
        for _, index in orderable[start:end] if number else ():
            rating_numbers[index] = number
    listed = [frozenset(record.listed) for record in records]
    for index in unorderable:
        found = frozenset(number for number, names in enumerate(listed) if versions[index] in names)
        rating_numbers[index] = affecting.number_of(found)
    return Assessment(tuple(affecting.ratings), rating_numbers, unreadable)


def _report(ref: PackageRef, assessment: Assessment, reported: set[str]) -> None:
    """Log one line for each document that could not be read whole and whose id is not in `reported`, and add the id
    there."""
    for identifier, reason in assessment.unreadable:
        if identifier not in reported:
            reported.add(identifier)
            tell("advisory_unreadable", advisory=identifier, package=ref.purl, reason=reason)


class _Affecting:
    """It holds the ratings of the sets of records that affect some version. Each of them is worked out once."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._records = records
        self._vulnerability = vulnerability_numbers(records)
        self._numbers: dict[frozenset[int], int] = {frozenset(): 0}
        self.ratings = [Rating()]

    def number_of(self, found: frozenset[int]) -> int:
        """Return the index in `ratings` of the rating for the records with these numbers."""
        if found not in self._numbers:
            self._numbers[found] = len(self.ratings)
            self.ratings.append(self._rating(found))
        return self._numbers[found]

    def _rating(self, found: frozenset[int]) -> Rating:
        groups: dict[int, list[Mapping[str, float]]] = {}
        for number in sorted(found):
            groups.setdefault(self._vulnerability[number], []).append(self._records[number].scores)
        scores = (score_of_group(group) for group in groups.values())
        mean, weighted_mean = means(score for score in scores if score is not None)
        return Rating(mean, weighted_mean, tuple(sorted({self._records[number].id for number in found})))


def vulnerability_numbers(records: Sequence[Record]) -> list[int]:
    """Return for each record the number of the vulnerability that it describes.

    Two records describe the same vulnerability if they share an id, which may be their own or an alias, or if they are
    connected by other records that do. It does not matter whether these affect the same versions. The shared id need
    not belong to any record.
    """
    parents = list(range(len(records)))

    def root(number: int) -> int:
        while parents[number] != number:
            parents[number] = number = parents[parents[number]]
        return number

    first: dict[str, int] = {}
    for number, record in enumerate(records):
        for name in record.names:
            parents[root(number)] = root(first.setdefault(name, number))
    return [root(number) for number in range(len(records))]


def read_records(
    ref: PackageRef, documents: Sequence[Document], order: Order
) -> tuple[list[Record], tuple[tuple[str, str], ...]]:
    """Return the records that count, and (id, reason) for each document of which something cannot be read. The reason
    is the first problem."""
    records: list[Record] = []
    unreadable: list[tuple[str, str]] = []
    for document in documents:
        problems: list[str] = []
        try:
            if (record := read(document, ref, order, problems.append)) is not None:
                records.append(record)
        except Exception as error:  # noqa: BLE001  # whatever foreign data provokes costs that record alone
            problems.append(f"{type(error).__name__}: {error}")
        if problems:
            unreadable.append((str(document.get("id"))[:255], problems[0]))
    return records, tuple(unreadable)


def order_of(ecosystem: Ecosystem) -> Order:
    """Return the order of an ecosystem's versions. It also orders the spellings of versions that authors of advisories
    use."""

    @cache
    def key_of(name: str) -> Any:
        try:
            return ecosystem.range_order(name)
        except ValueError:
            # The name may be a tag of a repository, such as v1.2.
            bare = name.strip().removeprefix("v").removeprefix("V")
            if bare == name:
                raise
            return ecosystem.range_order(bare)

    return key_of


def _sorted(versions: Sequence[str], order: Order) -> tuple[list[tuple[Any, int]], list[int]]:
    """Return (key, index) of the versions in ascending order, and the indices of the versions that have no order."""
    orderable: list[tuple[Any, int]] = []
    unorderable: list[int] = []
    for index, name in enumerate(versions):
        try:
            orderable.append((order(name), index))
        except ValueError:
            unorderable.append(index)
    orderable.sort(key=lambda entry: entry[0])
    return orderable, unorderable


def _spans(record: Record, keys: Sequence[Any], order: Order) -> Iterator[Span]:
    """Yield what a record affects: its ranges, and the versions that it lists in any spelling."""
    for each in record.ranges:
        yield from each.spans(keys)
    for name in record.listed:
        with suppress(ValueError):
            key = order(name)
            start = bisect_left(keys, key)
            if start < len(keys) and keys[start] == key:
                yield start, bisect_right(keys, key)


def _runs(spans: Sequence[Iterable[Span]], length: int) -> Iterator[tuple[Span, frozenset[int]]]:
    """Yield runs of the indices below `length`. Within a run the same records have a span; they are given by their
    numbers in `spans`."""
    steps: dict[int, dict[int, int]] = {0: {}, length: {}}
    for number, found in enumerate(spans):
        for start, end in found:
            for at, step in ((start, 1), (end, -1)):
                counts = steps.setdefault(at, {})
                counts[number] = counts.get(number, 0) + step
    active: dict[int, int] = {}
    for start, end in pairwise(sorted(steps)):
        for number, step in steps[start].items():
            active[number] = active.get(number, 0) + step
            if not active[number]:
                del active[number]
        yield (start, end), frozenset(active)


def _named(names: Sequence[str], assessment: Assessment) -> Iterator[tuple[str, Rating]]:
    return zip(names, map(assessment.ratings.__getitem__, assessment.rating_numbers), strict=True)


def _elements(document: Document) -> int:
    affected = document.get("affected")
    return len(affected) if isinstance(affected, list | tuple) else 1
