"""This module keeps documents that never change on disk, so that no registry has to give one of them twice.

A document is a file of its own, named after its URL. Files are replaced as a whole, so that several processes may share
the folder, and each carries a checksum, so that a damaged one is noticed. Losing a file, or all of them, costs a
request each.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Final, NamedTuple

import anyio.to_thread
import orjson
import structlog
from isal import isal_zlib

from securechain_ingest.together import Together

logger = structlog.get_logger(__name__)

_SHARDS: Final = 16
"""The files lie in so many folders, each of which has its share of the limit: to tidy one takes a moment."""

_TIDIED_TO: Final = 0.9
"""A folder that has more than this part of its share after tidying would soon have to be tidied again."""

MAX_BYTES: Final = 64 * 1024 * 1024
"""This is in bytes of one document, uncompressed. A larger one is not kept, and a damaged file does not unpack to
more."""

_HEAD_BYTES: Final = 64 * 1024
"""This is in bytes of what a file says beside the document itself."""

_ERRANDS: Final = 64
"""A thread does so many errands to the disk in one go: to wake it costs more than an errand."""

_GZIP: Final = 31
_BLOCK_BYTES: Final = 512
"""`st_blocks` counts in these (POSIX, sys/stat.h), whatever the file system's own blocks are."""


class KeptDocument(NamedTuple):
    body: bytes
    last_modified: str | None
    """The server's header of this name said so."""


class KeptDocuments:
    """The folder has at most `limit_bytes` on disk, and a tenth more for each further process that shares it. What was
    used longest ago goes first.

    No method raises an error of the disk: a document that cannot be kept is asked for again.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder = folder
        self._share_bytes = limit_bytes // _SHARDS
        # What this process has written into each folder since it last tidied it; at first that is not known.
        self._written = dict.fromkeys(_shards(), self._share_bytes)
        self._suffix = token_hex(8)
        """A file that is being written has this at its end; no other process has the same."""
        self._reported: set[int | None] = set()
        self._errands = Together(_done_in_a_thread, most=_ERRANDS)

    async def get(self, url: str) -> KeptDocument | None:
        """Return the document, or None if it is not kept. A damaged file is deleted."""
        return await self._errands.add(lambda: self._read(url))

    async def put(self, url: str, document: KeptDocument) -> None:
        """Keep a document that will never change. It is kept even if the caller is cancelled."""
        if len(document.body) <= MAX_BYTES:
            await self._errands.add(lambda: self._write(url, document))

    async def drop(self, url: str) -> None:
        """Forget a document, because it cannot be read."""
        await self._errands.add(lambda: self._delete(self._path(url)))

    def _path(self, url: str) -> Path:
        name = hashlib.sha256(url.encode()).hexdigest()
        return self._folder / name[0] / name[1:]

    def _read(self, url: str) -> KeptDocument | None:
        path = self._path(url)
        try:
            found = _unpacked(path.read_bytes(), url)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._tell(error)
            return None
        if found is None:
            logger.warning("kept_document_damaged", url=url, file=str(path))
            self._delete(path)
            return None
        with suppress(OSError):
            os.utime(path)  # Whatever was used last is deleted last.
        return found

    def _write(self, url: str, document: KeptDocument) -> None:
        path = self._path(url)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            written = path.with_name(f"{path.name}.{self._suffix}")
            try:
                written.write_bytes(_packed(document, url))
                size = _on_disk(written.stat())
                written.replace(path)
            except BaseException:
                self._delete(written)
                raise
        except OSError as error:
            self._tell(error)
            return
        self._tidy_if_due(path.parent, size)

    def _tidy_if_due(self, shard: Path, size: int) -> None:
        self._written[shard.name] += size
        if self._written[shard.name] > self._share_bytes * (1 - _TIDIED_TO):
            self._written[shard.name] = 0
            self._tidy(shard)

    def _tidy(self, shard: Path) -> None:
        """Delete what was used longest ago until the rest has room. Files that a killed process has left are among
        it."""
        files = sorted(_files(shard), reverse=True)
        room = int(self._share_bytes * _TIDIED_TO)
        deleted = 0
        for _, size, path in files:
            room -= size
            if room < 0:
                self._delete(Path(path))
                deleted += 1
        if deleted:
            logger.debug("kept_documents_deleted", folder=str(shard), count=deleted)

    def _tell(self, error: OSError) -> None:
        """Log what is wrong with the disk, once: a full one would be reported for every document."""
        if error.errno not in self._reported:
            self._reported.add(error.errno)
            logger.warning("documents_not_kept", folder=str(self._folder), reason=str(error))

    @staticmethod
    def _delete(path: Path) -> None:
        with suppress(OSError):
            path.unlink()


async def _done_in_a_thread(errands: Sequence[Callable[[], KeptDocument | None]]) -> list[KeptDocument | None]:
    return await anyio.to_thread.run_sync(lambda: [errand() for errand in errands])


def _shards() -> Iterator[str]:
    return (f"{number:x}" for number in range(_SHARDS))


def _files(shard: Path) -> Iterator[tuple[int, int, str]]:
    """Yield when each file was last used, in nanoseconds, its bytes on disk, and its path. What another process has
    deleted meanwhile is passed over."""
    with suppress(OSError), os.scandir(shard) as entries:
        for entry in entries:
            with suppress(OSError):
                status = entry.stat()
                yield status.st_mtime_ns, _on_disk(status), entry.path


def _on_disk(status: os.stat_result) -> int:
    return max(status.st_blocks * _BLOCK_BYTES, status.st_size)


def _packed(document: KeptDocument, url: str) -> bytes:
    head = orjson.dumps([url, document.last_modified])
    return isal_zlib.compress(head + b"\n" + document.body, wbits=_GZIP)


def _unpacked(packed: bytes, url: str) -> KeptDocument | None:
    """Return the document of this URL in a file, or None if the file is damaged."""
    unpacker = zlib.decompressobj(wbits=_GZIP)
    try:
        text = unpacker.decompress(packed, MAX_BYTES + _HEAD_BYTES)
    except zlib.error:
        return None
    head, _, body = text.partition(b"\n")
    if not unpacker.eof:
        return None
    try:
        kept = orjson.loads(head)
    except orjson.JSONDecodeError:
        return None
    match kept:
        case [str(of), (str() | None) as last_modified] if of == url:
            return KeptDocument(body, last_modified)
    return None
