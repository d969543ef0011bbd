"""Archives on a server: the end of a zip by ranges, anything else streamed to a file that no one else sees."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, BinaryIO, Protocol, Self, TypeVar, cast

import anyio.to_thread

from securechain_ingest.archives.faults import CPU_TIME, MEMORY, TIME
from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.archives.sparse import MissingBytes, SparseFile
from securechain_ingest.errors import ArchiveRefused, Unavailable

T = TypeVar("T")

_WORDS = {CPU_TIME: "processor time", TIME: "time", MEMORY: "memory"}
_PIECE_BYTES = 1024 * 1024

# End, directory, and a few members that lie apart; beyond, one download is cheaper.
MAX_RANGES = 6
# A directory at its own limit and the members of the same.
MAX_RANGED_BYTES = 32 * 1024 * 1024


class ArtifactBytes(Protocol):
    """Bytes of an artifact: `data` from offset `first`, of `size` bytes in all."""

    @property
    def data(self) -> bytes: ...
    @property
    def first(self) -> int: ...
    @property
    def size(self) -> int: ...


class ArtifactSource(Protocol):
    """What is needed of one; raises UpstreamError."""

    async def get_range(self, url: str, first: int, last: int) -> ArtifactBytes | None: ...
    async def download(self, url: str, file: BinaryIO, *, limit_bytes: int) -> int: ...


class Refusals(Protocol):
    """What remembers the archives, each under a text of its own, that took more than a parse may have."""

    async def recall(self, archive: str) -> str | None:
        """The reason, one of LIMIT_REASONS; None: nothing is known against it."""
        ...

    async def remember(self, archive: str, refused: ArchiveRefused) -> None: ...


class ArchiveReader:
    """Reads archives with the parsers of one ecosystem.

    One that ran into a limit of ours on processor time, time or memory is refused without a request as long as
    `refusals` remembers it: under its URL, the digest that its registry tells, and the parser's word.
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
        """The same for a parser, by its name and version."""
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
        """`parse` over a file of which only `window_bytes` are fetched, then what it turns out to need.

        The window is the file's end; if its size is unknown its beginning, which tells the size and often is the whole.
        The artifact is downloaded whole if the server ignores ranges or disagrees about the size, or `parse` wants too
        many pieces. Raises UpstreamError, among them Unavailable for a whole that has not the digest `sha256`, and what
        ParserPool.run raises.
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
        """`parse` over a downloaded copy, gone afterwards.

        Raises UpstreamError, among them Unavailable for what has not the digest `sha256`, and what ParserPool.run
        raises.
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
