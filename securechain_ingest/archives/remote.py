"""This module reads archives on a server. Of a zip it fetches the end by ranges; any other archive is downloaded to a
file that no other program can see."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, Protocol, Self, TypeVar, cast

import anyio.to_thread

from securechain_ingest.archives.faults import CPU_TIME, MEMORY, TIME
from securechain_ingest.archives.sparse import MissingBytes, SparseFile
from securechain_ingest.errors import ArchiveRefused, Unavailable

if TYPE_CHECKING:
    from securechain_ingest.archives.pool import ParserPool

T = TypeVar("T")

_WORDS = {CPU_TIME: "processor time", TIME: "time", MEMORY: "memory"}
_PIECE_BYTES = 1024 * 1024

# These are the end, the directory, and a few members that lie apart. One download is cheaper than more ranges.
MAX_RANGES = 6
# This is enough for a directory of the largest size, and for members of as much.
MAX_RANGED_BYTES = 32 * 1024 * 1024


class ArtifactBytes(Protocol):
    """This is a part of an artifact: `data` begins at offset `first`, and the whole artifact has `size` bytes."""

    @property
    def data(self) -> bytes: ...
    @property
    def first(self) -> int: ...
    @property
    def size(self) -> int: ...


class ArtifactSource(Protocol):
    """The reader needs this of a source of artifacts. Both methods raise UpstreamError."""

    async def get_range(self, url: str, first: int, last: int) -> ArtifactBytes | None: ...
    async def download(self, url: str, file: BinaryIO, *, limit_bytes: int) -> int: ...


class Refusals(Protocol):
    """This remembers the archives that took more than a parse may have. Each one has a text of its own as its key."""

    async def recall(self, archive: str) -> str | None:
        """Return the reason, which is one of LIMIT_REASONS, or None if the archive is not remembered."""
        ...

    async def remember(self, archive: str, refused: ArchiveRefused) -> None: ...


class ArchiveReader:
    """This reads archives with the parsers of one ecosystem.

    An archive that exceeded a limit of processor time, time or memory is refused without a request as long as
    `refusals` remembers it. Its key there consists of its URL, the digest that its registry declares, and the parser's
    name and version.
    """

    def __init__(
        self,
        http: ArtifactSource,
        pool: ParserPool,
        spool_dir: Path,
        max_artifact_bytes: int,
        refusals: Refusals | None = None,
    ) -> None:
        self._http = http
        self._pool = pool
        self._spool_dir = spool_dir
        self._max_artifact_bytes = max_artifact_bytes
        self._refusals = refusals
        self._parser = ""

    def of(self, parser: str) -> Self:
        """Return a reader like this one for a parser. `parser` is the parser's name and version."""
        reader = copy.copy(self)
        reader._parser = parser
        return reader

    async def parse_ranged(
        self,
        url: str,
        size: int | None,
        parse: Callable[[BinaryIO], T],
        *,
        window_bytes: int,
        sha256: str | None = None,
        digest: str | None = None,
    ) -> T:
        """Return what `parse` makes of a file of which only `window_bytes` are fetched at first, and later the parts
        that it turns out to need.

        The first part is the end of the file. If the size of the file is unknown, it is the beginning, which tells the
        size and often is the whole file. The whole artifact is downloaded if the server ignores ranges, if it disagrees
        about the size, or if `parse` needs too many parts.

        Raise UpstreamError, and what ParserPool.run raises. A whole artifact that does not have the digest `sha256`
        raises Unavailable.
        """
        async with self._remembering(url, sha256 or digest):
            return await self._parse_ranged(url, size, parse, window_bytes, sha256)

    async def parse_whole(
        self,
        url: str,
        parse: Callable[[BinaryIO], T],
        *,
        limit_bytes: int | None = None,
        sha256: str | None = None,
        digest: str | None = None,
    ) -> T:
        """Return what `parse` makes of a downloaded copy, which is deleted afterwards.

        Raise UpstreamError, and what ParserPool.run raises. An artifact that does not have the digest `sha256` raises
        Unavailable.
        """
        async with self._remembering(url, sha256 or digest):
            return await self._parse_whole(url, parse, limit_bytes, sha256)

    @asynccontextmanager
    async def _remembering(self, url: str, digest: str | None) -> AsyncIterator[None]:
        if self._refusals is None:
            yield
            return
        archive = hashlib.sha256(json.dumps([url, digest, self._parser]).encode()).hexdigest()
        if (reason := await self._refusals.recall(archive)) is not None:
            message = f"{url} took more {_WORDS[reason]} than a parse may have, when it was tried"
            raise ArchiveRefused(message, reason=reason)
        try:
            yield
        except ArchiveRefused as refused:
            await self._refusals.remember(archive, refused)
            raise

    async def _parse_ranged(
        self, url: str, size: int | None, parse: Callable[[BinaryIO], T], window_bytes: int, sha256: str | None
    ) -> T:
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
        return await self._parse_whole(url, parse, None, sha256)

    async def _parse_whole(
        self, url: str, parse: Callable[[BinaryIO], T], limit_bytes: int | None, sha256: str | None
    ) -> T:
        # The file has no name, so that it is gone however the daemon ends. Parser processes open its path in /proc.
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


def _check(found: str, stated: str | None, url: str) -> None:
    if stated is not None and found != stated:
        name = url.rpartition("/")[2]
        raise Unavailable(f"{name} is not the archive that its registry tells of: its SHA-256 is {found}", url=url)


def parse_path(parse: Callable[[BinaryIO], T], path: str) -> T:
    """Return what `parse` makes of the file at a path. The function is synchronous, and runs in a process of the
    pool."""
    with Path(path).open("rb") as file:
        return parse(file)


def _parse_segments(parse: Callable[[BinaryIO], T], size: int, segments: list[tuple[int, bytes]]) -> T:
    with SparseFile(size, segments) as file:
        return parse(cast(BinaryIO, file))


def tail_window(size: int) -> int:
    """Return how many bytes to fetch first of a wheel of `size` bytes. They nearly always contain its directory, and
    are at most 5 % of a wheel above 1 MB."""
    if size < 1_000_000:
        return 64 * 1024
    return min(size // 32, 64 * 1024)
