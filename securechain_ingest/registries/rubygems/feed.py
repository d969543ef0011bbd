"""The compact index has a list of all gems, which is followed by its tail (registries.md, section 6).

`/versions` only grows within a month, by a line for each push or yank; at the beginning of a month it is written anew,
and a yank that is taken back removes a line. The list as it was last seen lies in the feed's folder. A cursor stands
for a state of the list by size and digest, so that any daemon can go on from it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Final

import anyio.to_thread
import orjson

from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.errors import CursorLost, Malformed
from securechain_ingest.http.client import HttpClient, Range
from securechain_ingest.registries.feed import ChangesPage, ListingPage
from securechain_ingest.registries.rubygems.gem_list import parse_listing, parse_tail

_PARSE_TIMEOUT_S: Final = 120.0
_TAIL_BYTES: Final = 64 * 1024 * 1024
"""This is in bytes, and more than a month's growth."""


class RubyGemsFeed:
    """This implements `Feed`; a cursor is a size of the list and the digest of what it had then."""

    def __init__(self, http: HttpClient, pool: ParserPool, folder: Path) -> None:
        self._http = http
        self._pool = pool
        self._file = folder / "versions"
        self._url = http.url("rubygems_index", "versions")
        self._one_reader = asyncio.Lock()

    async def head(self) -> str:
        """Return the cursor of the list as it is now."""
        content = await self._refreshed()
        return await anyio.to_thread.run_sync(_cursor_of, content)

    async def listing(self, position: str) -> AsyncIterator[ListingPage]:
        """Yield every gem that has a version left, with the MD5 of its file; it always begins from the beginning."""
        await self._refreshed()
        for page in await self._pool.run(parse_listing, self._file, self._url, timeout_s=_PARSE_TIMEOUT_S):
            yield page

    async def changes(self, cursor: str) -> AsyncIterator[ChangesPage]:
        """Yield the gems in the list's new lines, in one page; see `Feed.changes`."""
        content = await self._refreshed()
        size = await anyio.to_thread.run_sync(_size_if_prefix, cursor, content)
        if size is None:
            raise CursorLost(f"{self._url} does not begin with what it had at the cursor {cursor[:100]}", url=self._url)
        if size < len(content):
            changes = await self._pool.run(parse_tail, self._file, size, self._url, timeout_s=_PARSE_TIMEOUT_S)
            yield ChangesPage(changes, await anyio.to_thread.run_sync(_cursor_of, content))

    async def _refreshed(self) -> bytes:
        """Return the whole list of now, which also lies in the file. Jobs may want it at the same time."""
        async with self._one_reader:
            return await self._refreshed_alone()

    async def _refreshed_alone(self) -> bytes:
        held = await anyio.to_thread.run_sync(_read, self._file)
        if len(held) > 1:
            grown = await self._with_tail(held)
            if grown is not None:
                if len(grown) > len(held):
                    await anyio.to_thread.run_sync(partial(_replace, self._file, grown))
                return grown
        body = (await self._http.get(self._url)).body
        await anyio.to_thread.run_sync(partial(_replace, self._file, body))
        return body

    async def _with_tail(self, held: bytes) -> bytes | None:
        """Return what was held and what has been added since. The result is None if the list was changed in another
        way, or may have been.

        The last byte is asked for again, so that there is always something to get. The list's digest says whether both
        together are the list.
        """
        first = len(held) - 1
        try:
            tail = await self._http.get_range(self._url, first, first + _TAIL_BYTES)
        except Malformed:
            return None  # It is shorter now.
        if tail is None:
            return None
        if tail.size == len(held) and "repr-digest" not in tail.headers:
            return held
        grown = held + tail.data[1:]
        return grown if await anyio.to_thread.run_sync(_has_digest, grown, tail) else None


def _cursor_of(content: bytes) -> str:
    return orjson.dumps([len(content), hashlib.sha256(content).hexdigest()]).decode()


def _size_if_prefix(cursor: str, content: bytes) -> int | None:
    """Return the cursor's size if the list still begins with what the cursor stands for."""
    try:
        match orjson.loads(cursor):
            case [int(size), str(digest)] if 0 <= size <= len(content):
                return size if hashlib.sha256(memoryview(content)[:size]).hexdigest() == digest else None
    except orjson.JSONDecodeError:
        pass
    return None


def _has_digest(content: bytes, answer: Range) -> bool:
    """The server's digest of the whole list is that of `content` (RFC 9530); without one the answer is no."""
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
    return f"sha-256=:{digest}:" in answer.headers.get("repr-digest", "")


def _read(file: Path) -> bytes:
    return file.read_bytes() if file.exists() else b""


def _replace(file: Path, content: bytes) -> None:
    """The file is replaced as a whole or not at all."""
    new = file.with_suffix(".new")
    new.write_bytes(content)
    new.replace(file)
