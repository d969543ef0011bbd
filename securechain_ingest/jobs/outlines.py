"""This module keeps what the graph had of each package of an ecosystem while a registry's whole list is compared with
it.

It keeps that in a file that goes when it is closed, or when its process ends. So a comparison takes the same memory
however many packages there are.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple

import anyio.to_thread
import orjson

from securechain_ingest.errors import StoreError
from securechain_ingest.graph.names import PackageNames, WalkedPackage
from securechain_ingest.model import Ecosystem

_COMPLETE, _REMOVED, _AWAITED = 1, 2, 4
_NOT_PRESENT: Final = _REMOVED | _AWAITED

# Nothing in the file is needed after a crash, so that nothing is done to keep it whole. The walk comes in the order of
# the purls, and so each row is added behind the last one.
_SCHEMA: Final = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE outlines (purl TEXT PRIMARY KEY, number INTEGER, kind INTEGER, revision INTEGER) WITHOUT ROWID;
BEGIN;
"""
_ADD: Final = "INSERT OR IGNORE INTO outlines VALUES (?, ?, ?, ?)"
# CROSS JOIN: each name is sought in the table, and not the other way round.
_FIND: Final = """
SELECT purl, number, kind, revision FROM json_each(?) AS asked CROSS JOIN outlines ON outlines.purl = asked.value
"""
_COUNT_PRESENT: Final = "SELECT count(*) FROM outlines WHERE kind & ? = 0"


class Outline(NamedTuple):
    """This is what is kept of a package; the text of its revision is not."""

    kind: int
    revision: int

    @property
    def is_complete(self) -> bool:
        return bool(self.kind & _COMPLETE)

    @property
    def is_removed(self) -> bool:
        return bool(self.kind & _REMOVED)

    def is_of(self, revision: str) -> bool:
        """Return whether the graph had the package in this state. Of two different states this is true once in 2^64
        cases."""
        return self.revision == hash(revision)


class Outlines:
    """These are the outlines of an ecosystem's packages. They are filled first and asked afterwards.

    Any thread may use them, one at a time. The methods raise StoreError if the file cannot be written or read.
    """

    def __init__(self, folder: Path) -> None:
        """The file lies in `folder`, which is made if it does not exist, and has no name there."""
        with _kept_in(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=folder) as file:
                self._rows = sqlite3.connect(file.name, isolation_level=None, check_same_thread=False)
            self._rows.executescript(_SCHEMA)
        self._folder = folder
        self._count = 0
        self._listed = bytearray()
        """It has a bit for each number."""
        self._listed_present = 0

    def close(self) -> None:
        self._rows.close()

    def add(self, packages: Iterable[WalkedPackage]) -> None:
        self._add(
            (purl, (_COMPLETE if is_complete else 0) | (_REMOVED if is_removed else 0), hash(revision or ""))
            for purl, is_complete, revision, is_removed in packages
        )

    def add_awaited(self, purls: Iterable[str]) -> None:
        """Add packages that are only required. One that the graph has as well must have been added before."""
        self._add((purl, _AWAITED, 0) for purl in purls)

    def listed(self, purls: Collection[str]) -> Iterator[tuple[str, Outline]]:
        """Note that the registry lists these packages. Yield each purl that the graph had or awaited, with its
        outline.

        They are not kept: with thousands of them at hand the garbage collector takes as long as the search.
        """
        listed = self._listed
        for purl, number, kind, revision in self._find(purls):
            byte, bit = number >> 3, 1 << (number & 7)
            if not listed[byte] & bit:
                listed[byte] |= bit
                self._listed_present += not kind & _NOT_PRESENT
            yield purl, Outline(kind, revision)

    def count_unlisted(self) -> int:
        """Return how many packages of the graph that are not marked as gone have not been found in the list so far."""
        with _kept_in(self._folder):
            [present] = self._rows.execute(_COUNT_PRESENT, (_NOT_PRESENT,)).fetchone()
        return int(present) - self._listed_present

    def unlisted(self, purls: Collection[str]) -> set[str]:
        """Return those of the packages that the graph had, not marked as gone, and that the list lacks."""
        return {
            purl
            for purl, number, kind, _ in self._find(purls)
            if not (kind & _NOT_PRESENT or self._listed[number >> 3] & 1 << (number & 7))
        }

    def _add(self, rows: Iterable[tuple[str, int, int]]) -> None:
        numbers = count(self._count)
        with _kept_in(self._folder):
            self._rows.executemany(_ADD, ((purl, next(numbers), kind, revision) for purl, kind, revision in rows))
        self._count = next(numbers)
        self._listed.extend(bytes((self._count + 7) // 8 - len(self._listed)))

    def _find(self, purls: Collection[str]) -> Iterator[tuple[str, int, int, int]]:
        with _kept_in(self._folder):
            yield from self._rows.execute(_FIND, (orjson.dumps(list(purls)).decode(),))


@contextmanager
def _kept_in(folder: Path) -> Iterator[None]:
    """Raise StoreError for what the file system refuses."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{folder} cannot keep what the graph has while a list is compared: {error}") from error


@asynccontextmanager
async def outlines(
    names: PackageNames, ecosystem: Ecosystem, folder: Path, *, awaited: bool
) -> AsyncIterator[Outlines]:
    """Walk the packages of an ecosystem, and with `awaited` those that are only required, and yield their outlines. It
    raises StoreError.
    """
    with closing(await anyio.to_thread.run_sync(Outlines, folder)) as found:
        async for packages in names.walk(ecosystem):
            await anyio.to_thread.run_sync(found.add, packages)
        if awaited:
            async for purls in names.walk_awaited(ecosystem):
                await anyio.to_thread.run_sync(found.add_awaited, purls)
        yield found
