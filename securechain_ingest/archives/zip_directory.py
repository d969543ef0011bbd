"""This module reads the directory of a zip: where it is, what it lists, and whether the file is laid out as it says.
The format is in APPNOTE, section 4.3."""

from __future__ import annotations

import io
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from securechain_ingest.archives.limits import ExpansionBudget, safe_name
from securechain_ingest.errors import ArchiveRefused

MAX_DIRECTORY_BYTES = 16 * 1024 * 1024
LOCAL_HEADER = struct.Struct("<4s5H3L2H")

_END = struct.Struct("<4s4H2LH")
_END_SIGNATURE = b"PK\x05\x06"
# Nearly all archives have no comment, and most others a short one. The longest comment has 65,535 bytes.
_END_SEARCH_BYTES = (_END.size, 4096, _END.size + 0xFFFF)
_MAX_END_RECORDS = 16
"""At most so many end records that do not end with the file are looked at, each by one small read."""

_ZIP64_LOCATOR = struct.Struct("<4sLQL")
_ZIP64_END = struct.Struct("<4sQ2H2L4Q")
_SIGNATURE = b"PK\x01\x02"
_ENTRY = struct.Struct("<4s x B 2x 2H 4x 3L 3H 4x 2L")
_UTF8, _STRONG_ENCRYPTION = 0x800, 0x2000
_MADE_ON_UNIX = 3
_WIDE_16, _WIDE_32 = 0xFFFF, 0xFFFFFFFF  # These say that the number is in a Zip64 record.


@dataclass(frozen=True, slots=True)
class ZipMember:
    """This is an entry of the directory. `size` is the size that it claims, in bytes. `is_file` means a regular file,
    so neither a folder nor a link."""

    name: str
    size: int
    is_dir: bool
    is_file: bool
    raw_name: bytes
    compressed_size: int
    crc32: int
    method: int
    flags: int
    offset: int
    extra_length: int


@dataclass(frozen=True, slots=True)
class _Directory:
    count: int
    size: int
    offset: int


def read_directory(file: BinaryIO, budget: ExpansionBudget) -> list[ZipMember]:
    """Return all members in order. The name of a member is empty if it was unsafe. Raise ArchiveRefused, also if there
    are bytes in front of the first member or behind the end record."""
    members, padding = read_padded_directory(file, budget)
    if padding is not None:
        raise padding
    return members


def read_padded_directory(file: BinaryIO, budget: ExpansionBudget) -> tuple[list[ZipMember], ArchiveRefused | None]:
    """Return all members, as `read_directory` does, of a file that may have other bytes in front of the first member or
    behind the end record, as a program has that carries its own archive. If it has such bytes, also return the refusal,
    which the caller may raise. Raise ArchiveRefused."""
    end, end_offset, padding = _find_end(file)
    directory, shift = _locate_directory(file, end, end_offset)
    budget.take_members(directory.count)
    if directory.size > MAX_DIRECTORY_BYTES:
        msg = f"a directory of {directory.size} bytes, at most {MAX_DIRECTORY_BYTES} are allowed"
        raise ArchiveRefused(msg, reason="directory_too_large")
    raw = read_at(file, directory.offset + shift, directory.size)
    entries = [replace(entry, offset=entry.offset + shift) if shift else entry for entry in _entries(raw)]
    if len(entries) != directory.count:
        msg = f"{directory.count} members announced, {len(entries)} listed"
        raise ArchiveRefused(msg, reason="damaged")
    if _first_member(entries, directory.offset + shift) != 0:
        padding = ArchiveRefused("data before the first member", reason="polyglot")
    return entries, padding


def read_at(file: BinaryIO, offset: int, size: int) -> bytes:
    """Return `size` bytes of the file from `offset` on. Raise ArchiveRefused if there are fewer."""
    file.seek(offset)
    data = file.read(size)
    if len(data) != size:
        raise ArchiveRefused(f"{size} bytes expected at {offset}, {len(data)} found", reason="truncated")
    return data


def _find_end(file: BinaryIO) -> tuple[tuple[int, ...], int, ArchiveRefused | None]:
    """Return the numbers of the end record, and its offset.

    It is the last end record whose comment ends with the file. If there is none, it is the last one that has a
    directory in front of it, and the refusal of the bytes behind it is returned, too.
    """
    size = file.seek(0, io.SEEK_END)
    others: list[tuple[tuple[int, ...], int]] = []
    for length in _END_SEARCH_BYTES:
        start = max(0, size - length)
        tail = read_at(file, start, size - start)
        others = []
        position = tail.rfind(_END_SIGNATURE, 0, max(0, len(tail) - _END.size + len(_END_SIGNATURE)))
        while position >= 0:
            end = _END.unpack_from(tail, position)[1:]
            if position + _END.size + end[-1] == len(tail):
                return end, start + position, None
            others.append((end, start + position))
            position = tail.rfind(_END_SIGNATURE, 0, position)
    if not others:
        raise ArchiveRefused("no end record: not a zip, or cut off", reason="not_a_zip")
    padding = ArchiveRefused("data after the end record", reason="trailing_data")
    for end, offset in others[:_MAX_END_RECORDS]:
        *_, count, directory_size, _offset, comment_length = end
        begins_at = offset - directory_size
        is_whole = offset + _END.size + comment_length <= size
        if count and is_whole and begins_at >= 0 and read_at(file, begins_at, len(_SIGNATURE)) == _SIGNATURE:
            return end, offset, padding
    raise padding


