"""A compressed file read as a stream, with a limit on the bytes that really come out."""

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
    """What is needed of a file."""

    def read(self, size: int, /) -> bytes: ...


class _Decompressor(Protocol):
    """What bz2, lzma and isal agree on."""

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
    """The contents in chunks: what gzip, bzip2 or xz packed (known by its first bytes), anything else as it stands.

    As the tools do, members that follow one another are one stream, and whatever else follows is ignored.
    Raises ArchiveRefused (`truncated`, `damaged`) when it gets there.
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
    """Reads and skips over the chunks of `expand`, at most `limit_bytes` in all and as many as the budget has."""

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
        """`size` bytes, fewer at the end."""
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
        """Leave out `size` bytes; how many there were."""
        left = size
        while left:
            step = min(left, len(self._buffer) - self._position)
            self._position += step
            left -= step
            if left and not self._refill():
                break
        return size - left
