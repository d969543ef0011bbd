"""Archives on a server: the end of a zip by ranges, anything else streamed to a file that no one else sees."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, BinaryIO, Protocol, TypeVar, cast

import anyio.to_thread

from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.archives.sparse import MissingBytes, SparseFile
from securechain_ingest.errors import Unavailable

T = TypeVar("T")

_PIECE_BYTES = 1024 * 1024

# End, directory, and a few members that lie apart; beyond, one download is cheaper.
MAX_RANGES = 6
# A directory at its own limit and the members of the same.
MAX_RANGED_BYTES = 32 * 1024 * 1024


class Range(Protocol):
    """Bytes of an artifact: `data` from offset `first`, of `size` bytes in all."""

    @property
    def data(self) -> bytes: ...
    @property
    def first(self) -> int: ...
    @property
    def size(self) -> int: ...


class HttpClient(Protocol):
    """What is needed of one; raises UpstreamError."""

    async def get_range(self, url: str, first: int, last: int) -> Range | None: ...
    async def download(self, url: str, file: BinaryIO, *, limit_bytes: int) -> int: ...


class ArchiveReader:
    def __init__(self, http: HttpClient, pool: ParserPool, spool_dir: Path, max_artifact_bytes: int) -> None:
        self._http = http
        self._pool = pool
        self._spool_dir = spool_dir
        self._max_artifact_bytes = max_artifact_bytes

    async def parse_ranged(
        self,
        url: str,
        size: int | None,
        parse: Callable[[BinaryIO], T],
        *,
        window_bytes: int,
        sha256: str | None = None,
    ) -> T:
        """`parse` over a file of which only `window_bytes` are fetched, then what it turns out to need.

        The window is the file's end; if its size is unknown its beginning, which tells the size and often is the whole.
        The artifact is downloaded whole if the server ignores ranges or disagrees about the size, or `parse` wants too
        many pieces. Raises UpstreamError, among them Unavailable for a whole that has not the digest `sha256`, and what
        ParserPool.run raises.
        """
        segments: list[tuple[int, bytes]] = []
        first, last = (max(0, size - window_bytes), size - 1) if size else (0, window_bytes - 1)
        for _ in range(MAX_RANGES):
            answer = await self._http.get_range(url, first, last)
            if answer is None:
                break
            size = size or answer.size
            last = min(last, size - 1)
            if answer.size != size or answer.first != first or len(answer.data) != last - first + 1:
                break
            segments.append((first, answer.data))
            if len(answer.data) == size:
                _check(hashlib.sha256(answer.data).hexdigest(), sha256, url)
            try:
                return await self._pool.run(_parse_segments, parse, size, segments)
            except MissingBytes as missing:
                first, last = missing.first, missing.last
                if last == size - 1:  # a zip's end record, a few bytes; its directory is in front of it
                    first = min(first, max(len(segments[0][1]), size - window_bytes))
            if sum(len(data) for _, data in segments) + last - first >= MAX_RANGED_BYTES:
                break
        return await self.parse_whole(url, parse, sha256=sha256)

    async def parse_whole(
        self, url: str, parse: Callable[[BinaryIO], T], *, limit_bytes: int | None = None, sha256: str | None = None
    ) -> T:
        """`parse` over a downloaded copy, gone afterwards.

        Raises UpstreamError, among them Unavailable for what has not the digest `sha256`, and what ParserPool.run
        raises.
        """
        # A file without a name: nothing is left behind, however the daemon ends. Children open it through their parent.
        with tempfile.TemporaryFile(dir=self._spool_dir) as spool:
            limit = self._max_artifact_bytes if limit_bytes is None else limit_bytes
            await self._http.download(url, cast(BinaryIO, spool), limit_bytes=limit)
            spool.flush()
            if sha256 is not None:
                _check(await anyio.to_thread.run_sync(_digest, spool), sha256, url)
            return await self._pool.run(parse_path, parse, f"/proc/{os.getpid()}/fd/{spool.fileno()}")


def _digest(file: IO[bytes]) -> str:
    found = hashlib.sha256()
    file.seek(0)
    while piece := file.read(_PIECE_BYTES):
        found.update(piece)
    return found.hexdigest()


def _check(found: str, told: str | None, url: str) -> None:
    if told is not None and found != told:
        name = url.rpartition("/")[2]
        raise Unavailable(f"{name} is not the archive that its registry tells of: its SHA-256 is {found}", url=url)


def parse_path(parse: Callable[[BinaryIO], T], path: str) -> T:
    with Path(path).open("rb") as file:
        return parse(file)


def _parse_segments(parse: Callable[[BinaryIO], T], size: int, segments: list[tuple[int, bytes]]) -> T:
    with SparseFile(size, segments) as file:
        return parse(cast(BinaryIO, file))


def tail_window(size: int) -> int:
    """Bytes to fetch first of a wheel of `size` bytes: its directory nearly always, at most 5 % of one above 1 MB."""
    if size < 1_000_000:
        return 64 * 1024
    return min(size // 32, 64 * 1024)
