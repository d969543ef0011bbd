"""This module reads tar archives (sdists, npm tarballs, crates, gems) as a stream.

The formats are POSIX.1-2001 pax, ustar, and GNU's long names and binary numbers. The rules are:

- An archive is refused if it has more members or more expanded bytes than the limits, a device or a FIFO, a sparse file
  (its size is a claim without bytes behind it), a header with a wrong checksum, or a member that is cut off.
- Links, which real sdists contain, are listed but never read. Members whose names point outside of the archive are left
  out of the listing.
- As the usual tools do, this tolerates a missing end-of-archive record, any bytes after it, and several members of one
  name. An unpacker keeps the last of these; a caller here sees each of them.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO, Protocol

from securechain_ingest.archives.expansion import ExpandedStream, Readable, expand
from securechain_ingest.archives.limits import ArchiveLimits, ExpansionBudget, safe_name
from securechain_ingest.errors import ArchiveRefused

_BLOCK = 512
_MAX_EXTENSION_BYTES = 1024 * 1024
_END_MARK = bytes(_BLOCK)
_REGULAR = b"0\x007"
_LINKS = b"12"
_LINKS_AND_FOLDERS = b"125"  # these have no data, whatever size they claim


class _Stream(Readable, Protocol):
    def skip(self, size: int) -> int: ...


class _PlainStream:
    """This is a file that is not compressed. Bytes that are skipped are not read, so that it works over a
    `SparseFile`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = file.seek(0, io.SEEK_END)
        file.seek(0)

    def read(self, size: int, /) -> bytes:
        return self._file.read(size)

    def skip(self, size: int) -> int:
        position = self._file.tell()
        return self._file.seek(min(position + size, self._size)) - position


class TarMember:
    """This is a file, a folder or a link. `size` is the size that its header claims, in bytes. `is_below_dot` says that
    the archive writes `./` in front of the name."""

    __slots__ = ("_budget", "_stream", "_unread_bytes", "is_below_dot", "is_file", "is_link", "name", "size")

    def __init__(
        self,
        name: str,
        size: int,
        *,
        is_file: bool,
        is_link: bool,
        is_below_dot: bool,
        stream: _Stream,
        budget: ExpansionBudget,
    ) -> None:
        self.name = name
        self.size = size
        self.is_file = is_file
        self.is_link = is_link
        self.is_below_dot = is_below_dot
        self._stream = stream
        self._budget = budget
        self._unread_bytes = size

    def read(self, size: int = -1, /) -> bytes:
        """Return the contents. They can be read only once, and before the next member is asked for. Raise
        ArchiveRefused.

        With `size`, return the next `size` bytes, or fewer at their end. Without it, return all bytes, if they are
        within the limit for one member.
        """
        if not self.is_file:
            raise ArchiveRefused(f"{self.name}: not a regular file", reason="not_a_file")
        limit_bytes = self._budget.limits.max_member_bytes
        if size < 0 and self.size > limit_bytes:
            msg = f"{self.name}: {self.size} bytes, at most {limit_bytes} are read"
            raise ArchiveRefused(msg, reason="member_too_large")
        wanted = self._unread_bytes if size < 0 else min(size, self._unread_bytes)
        data = self._stream.read(wanted)
        self._unread_bytes -= len(data)
        if len(data) < wanted:
            raise ArchiveRefused(f"{self.name}: cut off", reason="truncated")
        return data

    def inner(self) -> Iterator[TarMember]:
        """Yield each member of the tar archive that this member is, compressed or not, as `iterate_tar` does. As with
        `read`, this is possible only once."""
        return _expanded_members(self, self._budget)

    def leave(self) -> None:
        """Go on to the next header. The padding of the last member may be missing."""
        if self._stream.skip(self._unread_bytes) < self._unread_bytes:
            raise ArchiveRefused(f"{self.name}: cut off", reason="truncated")
        self._stream.skip(-self.size % _BLOCK)


def iterate_tar(file: Readable, limits: ArchiveLimits) -> Iterator[TarMember]:
    """Yield each member of a tar archive, which may be compressed by gzip, bzip2 or xz or not at all. Raise
    ArchiveRefused where the archive is wrong.

    A caller that has found what it needs may stop. The rest is then neither expanded nor checked.
    """
    return _expanded_members(file, ExpansionBudget(limits))


def _expanded_members(file: Readable, budget: ExpansionBudget) -> Iterator[TarMember]:
    return _members(ExpandedStream(expand(file), budget.limits.max_expanded_bytes, budget), budget)


def iterate_plain_tar(file: BinaryIO, limits: ArchiveLimits) -> Iterator[TarMember]:
    """Yield each member of a tar archive that is not compressed. Only the headers of the file are read, and the
    contents that the caller asks for.

    Raise ArchiveRefused where the archive is wrong, and MissingBytes over a SparseFile.
    """
    return _members(_PlainStream(file), ExpansionBudget(limits))


