"""This module reads a .NET assembly's name and the namespaces that it offers, from its metadata tables alone.

The formats are in Microsoft's PE specification and in ECMA-335, partition II, 24.2 (metadata root, streams) and 22
(tables). Only three tables are read: TypeDef, ExportedType and Assembly; the others count for where these begin.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from securechain_ingest.errors import ArchiveRefused

_PE32 = 0x10B
_CLI_DIRECTORY = 14
_METADATA_SIGNATURE = b"BSJB"
_SECTION: Final = struct.Struct("<8x 4I 16x")

_PUBLIC, _VISIBILITY, _FORWARDER = 1, 0x7, 0x200000
_TYPE_DEF, _ASSEMBLY, _EXPORTED_TYPE = 0x02, 0x20, 0x27
_MAX_NAME_LENGTH = 1024
_MAX_NAMESPACES = 10_000
"""A file may name at most so many positions of the heap at which the name of a namespace begins. Such names may
overlap, so that each of them costs its full length."""

# Columns by table number, up to the last table that is read: bytes of a constant, the heap (S, G, B), the table that a
# row of is named (hexadecimal), or a coded index.
_COLUMNS: Final = (
    "2 S G G G", "ResolutionScope S S", "4 S S TypeDefOrRef #04 #06", "#04", "2 S B", "#06", "4 2 2 S B #08", "#08",
    "2 2 S", "#02 TypeDefOrRef", "MemberRefParent S B", "2 HasConstant B", "HasCustomAttribute CustomAttributeType B",
    "HasFieldMarshal B", "2 HasDeclSecurity B", "2 4 #02",
    "4 #04", "B", "#02 #14", "#14", "2 S TypeDefOrRef", "#02 #17", "#17", "2 S B",
    "2 #06 HasSemantics", "#02 MethodDefOrRef MethodDefOrRef", "S", "B", "2 MemberForwarded S #1A", "4 #04", "4 4", "4",
    "4 2 2 2 2 4 B S S", "4", "4 4 4", "2 2 2 2 4 B S S B", "4 #23", "4 4 4 #23", "4 S B", "4 4 S S Implementation",
)  # fmt: skip
_CODED: Final = {
    "TypeDefOrRef": (0x02, 0x01, 0x1B),
    "HasConstant": (0x04, 0x08, 0x17),
    "HasCustomAttribute": (
        0x06, 0x04, 0x01, 0x02, 0x08, 0x09, 0x0A, 0x00, 0x0E, 0x17, 0x14, 0x11, 0x1A, 0x1B, 0x20, 0x23, 0x26, 0x27,
        0x28, 0x2A, 0x2C, 0x2B,
    ),
    "HasFieldMarshal": (0x04, 0x08),
    "HasDeclSecurity": (0x02, 0x06, 0x20),
    "MemberRefParent": (0x02, 0x01, 0x1A, 0x06, 0x1B),
    "HasSemantics": (0x14, 0x17),
    "MethodDefOrRef": (0x06, 0x0A),
    "MemberForwarded": (0x04, 0x06),
    "Implementation": (0x26, 0x23, 0x27),
    "CustomAttributeType": (None, None, 0x06, 0x0A, None),
    "ResolutionScope": (0x00, 0x1A, 0x23, 0x01),
}  # fmt: skip
_HEAP_BITS: Final = {"S": 0x1, "G": 0x2, "B": 0x4}


@dataclass(frozen=True, slots=True)
class Assembly:
    name: str | None
    """None means that this is a module which belongs to an assembly in another file."""
    namespaces: frozenset[str]
    """These hold the types that other assemblies can use, including those that are forwarded from here."""


def read_assembly(data: bytes) -> Assembly | None:
    """Return what the metadata of a library says, or None for a native library. ArchiveRefused (`bad_assembly`) is
    raised for a damaged file or one that is not a library."""
    try:
        metadata = _metadata(data)
        if metadata is None:
            return None
        streams = _streams(metadata)
        tables, strings = streams.get("#~") or streams["#-"], streams["#Strings"]
        return _Tables(tables, strings).assembly()
    except (struct.error, KeyError, ValueError) as error:
        raise ArchiveRefused(f"an assembly whose metadata is damaged ({error!r})", reason="bad_assembly") from error


def _metadata(data: bytes) -> memoryview | None:
    """Return the bytes from the metadata root to the file's end, or None if there is no such header."""
    header = struct.unpack_from("<I", data, 0x3C)[0] if data.startswith(b"MZ") else len(data)
    if data[header : header + 4] != b"PE\0\0":
        raise ArchiveRefused("an assembly that is no PE file", reason="bad_assembly")
    section_count, optional_size = struct.unpack_from("<H12xH", data, header + 6)
    optional = header + 24
    magic = struct.unpack_from("<H", data, optional)[0]
    directories = optional + (96 if magic == _PE32 else 112)
    sections = [
        _SECTION.unpack_from(data, optional + optional_size + number * _SECTION.size) for number in range(section_count)
    ]
    if struct.unpack_from("<I", data, directories - 4)[0] <= _CLI_DIRECTORY:
        return None
    cli_address = struct.unpack_from("<I", data, directories + _CLI_DIRECTORY * 8)[0]
    if cli_address == 0:
        return None
    metadata_address = struct.unpack_from("<I", data, _offset(sections, cli_address) + 8)[0]
    return memoryview(data)[_offset(sections, metadata_address) :]


