"""The registry's daily database dump has every crate and the state of its versions (registries.md, section 5).

Two of its tables are read, from a zip's members that were fetched one by one, or from the whole as a tar. Their rows
are in no order, so that a number is kept for each crate and no list. Parsing processes run this.
"""

from __future__ import annotations

import csv
import io
import sys
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final, TextIO, cast

from isal import isal_zlib

from securechain_ingest.archives.expansion import ExpandedStream, expand
from securechain_ingest.archives.faults import tell
from securechain_ingest.archives.limits import ArchiveLimits, ExpansionBudget
from securechain_ingest.archives.sparse import MissingBytes, SparseFile
from securechain_ingest.archives.tars import iterate_tar
from securechain_ingest.archives.zip_directory import LOCAL_HEADER, read_directory
from securechain_ingest.errors import ArchiveRefused, Malformed
from securechain_ingest.registries.cargo.revision import revision, version_digest
from securechain_ingest.registries.feed import Listed, ListingPage, paged

TABLES: Final = ("crates.csv", "versions.csv")

_LOCAL_EXTRA_BYTES: Final = 4096
"""A member's own header may have longer extra fields than the directory's; this is room for them."""
_STORED, _DEFLATED = 0, 8
_PIECE_BYTES = 1024 * 1024
_TAR_LIMITS: Final = ArchiveLimits(max_members=1000, max_expanded_bytes=64 * 1024**3)
_IsalError: type[Exception] = isal_zlib.error  # type: ignore[assignment]  # isal's stub takes the class for an instance


@dataclass(frozen=True, slots=True)
class Member:
    """This is one table in a zip: where it is, and what it must turn out to be."""

    first: int
    last: int
    """The bytes from `first` to `last`, both included, are fetched."""
    method: int
    compressed_size: int
    size: int
    crc32: int


def find_tables(size: int, tail: bytes, limits: ArchiveLimits, url: str) -> dict[str, Member]:
    """Return where the two tables are in a zip of `size` bytes, which its last bytes say. It raises Malformed."""
    try:
        members = read_directory(cast(BinaryIO, SparseFile(size, [(size - len(tail), tail)])), ExpansionBudget(limits))
    except (ArchiveRefused, MissingBytes) as error:
        raise Malformed(f"{url} is no zip that can be read ({error})", url=url) from error
    found = {}
    for member in members:
        table = member.name.rpartition("/")[2]
        if table in TABLES:
            length = LOCAL_HEADER.size + len(member.raw_name) + _LOCAL_EXTRA_BYTES + member.compressed_size
            last = min(member.offset + length, size) - 1
            found[table] = Member(member.offset, last, member.method, member.compressed_size, member.size, member.crc32)
    for table in TABLES:
        if table not in found:
            raise Malformed(f"{url} has no table {table}", url=url)
    return found


def parse_zip_members(members: Mapping[str, tuple[Path, Member]], url: str) -> list[ListingPage]:
    """Return the listing, read from files that have the bytes of the two members. It raises Malformed."""
    listing = _DumpListing(url)
    for table in TABLES:
        file, member = members[table]
        with file.open("rb") as packed:
            listing.read(table, _text(_Pieces(_expanded(packed, member, f"{table} of {url}", url))))
    return listing.pages()


def parse_tar(file: Path, url: str) -> list[ListingPage]:
    """Return the listing, read from the whole dump as `.tar.gz`. It raises Malformed."""
    listing = _DumpListing(url)
    read = set()
    try:
        with file.open("rb") as packed:
            stream = ExpandedStream(expand(packed), _TAR_LIMITS.max_expanded_bytes)
            for member in iterate_tar(stream, _TAR_LIMITS):
                table = member.name.rpartition("/")[2]
                if member.is_file and table in TABLES:
                    listing.read(table, _text(_Pieces(iter(partial(member.read, _PIECE_BYTES), b""))))
                    read.add(table)
            # Only the very end tells whether the file is whole.
            while stream.read(_PIECE_BYTES):
                pass
    except ArchiveRefused as error:
        raise Malformed(f"{url} is damaged ({error})", url=url) from error
    for table in TABLES:
        if table not in read:
            raise Malformed(f"{url} has no table {table}", url=url)
    return listing.pages()


