"""Maven Central's names and changes are in its published index and the chunks that continue it (registries.md, section
4).

It costs one request when nothing is new, and one for each chunk. The cursor is the chain of chunks and the number of
the last one that was read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

import structlog

from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.errors import Malformed, NotFound
from securechain_ingest.http.client import HttpClient
from securechain_ingest.registries.feed import ChangesPage, ListingPage
from securechain_ingest.registries.kit import large_files
from securechain_ingest.registries.kit.documents import read_document
from securechain_ingest.registries.kit.folders import folder_id
from securechain_ingest.registries.maven.index_properties import IndexProperties, cursor_of, parse_index_properties
from securechain_ingest.registries.maven.index_records import read_chunk, read_listing

logger = structlog.get_logger(__name__)

MAX_CHUNK_BYTES: Final = 1024 * 1024 * 1024

_MAX_PROPERTIES_BYTES: Final = 1024 * 1024

INDEX_TIMEOUT_S: Final = 3600.0
"""This bounds reading Central's index of some sixty million documents, which takes two minutes of one processor."""
CHUNK_TIMEOUT_S: Final = 600.0

_INDEX: Final = "nexus-maven-repository-index"

_INDEX_FILE: Final = "index-"
_CHUNK_FILE: Final = "chunk-"
"""Files in the feed's folder begin so."""


class MavenFeed:
    """This implements `Feed` and `FolderFeed`."""

    def __init__(self, http: HttpClient, pool: ParserPool, folder: Path) -> None:
        self._http = http
        self._pool = pool
        self._folder = folder

    def folder_id(self) -> str:
        """Return the id of the feed's folder: a listing goes on with the files in it. See `FolderFeed.folder_id`."""
        return folder_id(self._folder)

    async def head(self) -> str:
        return (await self._properties()).cursor

    async def listing(self, position: str) -> AsyncIterator[ListingPage]:
        """Yield every package in the index, whose file is kept until its last page was asked for. If the download
        breaks off, its part is kept.

        A position counts the pages of one publication; another publication is listed from its beginning, whatever the
        position is.
        """
        published = (await self._properties()).cursor
        before, _, pages = position.rpartition("/")
        done = int(pages) if before == published and pages.isdecimal() else 0
        url = self._http.url("maven_index", f"{_INDEX}.gz")
        path = self._folder / f"{_INDEX_FILE}{quote(published, safe='')}.gz"
        if not path.exists():
            fetched = path.with_suffix(".part")
            self._remove_left_over(f"{_INDEX_FILE}*", but=fetched)
            await large_files.fetch(self._http, url, fetched, go_on=True)
            fetched.replace(path)
        try:
            listing = await self._pool.run(read_listing, str(path), url, timeout_s=INDEX_TIMEOUT_S)
        except Malformed:
            path.unlink()
            raise
        _tell_left_out(url, listing.left_out)
        for number, (packed, names) in enumerate(listing.pages[done:], done + 1):
            yield ListingPage(packed, names, f"{published}/{number}")
        path.unlink()

    async def changes(self, cursor: str) -> AsyncIterator[ChangesPage]:
        """Yield a page for each chunk since the cursor. See `Feed.changes`."""
        self._remove_left_over(f"{_CHUNK_FILE}*")
        properties = await self._properties()
        url = self._http.url("maven_index", f"{_INDEX}.properties")
        for number in properties.chunks_after(cursor, url):
            yield await self._chunk(properties.chain, number)

    def _remove_left_over(self, files: str, *, but: Path | None = None) -> None:
        """The files are of a daemon that was killed or of another publication. A listing and changes may be read at
        the same time."""
        for left_over in self._folder.glob(files):
            if left_over != but:
                left_over.unlink()

    async def _properties(self) -> IndexProperties:
        url = self._http.url("maven_index", f"{_INDEX}.properties")
        try:
            return await read_document(
                self._http, self._pool, url, parse_index_properties, limit_bytes=_MAX_PROPERTIES_BYTES
            )
        except NotFound as error:
            raise Malformed(f"{url} does not exist: this repository publishes no index", url=url) from error

    async def _chunk(self, chain: str, number: int) -> ChangesPage:
        url = self._http.url("maven_index", f"{_INDEX}.{number}.gz")
        path = self._folder / f"{_CHUNK_FILE}{number}.gz"
        try:
            with path.open("wb") as file:
                await self._http.download(url, file, limit_bytes=MAX_CHUNK_BYTES)
            read = await self._pool.run(read_chunk, str(path), url, timeout_s=CHUNK_TIMEOUT_S)
        finally:
            path.unlink(missing_ok=True)
        _tell_left_out(url, read.left_out)
        return ChangesPage(read.changes, cursor_of(chain, number))


def _tell_left_out(url: str, left_out: int) -> None:
    if left_out:
        logger.warning("index_names_left_out", url=url, count=left_out)
