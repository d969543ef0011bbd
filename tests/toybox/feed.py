"""This is the toy registry's list of names and its changes; each change has the next serial number."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.errors import CursorLost, Malformed
from securechain_ingest.http.client import HttpClient
from securechain_ingest.registries.feed import Change, ChangesPage, Listed, ListingPage, paged
from securechain_ingest.registries.kit.documents import read_document
from securechain_ingest.registries.kit.json_documents import load_object
from tests.toybox.names import TOYBOX


class ToyboxFeed:
    """This implements `Feed`; a cursor is a serial number."""

    def __init__(self, http: HttpClient, pool: ParserPool, folder: Path) -> None:
        """Nothing has to be kept in the folder."""
        self._http = http
        self._pool = pool
        self._url = http.url("toybox_index", "names.json")

    async def head(self) -> str:
        """Return the newest serial number."""
        return str(max((0, *(await self._serials()).values())))

    async def listing(self, position: str) -> AsyncIterator[ListingPage]:
        """Yield every name with its serial number; always from the beginning."""
        for page in paged(Listed(name, str(serial)) for name, serial in (await self._serials()).items()):
            yield page

    async def changes(self, cursor: str) -> AsyncIterator[ChangesPage]:
        """Yield what has a higher serial number than the cursor, in one page; see `Feed.changes`."""
        serials = await self._serials()
        newest = max((0, *serials.values()))
        if not TOYBOX.announced.fullmatch(cursor) or int(cursor) > newest:
            raise CursorLost(f"{self._url} has come to {newest}, which is before the cursor {cursor}", url=self._url)
        news = sorted((serial, name) for name, serial in serials.items() if serial > int(cursor))
        if news:
            yield ChangesPage(tuple(Change(name, str(serial), removed=False) for serial, name in news), str(newest))

    async def _serials(self) -> dict[str, int]:
        return await read_document(self._http, self._pool, self._url, parse_names)


def parse_names(body: bytes, url: str) -> dict[str, int]:
    """Return every name with its serial number. It raises Malformed."""
    serials = load_object(body, url).get("packages")
    if not isinstance(serials, dict) or not all(type(serial) is int for serial in serials.values()):
        raise Malformed(f"{url} has no table of names with their serial numbers", url=url)
    return serials
