"""This module writes and reads the compressed files of a snapshot, and compares them with their digests."""

from __future__ import annotations

import hashlib
import io
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from isal import igzip, igzip_lib

from securechain_ingest.errors import SnapshotError
from securechain_ingest.snapshot.manifest import Kind, Part

_IsalError: type[Exception] = igzip_lib.IsalError  # type: ignore[assignment]  # isal's stub takes the class for an instance
_LEVEL: Final = 2
_BUFFER: Final = 1024 * 1024


class _Digest(io.RawIOBase):
    """This passes on what is written to a file, and takes the digest of it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override] # a snapshot is written from bytes alone
        self.sha256.update(data)
        self.size += len(data)
        return self._file.write(data)


class PartWriter:
    """This writes the rows of one file, which are lines of text."""

    def __init__(self, folder: Path, file: str, kind: Kind, ecosystem: str | None, first_line: str = "") -> None:
        self._file, self._kind, self._ecosystem = file, kind, ecosystem
        self._raw = (folder / file).open("wb")
        self._digest = _Digest(self._raw)
        # The name and the time that gzip would store say nothing.
        self._zip = igzip.IGzipFile("", "wb", _LEVEL, self._digest, mtime=0)  # type: ignore[no-untyped-call]
        self._buffer = io.BufferedWriter(self._zip, _BUFFER)
        self._rows = 0
        self._longest = 0
        self._buffer.write(first_line.encode())

    def write(self, line: str) -> None:
        """Write one row, which ends with a line feed."""
        data = line.encode()
        self._buffer.write(data)
        self._rows += 1
        self._longest = max(self._longest, len(data))

    def close(self) -> Part:
        """Finish the file, and return what the manifest says of it."""
        self._buffer.close()
        self._zip.close()
        self._raw.close()
        return Part(
            file=self._file,
            kind=self._kind,
            ecosystem=self._ecosystem,
            rows=self._rows,
            bytes=self._digest.size,
            longest_row=self._longest,
            sha256=self._digest.sha256.hexdigest(),
        )

    def abandon(self) -> None:
        """Close the file without finishing it."""
        self._raw.close()


@contextmanager
def lines_of(folder: Path, part: Part) -> Iterator[Iterator[str]]:
    """Yield the lines of a file. Only a line feed ends a line. It raises SnapshotError if the file cannot be read."""
    try:
        with igzip.open(folder / part.file, "rt", encoding="utf-8", newline="\n") as lines:  # type: ignore[no-untyped-call]
            yield iter(lines)
    except (OSError, EOFError, UnicodeDecodeError, _IsalError) as error:
        raise SnapshotError(f"{folder / part.file} cannot be read: copy the snapshot once more") from error


def check_digest(folder: Path, part: Part, report: Callable[[int], None]) -> None:
    """Compare a file with its digest. `report` is called with the number of bytes of each piece that was read.

    It raises SnapshotError if the file is missing, cut off or different.
    """
    path = folder / part.file
    digest = hashlib.sha256()
    try:
        state = path.stat()
        # A pipe or a device would never end.
        if not stat.S_ISREG(state.st_mode):
            raise SnapshotError(f"{path} is no file: copy the snapshot once more")
        if state.st_size != part.bytes:
            raise SnapshotError(
                f"{path} has {state.st_size} bytes instead of {part.bytes}: copy the snapshot once more"
            )
        with path.open("rb") as file:
            while piece := file.read(_BUFFER):
                digest.update(piece)
                report(len(piece))
    except OSError as error:
        raise SnapshotError(f"{path} cannot be read ({error.strerror}): copy the snapshot once more") from error
    if digest.hexdigest() != part.sha256:
        raise SnapshotError(f"{path} is not the file that was exported: copy the snapshot once more")