def _locate_directory(file: BinaryIO, end: tuple[int, ...], end_offset: int) -> tuple[_Directory, int]:
    """Return the directory as the end record describes it, and by how many bytes it and all members lie further
    behind."""
    disk, directory_disk, disk_count, count, size, offset, _comment_length = end
    directory_end = end_offset
    needs_zip64 = _WIDE_16 in (disk_count, count) or _WIDE_32 in (size, offset)
    if needs_zip64 and (found := _zip64_end(file, end_offset)):
        (disk, directory_disk, disk_count, count, size, offset), directory_end = found
    if disk or directory_disk or disk_count != count:
        raise ArchiveRefused("an archive of several disks", reason="multi_disk")
    shift = directory_end - (offset + size)
    if shift < 0 or (shift > 0 and not count):
        reason = "truncated" if shift < 0 else "polyglot"
        raise ArchiveRefused(f"the directory ends at {offset + size} and not at {directory_end}", reason=reason)
    return _Directory(count, size, offset), shift


def _zip64_end(file: BinaryIO, end_offset: int) -> tuple[tuple[int, ...], int] | None:
    if end_offset < _ZIP64_LOCATOR.size:
        return None
    locator = read_at(file, end_offset - _ZIP64_LOCATOR.size, _ZIP64_LOCATOR.size)
    signature, _disk, offset, _disks = _ZIP64_LOCATOR.unpack(locator)
    if signature != b"PK\x06\x07":
        return None
    if offset + _ZIP64_END.size > end_offset:
        raise ArchiveRefused("the Zip64 end record lies outside of the file", reason="damaged")
    # With other bytes in front, the locator points too far to the front. The record is right before the locator.
    for start in (offset, end_offset - _ZIP64_LOCATOR.size - _ZIP64_END.size):
        signature, _size, _made_by, _needed, *numbers = _ZIP64_END.unpack(read_at(file, start, _ZIP64_END.size))
        if signature == b"PK\x06\x06":
            return tuple(numbers), start
    raise ArchiveRefused("no Zip64 end record where its locator points to", reason="damaged")


def _entries(raw: bytes) -> Iterator[ZipMember]:
    position = 0
    while position < len(raw):
        if position + _ENTRY.size > len(raw):
            raise ArchiveRefused("the directory is cut off", reason="damaged")
        (
            signature,
            made_on,
            flags,
            method,
            crc32,
            compressed_size,
            size,
            name_length,
            extra_length,
            comment_length,
            external,
            offset,
        ) = _ENTRY.unpack_from(raw, position)
        name_start = position + _ENTRY.size
        extra_start = name_start + name_length
        position = extra_start + extra_length + comment_length
        if signature != _SIGNATURE or position > len(raw):
            raise ArchiveRefused("the directory is damaged", reason="damaged")
        if flags & _STRONG_ENCRYPTION:
            raise ArchiveRefused("the directory is encrypted", reason="encrypted")
        raw_name = raw[name_start:extra_start]
        if _WIDE_32 in (size, compressed_size, offset):
            extra = raw[extra_start : extra_start + extra_length]
            size, compressed_size, offset = _zip64_numbers(extra, size, compressed_size, offset)
        name = raw_name.decode("utf-8", "replace") if flags & _UTF8 else raw_name.decode("cp437")
        file_type = stat.S_IFMT(external >> 16) if made_on == _MADE_ON_UNIX else 0
        is_dir = raw_name.endswith((b"/", b"\\")) or file_type == stat.S_IFDIR
        yield ZipMember(
            name=safe_name(name) or "",
            size=size,
            is_dir=is_dir,
            is_file=not is_dir and file_type in (0, stat.S_IFREG),
            raw_name=raw_name,
            compressed_size=compressed_size,
            crc32=crc32,
            method=method,
            flags=flags,
            offset=offset,
            extra_length=extra_length,
        )


def _zip64_numbers(extra: bytes, *numbers: int) -> tuple[int, ...]:
    """Return the size, the compressed size and the offset. Those that do not fit in 32 bits are taken from the Zip64
    extra field."""
    position = 0
    while position + 4 <= len(extra):
        tag, length = struct.unpack_from("<2H", extra, position)
        if tag == 1:
            field = extra[position + 4 : position + 4 + length]
            wide = [number for (number,) in struct.iter_unpack("<Q", field[: len(field) // 8 * 8])]
            if len(wide) < sum(number == _WIDE_32 for number in numbers):
                break
            return tuple(wide.pop(0) if number == _WIDE_32 else number for number in numbers)
        position += 4 + length
    raise ArchiveRefused("a Zip64 field is missing or cut off", reason="damaged")


def _first_member(entries: list[ZipMember], directory_offset: int) -> int:
    """Return the offset of the first member. Refuse members that share bytes, because a zip bomb lists the same bytes
    as many members."""
    spans = sorted(
        {
            (entry.offset, entry.offset + LOCAL_HEADER.size + len(entry.raw_name) + entry.compressed_size)
            for entry in entries
        }
    )
    previous_end = 0
    for start, end in spans:
        if start < previous_end or end > directory_offset:
            raise ArchiveRefused("members overlap", reason="overlapping_members")
        previous_end = end
    return spans[0][0] if spans else directory_offset