def _offset(sections: list[tuple[int, ...]], address: int) -> int:
    """Return the position in the file of what a program finds at an address in memory."""
    for virtual_size, virtual_address, raw_size, raw_offset in sections:
        if virtual_address <= address < virtual_address + max(virtual_size, raw_size):
            return address - virtual_address + raw_offset
    raise ArchiveRefused("an assembly whose header points outside of it", reason="bad_assembly")


def _streams(metadata: memoryview) -> dict[str, memoryview]:
    if bytes(metadata[:4]) != _METADATA_SIGNATURE:
        raise ArchiveRefused("an assembly without a metadata root", reason="bad_assembly")
    version_length = struct.unpack_from("<I", metadata, 12)[0]
    position = 16 + version_length
    count = struct.unpack_from("<2xH", metadata, position)[0]
    position += 4
    streams: dict[str, memoryview] = {}
    for _ in range(count):
        offset, size = struct.unpack_from("<2I", metadata, position)
        name = bytes(metadata[position + 8 : position + 40]).partition(b"\0")[0]
        streams.setdefault(name.decode("ascii"), metadata[offset : offset + size])
        position += 8 + (len(name) // 4 + 1) * 4
    return streams


class _Tables:
    """This gives the rows of the tables stream."""

    def __init__(self, stream: memoryview, strings: memoryview) -> None:
        self._stream = stream
        self._strings = bytes(strings)
        self._heaps, present = struct.unpack_from("<6xBxQ", stream)
        numbers = [number for number in range(64) if present >> number & 1]
        counts = struct.unpack_from(f"<{len(numbers)}I", stream, 24)
        self._counts = dict(zip(numbers, counts, strict=True))
        # Edit-and-continue builds have four more bytes there.
        self._start = 24 + 4 * len(numbers) + (4 if self._heaps & 0x40 else 0)

    def assembly(self) -> Assembly:
        offsets = {
            namespace
            for flags, _, namespace, *_ in self._rows(_TYPE_DEF)
            if flags & _VISIBILITY == _PUBLIC and namespace
        }
        offsets |= {
            namespace
            for flags, _, _, namespace, _ in self._rows(_EXPORTED_TYPE)
            if (flags & _VISIBILITY == _PUBLIC or flags & _FORWARDER) and namespace
        }
        if len(offsets) > _MAX_NAMESPACES:
            raise ArchiveRefused(f"an assembly with {len(offsets)} namespaces", reason="bad_assembly")
        name = next((self._string(row[7]) for row in self._rows(_ASSEMBLY)), None)
        return Assembly(name, frozenset(map(self._string, offsets)))

    def _rows(self, table: int) -> Iterator[tuple[int, ...]]:
        count = self._counts.get(table, 0)
        row = self._row(table)
        start = self._start + sum(self._counts.get(number, 0) * self._row(number).size for number in range(table))
        rows = self._stream[start : start + count * row.size]
        if len(rows) != count * row.size:
            raise ArchiveRefused("an assembly whose tables are cut off", reason="bad_assembly")
        return row.iter_unpack(rows)

    def _row(self, table: int) -> struct.Struct:
        return struct.Struct("<" + "".join(map(self._format, _COLUMNS[table].split())))

    def _format(self, column: str) -> str:
        if column in ("2", "4"):
            return "H" if column == "2" else "I"
        if bit := _HEAP_BITS.get(column):
            return "I" if self._heaps & bit else "H"
        if column.startswith("#"):
            return "H" if self._counts.get(int(column[1:], 16), 0) < 1 << 16 else "I"
        targets = _CODED[column]
        rows = max(self._counts.get(target, 0) for target in targets if target is not None)
        return "H" if rows < 1 << 16 - (len(targets) - 1).bit_length() else "I"

    def _string(self, offset: int) -> str:
        end = self._strings.index(b"\0", offset, offset + _MAX_NAME_LENGTH)
        return self._strings[offset:end].decode()
