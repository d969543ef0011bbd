"""This module says what an ecosystem's feed answers: every name of its registry, and what has changed since a cursor.

A cursor is a text that only its feed understands. It stands for values seen in the source, never for our clock.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast, runtime_checkable

import orjson
from isal import isal_zlib

if TYPE_CHECKING:
    from securechain_ingest.archives.pool import ParserPool
    from securechain_ingest.http.client import HttpClient

PAGE_NAMES = 10_000
"""One page of a listing has at most this many names."""


class Listed(NamedTuple):
    """This is a package as a listing has it."""

    name: str
    """The name is spelled as in the registry."""
    revision: str | None
    """This equals `Package.revision` in this state of the package; it is None if the listing does not say.

    Two revisions are only ever equal or not: a lower number is news, too, for a registry that was restored may have
    given its numbers anew.
    """
    at_least: str | None = None
    """As in a Change, this is what the package's own document may still lack; it is None if that cannot happen."""


class Change(NamedTuple):
    """A feed says of this package that it has changed. It may say so for no reason, and more than once."""

    name: str
    at_least: str | None
    """The package's document must have reached this to show the change (see `Registry.fetch`); None: the feed does not
    say."""
    removed: bool
    """The feed says that the package is gone; only the registry's document can confirm it."""
    versions_only: bool = False
    """The feed tells of versions alone, which are all gone if `removed`, and not whether the package has others."""

    @property
    def removes_package(self) -> bool:
        """Return whether the feed says that nothing is left of the package."""
        return self.removed and not self.versions_only


@dataclass(frozen=True, slots=True)
class ChangesPage:
    """This is one page of changes, in their order."""

    changes: tuple[Change, ...]
    cursor: str
    """The reader keeps this cursor once the changes are queued for good."""


@dataclass(frozen=True, slots=True)
class ListingPage:
    """This is a part of the names, packed: a listing is kept in Redis, and much of it comes from a parsing process."""

    packed: bytes
    names: int
    """The page has this many names, at most PAGE_NAMES."""
    position: str
    """The listing goes on here after this page; it is empty if the listing can only begin again."""


def pack(entries: Iterable[Listed]) -> bytes:
    """Return the content of a ListingPage."""
    return isal_zlib.compress(orjson.dumps([entry[: 3 if entry.at_least else 2] for entry in entries]), 1)


def paged(entries: Iterable[Listed]) -> Iterator[ListingPage]:
    """Yield the pages of a listing that can only begin again."""
    left = iter(entries)
    while page := list(islice(left, PAGE_NAMES)):
        yield ListingPage(pack(page), len(page), "")


def unpack(packed: bytes) -> list[Listed]:
    """Return the entries in the content of a ListingPage."""
    entries = cast(Sequence[Sequence[str]], orjson.loads(isal_zlib.decompress(packed)))
    return [Listed(*entry) for entry in entries]


class Feed(Protocol):
    """A feed gives one registry's names and changes. It knows neither queue nor stores; every method raises
    UpstreamError."""

    async def head(self) -> str:
        """Return the cursor of now: `changes` gives whatever changes after this call if it is asked from there."""
        ...

    def listing(self, position: str) -> AsyncIterator[ListingPage]:
        """Yield every name, from the beginning ("") or after the page that had this position. A name may come twice.

        It takes a bounded amount of memory, however large the registry is. A listing that breaks off raises; it never
        just ends.
        """
        ...

    def changes(self, cursor: str) -> AsyncIterator[ChangesPage]:
        """Yield what has changed since the cursor, oldest first, and nothing if nothing has.

        It raises CursorLost if the source was reset, went back, or no longer has what came after the cursor; or if the
        cursor is not one of its own.
        """
        ...


@runtime_checkable
class FolderFeed(Protocol):
    """The listing of such a feed can only go on where the files lie that it has written so far."""

    def folder_id(self) -> str:
        """Return an id that is the same for feeds of daemons that share a folder. It may block for a moment."""
        ...


@runtime_checkable
class HintingFeed(Protocol):
    """Such a feed is costly to follow, but its registry names what is newest beside it."""

    async def hints(self, seen: str) -> ChangesPage | None:
        """Return what is newest and not among what was `seen` ("": nothing was). The result is None if nothing is.

        It may lack changes. Its cursor is what to give as `seen` the next time, and none for `changes`.
        """
        ...


class FeedClass(Protocol):
    """A feed is made by this call; it keeps its files in a folder of its own, which may be emptied at any time."""

    def __call__(self, http: HttpClient, pool: ParserPool, folder: Path) -> Feed: ...