def _members(stream: _Stream, budget: ExpansionBudget) -> Iterator[TarMember]:
    extension: dict[str, str] = {}
    is_first = True
    while (header := stream.read(_BLOCK)) != _END_MARK and (header or is_first):
        _check(header, is_first=is_first)
        is_first = False
        budget.take_members(1)
        kind = header[156]
        if kind in b"xgLKX":
            extension |= _extension(kind, stream, _number(header[124:136]))
            continue
        member = _member(header, kind, extension, stream, budget)
        extension = {}
        if member.name:
            yield member
        member.leave()


def _check(header: bytes, *, is_first: bool) -> None:
    if len(header) == _BLOCK and _has_its_checksum(header):
        return
    if is_first:
        raise ArchiveRefused("the first header is not one of a tar", reason="not_a_tar")
    raise ArchiveRefused("a header is damaged or cut off", reason="damaged" if len(header) == _BLOCK else "truncated")


def _has_its_checksum(header: bytes) -> bool:
    claimed = header[148:156].strip(b" \0").lstrip(b"0")
    total = sum(header) - sum(header[148:156]) + 8 * ord(" ")  # the field itself counts as spaces
    if claimed == b"%o" % total:
        return True
    return claimed == b"%o" % (total - 256 * sum(byte > 127 for byte in header))  # Some tools sum signed bytes.


def _number(field: bytes) -> int:
    """Return a header's number, which is written in octal digits, or in GNU's big-endian binary form with the top bit
    set."""
    if field[0] & 0x80:
        if field[0] != 0x80:
            raise ArchiveRefused("a negative number in a header", reason="damaged")
        return int.from_bytes(field[1:], "big")
    digits = field.split(b"\0", 1)[0].strip()
    return _parsed(digits, 8) if digits else 0


def _parsed(digits: bytes, base: int) -> int:
    # int() would take signs, underscores and prefixes too.
    if not digits.isdigit() or len(digits) > 20:
        raise ArchiveRefused("a header's number is damaged", reason="damaged")
    try:
        return int(digits, base)
    except ValueError as error:
        raise ArchiveRefused("a header's number is damaged", reason="damaged") from error


def _extension(kind: int, stream: _Stream, size: int) -> dict[str, str]:
    """Return what a pax or GNU header says about the member behind it."""
    if size > _MAX_EXTENSION_BYTES:
        raise ArchiveRefused(f"an extended header of {size} bytes", reason="damaged")
    data = stream.read(size)
    if len(data) < size:
        raise ArchiveRefused("an extended header is cut off", reason="truncated")
    stream.skip(-size % _BLOCK)
    if kind in b"xX":
        return _pax_records(data)
    if kind == ord("L"):
        return {"path": data.split(b"\0", 1)[0].decode("utf-8", "replace")}
    return {}  # a link's long target, or what a whole archive has in common (git's commit)


def _pax_records(data: bytes) -> dict[str, str]:
    """Return the records of a pax header. Each one is a line `<length> <key>=<value>\\n`, and its length includes the
    length's own digits."""
    records: dict[str, str] = {}
    position = 0
    while position < len(data) and data[position]:
        digits, space, _ = data[position : position + 21].partition(b" ")
        end = position + _parsed(digits, 10)
        key, equals, value = data[position + len(digits) + 1 : end - 1].partition(b"=")
        if not space or not equals or end > len(data) or data[end - 1] != ord("\n"):
            raise ArchiveRefused("a pax header is damaged", reason="damaged")
        records[key.decode("utf-8", "replace")] = value.decode("utf-8", "replace")
        position = end
    return records


def _member(header: bytes, kind: int, extension: dict[str, str], stream: _Stream, budget: ExpansionBudget) -> TarMember:
    if kind == ord("S") or any(key.startswith("GNU.sparse.") for key in extension):
        raise ArchiveRefused("a sparse file", reason="sparse")
    if kind in b"346":
        raise ArchiveRefused("a device or FIFO", reason="device")
    size = 0
    if kind not in _LINKS_AND_FOLDERS:
        pax_size = extension.get("size")
        size = _number(header[124:136]) if pax_size is None else _parsed(pax_size.encode(), 10)
    raw_name = extension.get("path") or _ustar_name(header)
    return TarMember(
        name=safe_name(raw_name.rstrip("/")) or "",
        size=size,
        is_file=kind in _REGULAR and not raw_name.endswith("/"),
        is_link=kind in _LINKS,
        is_below_dot=raw_name.startswith("./"),
        stream=stream,
        budget=budget,
    )


def _ustar_name(header: bytes) -> str:
    name = header[:100].split(b"\0", 1)[0]
    # GNU's own format (`ustar` and two spaces) keeps times where POSIX has the prefix.
    if header[257:263] == b"ustar\0" and (prefix := header[345:500].split(b"\0", 1)[0]):
        name = prefix + b"/" + name
    return name.decode("utf-8", "replace")
