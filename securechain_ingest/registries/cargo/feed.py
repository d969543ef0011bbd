"""crates.io has its changes in an RSS feed, and all crates in the daily database dump (registries.md, section 5).

The RSS feed has new versions only. A comparison with the dump, which is made anew once a day, shows yanks and
deletions, and also what was published while nobody looked for longer than the feed remembers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import anyio
import orjson

from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.errors import CursorLost, NotFound
from securechain_ingest.http.client import HttpClient
from securechain_ingest.registries.cargo.dump import find_tables, parse_tar, parse_zip_members
from securechain_ingest.registries.cargo.updates import Update, parse_updates
from securechain_ingest.registries.feed import Change, ChangesPage, ListingPage
from securechain_ingest.registries.kit import large_files
from securechain_ingest.registries.kit.documents import read_document

_TAIL_BYTES: Final = 64 * 1024
_PARSE_TIMEOUT_S: Final = 3600.0


class CargoFeed:
    """This implements `Feed`; a cursor is the time of the newest version seen, and the versions of that second."""

    def __init__(self, http: HttpClient, pool: ParserPool, folder: Path) -> None:
        self._http = http
        self._pool = pool
        self._folder = folder
        self._url = http.url("crates_static", "rss/updates.xml")

    async def head(self) -> str:
        """Return the cursor of the newest version in the feed."""
        return _cursor(await self._updates())

    async def listing(self, position: str) -> AsyncIterator[ListingPage]:
        """Yield every crate that has versions, from the newest dump. It always begins from the beginning."""
        try:
            pages = await self._pages_of_zip()
        except NotFound:
            pages = None
        for page in await self._pages_of_tar() if pages is None else pages:
            yield page

    async def changes(self, cursor: str) -> AsyncIterator[ChangesPage]:
        """Yield the crates with new versions, in one page; see `Feed.changes`."""
        since = _read_cursor(cursor)
        updates = await self._updates()
        # All of the cursor's own second must still be there: else something of the same second may have gone with it.
        if since is None or not since[1] <= set(updates):
            raise CursorLost(f"{self._url} does not reach back to the cursor {cursor[:200]}", url=self._url)
        published, seen = since
        new = [
            each for each in updates if each.published > published or (each.published == published and each not in seen)
        ]
        if new:
            # The newest version of a crate is in an index file that has the others too.
            newest = {update.name: update.version for update in new}
            yield ChangesPage(tuple(Change(name, version, False) for name, version in newest.items()), _cursor(updates))

    async def _updates(self) -> list[Update]:
        return await read_document(self._http, self._pool, self._url, parse_updates)

    async def _pages_of_zip(self) -> list[ListingPage] | None:
        """The pages come from the two members that are needed; the result is None if the server gives no parts of
        the zip."""
        url = self._http.url("crates_static", "db-dump.zip")
        start = await self._http.get_range(url, 0, 0)
        if start is None:
            return None
        first = max(0, start.size - _TAIL_BYTES)
        tail = await self._http.get_range(url, first, start.size - 1)
        if tail is None or tail.size != start.size:
            return None
        tables = await self._pool.run(find_tables, tail.size, tail.data, self._pool.limits, url)
        files = {}
        try:
            for table, member in tables.items():
                files[table] = (self._folder / table, member)
                await large_files.fetch_range(
                    self._http, url, self._folder / table, member.first, member.last, tail.size
                )
            return await self._pool.run(parse_zip_members, files, url, timeout_s=_PARSE_TIMEOUT_S)
        finally:
            for file, _ in files.values():
                await anyio.Path(file).unlink(missing_ok=True)

    async def _pages_of_tar(self) -> list[ListingPage]:
        url = self._http.url("crates_static", "db-dump.tar.gz")
        copy = self._folder / "db-dump.tar.gz"
        try:
            await large_files.fetch(self._http, url, copy)
            return await self._pool.run(parse_tar, copy, url, timeout_s=_PARSE_TIMEOUT_S)
        finally:
            await anyio.Path(copy).unlink(missing_ok=True)


def _cursor(updates: list[Update]) -> str:
    newest = updates[-1].published if updates else ""
    return orjson.dumps([newest, [each[1:] for each in updates if each.published == newest]]).decode()


def _read_cursor(cursor: str) -> tuple[str, frozenset[Update]] | None:
    """The result is None if the text is not a cursor of this feed."""
    try:
        match orjson.loads(cursor):
            case [str(published), list(seen)] if all(isinstance(each, list) and len(each) == 2 for each in seen):
                return published, frozenset(Update(published, str(name), str(version)) for name, version in seen)
    except orjson.JSONDecodeError:
        pass
    return None