class _DumpListing:
    """This collects names and sums of digests by the crates' ids, from the tables in either order."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._names: dict[str, str] = {}
        self._sums: dict[str, int] = {}

    def read(self, table: str, text: TextIO) -> None:
        """Read one table. It raises Malformed."""
        csv.field_size_limit(sys.maxsize)
        try:
            if table == "crates.csv":
                for crate, name in self._rows(table, text, "id", "name"):
                    self._names[crate] = name
            else:
                sums = self._sums
                for crate, number, yanked in self._rows(table, text, "crate_id", "num", "yanked"):
                    sums[crate] = sums.get(crate, 0) + version_digest(number, yanked in {"t", "true"})
        except (csv.Error, UnicodeDecodeError) as error:
            raise Malformed(f"{table} of {self._url} is damaged ({error})", url=self._url) from error

    def pages(self) -> list[ListingPage]:
        """Crates without a version are left out: nothing can be required of them. Malformed is raised if none is
        left."""
        if not self._names or not self._sums:
            raise Malformed(f"{self._url} has tables without rows", url=self._url)
        entries = (
            Listed(name, revision([self._sums[crate]])) for crate, name in self._names.items() if crate in self._sums
        )
        return list(paged(entries))

    def _rows(self, table: str, text: TextIO, *columns: str) -> Iterator[tuple[str, ...]]:
        rows = csv.reader(text, strict=True)
        header = next(rows, [])
        if not set(columns) <= set(header):
            raise Malformed(f"{table} of {self._url} lacks one of the columns {', '.join(columns)}", url=self._url)
        indexes = [header.index(column) for column in columns]
        left_out = 0
        for row in filter(None, rows):
            if len(row) == len(header):
                yield tuple(row[index] for index in indexes)
            else:
                left_out += 1
        if left_out:
            tell("lines_unreadable", url=self._url, count=left_out, first=f"a row of {table} of another length")


def _expanded(packed: BinaryIO, member: Member, what: str, url: str) -> Iterator[bytes]:
    """Yield a member's contents in pieces, and check them against the directory's size and CRC at the end."""
    header = packed.read(LOCAL_HEADER.size)
    if len(header) < LOCAL_HEADER.size or not header.startswith(b"PK\x03\x04"):
        raise Malformed(f"{what} has no local header", url=url)
    packed.seek(sum(LOCAL_HEADER.unpack(header)[-2:]), io.SEEK_CUR)
    left, size, crc32 = member.compressed_size, 0, 0
    inflate = isal_zlib.decompressobj(-15)
    while left:
        piece = packed.read(min(left, _PIECE_BYTES))
        if not piece:
            raise Malformed(f"{what} is cut off", url=url)
        left -= len(piece)
        if member.method == _DEFLATED:
            try:
                piece = inflate.decompress(piece)
            except _IsalError as error:
                raise Malformed(f"{what} does not decompress ({error})", url=url) from error
        elif member.method != _STORED:
            raise Malformed(f"{what} is compressed by method {member.method}", url=url)
        size, crc32 = size + len(piece), zlib.crc32(piece, crc32)
        if size > member.size:
            break
        yield piece
    if (size, crc32) != (member.size, member.crc32):
        raise Malformed(f"{what} is not what the zip's directory announces", url=url)


class _Pieces(io.RawIOBase):
    """This makes a readable file of an iterator of bytes."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._held = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # narrower than any buffer
        while not self._held:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._held = memoryview(piece)
        count = min(len(buffer), len(self._held))
        buffer[:count] = self._held[:count]
        self._held = self._held[count:]
        return count


def _text(raw: _Pieces) -> TextIO:
    return io.TextIOWrapper(io.BufferedReader(raw, _PIECE_BYTES), encoding="utf-8", newline="")
