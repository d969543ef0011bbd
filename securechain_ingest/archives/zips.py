"""This module reads zip archives (wheels, jars, nupkgs, old sdists) by their central directory, without trusting it.

Only the end record, the directory and the members that the caller asks for are read, so that it works over a
`SparseFile`. The format is in PKWARE's APPNOTE, sections 4.3 to 4.5. The rules are:

- An archive is refused if it has more members or a larger directory than the limits, several disks, an encrypted
  directory, or members that overlap.
- An archive with data before the first member or after the end record (a polyglot, or a program that carries its own
  archive) is refused only when one of its members is read.
- A member is refused, only when it is read itself, if it is encrypted, if it is a link or a device, if its compression
  is neither stored nor deflated, if its contents are not what the directory announces, or if a second member has the
  same name and other contents.
- Members whose names point outside of the archive are left out of the listing.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import BinaryIO

from isal import isal_zlib

from securechain_ingest.archives.limits import ArchiveLimits, ExpansionBudget
from securechain_ingest.archives.zip_directory import LOCAL_HEADER, ZipMember, read_at, read_padded_directory
from securechain_ingest.errors import ArchiveRefused

_STORED, _DEFLATED = 0, 8
_ENCRYPTED = 0x1
_IsalError: type[Exception] = isal_zlib.error  # type: ignore[assignment]  # isal's stub takes the class for an instance


class ZipListing:
    """This is an opened archive. It has its members in the order of the directory, and returns their contents on
    demand."""

    def __init__(
        self, file: BinaryIO, members: list[ZipMember], budget: ExpansionBudget, padding: ArchiveRefused | None
    ) -> None:
        self._file = file
        self._padding = padding
        self._budget = budget
        self._by_name: dict[str, list[ZipMember]] = {}
        for member in members:
            self._by_name.setdefault(member.name, []).append(member)
        self._members = members

    def members(self) -> list[ZipMember]:
        """Return the members in the order of the directory."""
        return self._members

    def names(self) -> tuple[str, ...]:
        """Return the names of all regular files in the order of the directory, each name once."""
        return tuple(dict.fromkeys(member.name for member in self._members if member.is_file))

    def rename(self, new_name: Callable[[str], str | None]) -> None:
        """Give the members other names from now on. A member for which `new_name` returns None is left out."""
        named = [replace(member, name=name) for member in self._members if (name := new_name(member.name))]
        self._by_name = {}
        for member in named:
            self._by_name.setdefault(member.name, []).append(member)
        self._members = named

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def read(self, name: str) -> bytes:
        """Return the contents of one member. Raise KeyError if there is no such member, and ArchiveRefused if it is
        refused."""
        first, *others = self._by_name[name]
        if self._padding is not None:
            raise self._padding
        if any((other.crc32, other.size) != (first.crc32, first.size) for other in others):
            raise ArchiveRefused(f"{name}: several members of this name differ", reason="duplicate_names")
        if not first.is_file:
            raise ArchiveRefused(f"{name}: not a regular file", reason="not_a_file")
        if first.flags & _ENCRYPTED:
            raise ArchiveRefused(f"{name}: encrypted", reason="encrypted")
        limit = min(self._budget.limits.max_member_bytes, self._budget.expanded_bytes_left)
        if max(first.size, first.compressed_size) > limit:
            raise ArchiveRefused(f"{name}: {first.size} bytes, at most {limit} are read", reason="member_too_large")
        contents = _expand(first, _packed(self._file, first), limit)
        self._budget.take_expanded(len(contents))
        return contents

    def inner(self, name: str) -> ZipListing:
        """Return the listing of a member that is itself a zip. Raise KeyError if there is no such member, and
        ArchiveRefused if it is refused."""
        return _open(io.BytesIO(self.read(name)), self._budget)


def open_zip(file: BinaryIO, limits: ArchiveLimits) -> ZipListing:
    """Return the listing of a zip, read from its directory. Raise ArchiveRefused, and MissingBytes over a
    SparseFile."""
    return _open(file, ExpansionBudget(limits))


def _open(file: BinaryIO, budget: ExpansionBudget) -> ZipListing:
    members, padding = read_padded_directory(file, budget)
    return ZipListing(file, [member for member in members if member.name], budget, padding)


def _packed(file: BinaryIO, member: ZipMember) -> bytes:
    """Return the compressed bytes of a member. One read is enough if the local header is as long as the directory's
    entry says."""
    expected = LOCAL_HEADER.size + len(member.raw_name) + member.extra_length + member.compressed_size
    file.seek(member.offset)
    data = file.read(expected)
    if len(data) < LOCAL_HEADER.size or not data.startswith(b"PK\x03\x04"):
        raise ArchiveRefused(f"{member.name}: no local header", reason="damaged")
    name_length, extra_length = LOCAL_HEADER.unpack_from(data)[-2:]
    start = LOCAL_HEADER.size + name_length + extra_length
    if data[LOCAL_HEADER.size : LOCAL_HEADER.size + name_length] != member.raw_name:
        raise ArchiveRefused(f"{member.name}: the local header has another name", reason="damaged")
    if len(data) < start + member.compressed_size:
        data = read_at(file, member.offset, start + member.compressed_size)
    return data[start : start + member.compressed_size]


def _expand(member: ZipMember, packed: bytes, limit: int) -> bytes:
    if member.method == _STORED:
        contents = packed
    elif member.method == _DEFLATED:
        try:
            contents = isal_zlib.decompressobj(-15).decompress(packed, max_length=limit + 1)
        except _IsalError as error:
            raise ArchiveRefused(f"{member.name}: {error}", reason="damaged") from error
    else:
        raise ArchiveRefused(f"{member.name}: compression method {member.method}", reason="unsupported_compression")
    if len(contents) > limit:
        raise ArchiveRefused(f"{member.name}: expands to more than {limit} bytes", reason="member_too_large")
    if len(contents) != member.size or zlib.crc32(contents) != member.crc32:
        raise ArchiveRefused(f"{member.name}: not what the directory announces", reason="damaged")
    return contents
