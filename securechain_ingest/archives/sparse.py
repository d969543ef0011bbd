"""This module defines a file of which only some ranges have been fetched."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class MissingBytes(Exception):
    """The bytes from `first` to `last` (both included) are needed and have not been fetched."""

    def __init__(self, first: int, last: int) -> None:
        super().__init__(first, last)
        self.first = first
        self.last = last


class SparseFile(io.RawIOBase):
    """This is a seekable, read-only file of `size` bytes. It consists of the segments (offset, data) that have been
    fetched, which may overlap.

    A read returns exactly what the whole file would return, or raises MissingBytes with the first gap in it.
    """

    def __init__(self, size: int, segments: Sequence[tuple[int, bytes]]) -> None:
        super().__init__()
        self._size = size
        self._segments = sorted(segments, key=lambda segment: segment[0])
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if start + offset < 0:
            msg = f"negative seek position {start + offset}"
            raise ValueError(msg)
        self._position = start + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def read(self, size: int | None = -1, /) -> bytes:
        end = self._size if size is None or size < 0 else min(self._position + size, self._size)
        pieces: list[bytes] = []
        position = self._position
        for offset, data in self._segments:
            if position < end and offset <= position < offset + len(data):
                pieces.append(data[position - offset : end - offset])
                position += len(pieces[-1])
        if position < end:
            raise MissingBytes(position, min([end, *(offset for offset, _ in self._segments if offset > position)]) - 1)
        self._position = max(position, self._position)
        return b"".join(pieces)

    def readall(self) -> bytes:
        return self.read()
