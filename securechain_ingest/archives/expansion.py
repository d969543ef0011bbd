"""This module reads a compressed file as a stream, with a limit on the bytes that really come out of it."""

from __future__ import annotations

import bz2
import lzma
from collections.abc import Callable, Iterator
from typing import Protocol

from isal import igzip_lib

from securechain_ingest.archives.limits import ExpansionBudget
from securechain_ingest.errors import ArchiveRefused

_CHUNK_BYTES = 128 * 1024
_IsalError: type[Exception] = igzip_lib.IsalError  # type: ignore[assignment]  # isal's stub takes the class for an instance
_XZ_MEMORY_BYTES = 256 * 1024 * 1024


class Readable(Protocol):
    """The functions here need no more of a file than this."""

    def read(self, size: int, /) -> bytes: ...


class _Decompressor(Protocol):
    """The decompressors of bz2, lzma and isal have this in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


_KINDS: dict[bytes, Callable[[], _Decompressor]] = {
    b"\x1f\x8b": lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP),
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\0": lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY_BYTES),
}


def expand(file: Readable) -> Iterator[bytes]:
    """Return the contents in chunks. A file that gzip, bzip2 or xz compressed is known by its first bytes and is
    decompressed; any other file is returned as it is.

    As the usual tools do, this treats compressed members that follow one another as one stream, and ignores any other
    bytes that follow. A file that compress(1) made raises ArchiveRefused at once. The iterator raises ArchiveRefused
    (`truncated`, `damaged`) when it comes to what is wrong.
    """
    head = file.read(_CHUNK_BYTES)
    for magic, make in _KINDS.items():
        if head.startswith(magic):
            return _expanded(file, head, magic, make)
    if head.startswith(b"\x1f\x9d"):
        raise ArchiveRefused("packed by compress(1)", reason="unsupported_compression")
    return _plain(file, head)


def _plain(file: Readable, data: bytes) -> Iterator[bytes]:
    while data:
        yield data
        data = file.read(_CHUNK_BYTES)


def _expanded(file: Readable, data: bytes, magic: bytes, make: Callable[[], _Decompressor]) -> Iterator[bytes]:
    decompressor = make()
    while True:
        try:
            chunk = decompressor.decompress(data, _CHUNK_BYTES)
        except (OSError, ValueError, EOFError, lzma.LZMAError, _IsalError) as error:
            raise ArchiveRefused(f"the compressed stream is damaged: {error}", reason="damaged") from error
        if chunk:
            yield chunk
        data = b""
        if decompressor.eof:
            data = decompressor.unused_data
            if len(data) < len(magic):
                data += file.read(_CHUNK_BYTES)
            if not data.startswith(magic):
                return
            decompressor = make()
        elif decompressor.needs_input:
            data = file.read(_CHUNK_BYTES)
            if not data:
                raise ArchiveRefused("the compressed stream is cut off", reason="truncated")


class ExpandedStream:
    """This reads from the chunks of `expand` and skips over them: at most `limit_bytes` bytes in all, and at most what
    is left of the budget."""

    def __init__(self, chunks: Iterator[bytes], limit_bytes: int, budget: ExpansionBudget | None = None) -> None:
        self._chunks = chunks
        self._limit_bytes = limit_bytes
        self._budget = budget
        self._expanded_bytes = 0
        self._buffer = b""
        self._position = 0

    def _refill(self) -> bool:
        chunk = next(self._chunks, b"")
        self._buffer, self._position = chunk, 0
        self._expanded_bytes += len(chunk)
        if self._budget is not None:
            self._budget.take_expanded(len(chunk))
        if self._expanded_bytes > self._limit_bytes:
            raise ArchiveRefused(f"expands to more than {self._limit_bytes} bytes", reason="expanded_too_large")
        return bool(chunk)

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes, or fewer at the end."""
        data = self._buffer[self._position : self._position + size]
        self._position += len(data)
        if len(data) == size:
            return data
        pieces = [data]
        missing = size - len(data)
        while missing and self._refill():
            pieces.append(self._buffer[:missing])
            self._position = len(pieces[-1])
            missing -= self._position
        return b"".join(pieces)

    def skip(self, size: int) -> int:
        """Skip `size` bytes. Return how many there were."""
        left = size
        while left:
            step = min(left, len(self._buffer) - self._position)
            self._position += step
            left -= step
            if left and not self._refill():
                break
        return size - left
