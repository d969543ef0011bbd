"""NuGet's catalog has everything that ever happened, in commits, which lie in pages (registries.md, section 7)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Final

import anyio.to_thread

from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.errors import CursorLost, Malformed, NotFound, Stale
from securechain_ingest.http.client import HttpClient
from securechain_ingest.registries.feed import PAGE_NAMES, Change, ChangesPage, Listed, ListingPage, pack
from securechain_ingest.registries.kit.concurrency import for_each
from securechain_ingest.registries.kit.documents import read_document
from securechain_ingest.registries.kit.folders import folder_id
from securechain_ingest.registries.nuget.catalog import (
    CatalogPage,
    Event,
    Index,
    PageLink,
    normal_stamp,
    parse_index,
    parse_page,
)
from securechain_ingest.registries.nuget.seen_packages import SeenPackages
from securechain_ingest.registries.nuget.service_index import default_services, find_services

_JSON: Final = "application/json"
_AT_ONCE: Final = 8
"""So many pages are asked for at the same time: there are more than twenty thousand."""


class NuGetFeed:
    """This implements `Feed` and `FolderFeed`; a cursor is the time of the newest commit that was given whole."""

    def __init__(self, http: HttpClient, pool: ParserPool, folder: Path) -> None:
        self._http = http
        self._pool = pool
        self._folder = folder

    def folder_id(self) -> str:
        """Return the id of the feed's folder: a listing goes on with the files in it. See `FolderFeed.folder_id`."""
        return folder_id(self._folder)

    async def head(self) -> str:
        """Return the time of the catalog's newest commit."""
        _, index = await self._index()
        return index.stamp

    async def listing(self, position: str) -> AsyncIterator[ListingPage]:
        """Yield every package that has a version left, with the time of the newest leaf that shows one of them.

        The catalog's pages are read from the newest back, because only the last event of a version counts. A position
        is the time of a page; without the file that belongs to it the listing begins again.
        """
        _, index = await self._index()
        seen = await anyio.to_thread.run_sync(SeenPackages, self._folder / "listing.db", position)
        try:
            entries: list[Listed] = []
            links = [link for link in reversed(index.pages) if not seen.resumed or link.stamp < position]
            async for link, page in self._read(links):
                # Pages of one time hold parts of one commit: a position cannot lie between them.
                if entries and link.stamp < position and len(entries) + len(page.events) > PAGE_NAMES:
                    await anyio.to_thread.run_sync(seen.save, position)
                    yield ListingPage(pack(entries), len(entries), position)
                    entries = []
                entries += await anyio.to_thread.run_sync(seen.add, reversed(page.events))
                position = link.stamp
            if entries:
                await anyio.to_thread.run_sync(seen.save, position)
                yield ListingPage(pack(entries), len(entries), position)
        finally:
            seen.close()

    async def changes(self, cursor: str) -> AsyncIterator[ChangesPage]:
        """Yield the packages of each of the catalog's pages, once each; see `Feed.changes`."""
        url, index = await self._index()
        since = normal_stamp(cursor)
        if since is None or index.stamp < since or (index.stamp > since and not index.pages):
            raise CursorLost(
                f"{url} has come to {index.stamp}, which does not follow the cursor {cursor[:60]}", url=url
            )
        last = index.pages[-1] if index.pages else None
        async for link, page in self._read([link for link in index.pages if link.stamp > since]):
            # What is newer than the index may go on in a page that the index does not have yet.
            events = [event for event in page.events if since < event.stamp <= index.stamp]
            if link == last:
                cursor = index.stamp
            elif stamps := sorted({event.stamp for event in events}):
                # The last commit may go on in the next page.
                cursor = stamps[-2] if len(stamps) > 1 else cursor
            yield ChangesPage(_collapsed(events), cursor)

    async def _index(self) -> tuple[str, Index]:
        url = (await find_services(self._http, self._pool) or default_services(self._http)).catalog
        if url is None:
            base = self._http.url("nuget_api", "")
            raise Malformed(f"the service index of {base} names no catalog", url=base)
        return url, await read_document(self._http, self._pool, url, parse_index, accept=_JSON)

    async def _read(self, links: Sequence[PageLink]) -> AsyncIterator[tuple[PageLink, CatalogPage]]:
        """Several pages are read at the same time, and given in their order."""
        for start in range(0, len(links), _AT_ONCE):
            batch = links[start : start + _AT_ONCE]
            pages: dict[PageLink, CatalogPage] = {}

            async def ask(link: PageLink, pages: dict[PageLink, CatalogPage] = pages) -> None:
                pages[link] = await self._page(link)

            await for_each(batch, ask, at_once=_AT_ONCE, name="catalog-pages")
            for link in batch:
                yield link, pages[link]

    async def _page(self, link: PageLink) -> CatalogPage:
        try:
            page: CatalogPage = await read_document(self._http, self._pool, link.url, parse_page, accept=_JSON)
        except NotFound as error:
            raise Malformed(f"the catalog lists a page that the registry lacks: {error}", url=link.url) from error
        if page.stamp < link.stamp:
            raise Stale(f"{link.url} is of {page.stamp}, and the index has it of {link.stamp}", url=link.url)
        return page


def _collapsed(events: Iterable[Event]) -> tuple[Change, ...]:
    """Return each package once, in the order of their last events. The events come oldest first."""
    packages: dict[str, dict[str, Event]] = {}
    for event in events:
        versions = packages.pop(event.name.lower(), {})
        versions[event.version.lower()] = event
        packages[event.name.lower()] = versions
    return tuple(_change(list(versions.values())) for versions in packages.values())


def _change(last_events: Sequence[Event]) -> Change:
    """These are the last events of versions of one package. Its document must show the newest version that is there.

    The package is gone as far as these versions say.
    """
    there = [event for event in last_events if event.is_there]
    newest = max(there or last_events)
    return Change(newest.name, newest.stamp, not there, versions_only=not there)
