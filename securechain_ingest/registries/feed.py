"""What an ecosystem's feed answers: every name that its registry has, and what has changed there since a cursor.

A cursor is a text that only its feed understands. It stands for values seen in the source, never for our clock.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol, cast

import orjson
from isal import isal_zlib

from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.http.client import HttpClient

PAGE_NAMES = 10_000
"""Names in one page of a listing, at most."""


class Listed(NamedTuple):
    """A package as a listing has it."""

    name: str
    """As the registry spells it."""
    revision: str | None
    """What `Package.revision` is in this state of the package; None if the listing does not tell.

    Two revisions are only ever equal or not: a lower number is news, too, for a registry that was restored may have
    given its numbers anew.
    """
    at_least: str | None = None
    """As in a Change: what the listing has of the package that its own document may lack; None if that cannot be."""


class Change(NamedTuple):
    """A package that is said to have changed. It may be named for nothing, and more than once."""

    name: str
    at_least: str | None
    """What its document must have reached to show the change (see `Registry.fetch`); None if the feed does not tell."""
    removed: bool
    """The whole package is said to be gone; only the registry's document can confirm it."""


@dataclass(frozen=True, slots=True)
class ChangesPage:
    """One page of changes, in their order."""

    changes: tuple[Change, ...]
    cursor: str
    """To be kept once the changes are queued for good."""


@dataclass(frozen=True, slots=True)
class ListingPage:
    """Some of the names, packed: a listing is kept in Redis, and much of it comes from a parsing process."""

    packed: bytes
    names: int
    """How many there are in it; at most PAGE_NAMES."""
    position: str
    """Where the listing goes on after this page; empty if it can only begin again."""


def pack(entries: Iterable[Listed]) -> bytes:
    """The content of a ListingPage."""
    return isal_zlib.compress(orjson.dumps([entry[: 3 if entry.at_least else 2] for entry in entries]), 1)


def paged(entries: Iterable[Listed]) -> Iterator[ListingPage]:
    """The pages of a listing that can only begin again."""
    left = iter(entries)
    while page := list(islice(left, PAGE_NAMES)):
        yield ListingPage(pack(page), len(page), "")


def unpack(packed: bytes) -> list[Listed]:
    """The entries of a ListingPage."""
    entries = cast(Sequence[Sequence[str]], orjson.loads(isal_zlib.decompress(packed)))
    return [Listed(*entry) for entry in entries]


class Feed(Protocol):
    """One registry's names and changes. Knows neither queue nor stores; every method raises UpstreamError."""

    async def head(self) -> str:
        """The cursor of now: whatever changes after this call is told by `changes` from it."""
        ...

    def listing(self, position: str) -> AsyncIterator[ListingPage]:
        """Every name, from the beginning ("") or behind the page that had this position. A name may come twice.

        Bounded in memory, however large the registry. A listing that breaks off raises; it never just ends.
        """
        ...

    def changes(self, cursor: str) -> AsyncIterator[ChangesPage]:
        """What has changed since the cursor, oldest first; nothing if nothing has.

        Raises CursorLost if the source was reset, went back, or no longer holds what came after the cursor; or if the
        cursor is none of its own.
        """
        ...


class FeedClass(Protocol):
    """How a feed is made; it keeps what it has to keep on disk in a folder of its own, which may be emptied."""

    def __call__(self, http: HttpClient, pool: ParserPool, folder: Path) -> Feed: ...
