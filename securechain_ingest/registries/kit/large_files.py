"""This module fetches files that are too large for one request, part by part."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import anyio

from securechain_ingest.errors import Unavailable
from securechain_ingest.http.client import HttpClient

PART_BYTES: Final = 16 * 1024 * 1024
_MOST_BYTES: Final = 32 * 1024 * 1024 * 1024


async def fetch(http: HttpClient, url: str, file: Path, *, go_on: bool = False) -> None:
    """Fetch the whole file, in parts, or in one request if the server ignores ranges. It raises UpstreamError.

    With `go_on`, what `file` has is kept: the caller knows that it is the beginning of the same file.
    """
    start = await http.get_range(url, 0, 0)
    if start is None:
        with file.open("wb") as copy:
            await http.download(url, copy, limit_bytes=_MOST_BYTES)
        return
    async with await anyio.open_file(file, "ab" if go_on else "wb") as copy:
        await _copy(http, url, copy, await copy.tell(), start.size - 1, start.size)


async def fetch_range(http: HttpClient, url: str, file: Path, first: int, last: int, size: int) -> None:
    """Fetch the bytes from `first` to `last` (both included) of a file of `size` bytes. It raises UpstreamError, which
    is Unavailable if another file replaces this one meanwhile."""
    async with await anyio.open_file(file, "wb") as copy:
        await _copy(http, url, copy, first, last, size)


async def _copy(http: HttpClient, url: str, copy: anyio.AsyncFile[bytes], first: int, last: int, size: int) -> None:
    validator = None
    for start in range(first, last + 1, PART_BYTES):
        part = await http.get_range(url, start, min(start + PART_BYTES - 1, last))
        if part is None or part.size != size or part.headers.get("etag") != (validator or part.headers.get("etag")):
            raise Unavailable(f"{url} was replaced by another file while it was read", url=url)
        validator = part.headers.get("etag")
        await copy.write(part.data)
