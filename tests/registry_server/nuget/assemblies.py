"""These are real .NET assemblies with the fewest parts that ECMA-335, partition II, asks for: a PE file with one
section, the CLI header, the metadata root, four heaps and the tables that tell which types there are. No method has
a body.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

Visibility = Literal["internal", "public", "nested public", "nested private"]

_FLAGS: Final[Mapping[Visibility, int]] = {"internal": 0, "public": 1, "nested public": 2, "nested private": 3}

SECTION_ADDRESS = 0x2000
SECTION_OFFSET = 0x200
CLI_HEADER_SIZE = 72
MODULE, TYPE_REF, TYPE_DEF, FIELD, METHOD_DEF, PARAM = 0x00, 0x01, 0x02, 0x04, 0x06, 0x08
ASSEMBLY, ASSEMBLY_REF, EXPORTED_TYPE, NESTED_CLASS = 0x20, 0x23, 0x27, 0x29
FORWARDER = 0x200000


@dataclass(frozen=True, slots=True)
class AssemblyType:
    """`AssemblyType("Acme.Json.Writer")` is a type; a nested one has the name alone, and which type it is in."""

    name: str
    visibility: Visibility = "public"
    enclosing: str | None = None

    @property
    def namespace(self) -> str:
        return self.name.rpartition(".")[0]

    @property
    def short_name(self) -> str:
        return self.name.rpartition(".")[2]


class _Heap:
    """These are texts or blobs at their offsets."""

    def __init__(self, padding: int) -> None:
        self.body = bytearray(b"\0" + b"x" * padding + b"\0") if padding else bytearray(b"\0")
        self.offsets: dict[str, int] = {"": 0}

    def add(self, text: str) -> int:
        if text not in self.offsets:
            self.offsets[text] = len(self.body)
            self.body += text.encode() + b"\0"
        return self.offsets[text]


def assembly(
    name: str | None,
    types: Iterable[AssemblyType | str],
    *,
    forwards: Sequence[str] = (),
    members: int = 0,
    pe32_plus: bool = False,
    padding: int = 0,
) -> bytes:
    """Return an assembly, or a module of another one if it has no name.

    `forwards` are types that lie in another assembly; `members` is how many fields, methods and parameters there are in
    all (above 65,535 indexes into their tables are wide); `padding` bytes of text make those into the heap wide.
    """
    declared = [AssemblyType(one) if isinstance(one, str) else one for one in types]
    strings = _Heap(padding)
    wide_strings = len(strings.body) >= 1 << 16
    text = "I" if wide_strings else "H"
    wide_member = "I" if members >= 1 << 16 else "H"
    # Parameters belong to methods and are counted where a coded index of five tag bits could need the space.
    rows: dict[int, list[bytes]] = {
        MODULE: [struct.pack(f"<H{text}HHH", 0, strings.add(f"{name or 'module'}.dll"), 1, 0, 0)],
        TYPE_REF: [struct.pack(f"<H{text}{text}", 6, strings.add("Object"), strings.add("System"))],
        TYPE_DEF: [
            struct.pack(
                f"<I{text}{text}H{wide_member}{wide_member}", flags, strings.add(own), strings.add(space), 0, 1, 1
            )
            for flags, own, space in [
                (0, "<Module>", ""),
                *((_FLAGS[one.visibility] | 0x100000, one.short_name, one.namespace) for one in declared),
            ]
        ],
        FIELD: [struct.pack(f"<H{text}H", 0x6, strings.add("field"), 0)] * members,
        METHOD_DEF: [struct.pack(f"<IHH{text}H{wide_member}", 0, 0, 0x6, strings.add("Run"), 0, 1)] * members,
        PARAM: [struct.pack(f"<HH{text}", 0, 1, strings.add("value"))] * members,
        ASSEMBLY_REF: [struct.pack(f"<HHHHIH{text}{text}H", 4, 0, 0, 0, 0, 0, strings.add("mscorlib"), 0, 0)],
        EXPORTED_TYPE: [
            struct.pack(
                f"<II{text}{text}H",
                FORWARDER,
                0,
                strings.add(AssemblyType(forward).short_name),
                strings.add(AssemblyType(forward).namespace),
                1 << 2 | 1,
            )
            for forward in forwards
        ],
    }
    if name is not None:
        rows[ASSEMBLY] = [struct.pack(f"<IHHHHIH{text}{text}", 0x8004, 1, 0, 0, 0, 0, 0, strings.add(name), 0)]
    positions = {one.name: number for number, one in enumerate(declared, 2)}
    rows[NESTED_CLASS] = [
        struct.pack("<HH", positions[one.name], positions[one.enclosing]) for one in declared if one.enclosing
    ]
    return _file(_metadata(_tables(rows, wide_strings=wide_strings), bytes(strings.body)), pe32_plus=pe32_plus)


def native_library(size: int = 2048) -> bytes:
    """Return a PE file without a CLI header."""
    return _file(b"\0" * size, pe32_plus=True, managed=False)


def _tables(rows: Mapping[int, Sequence[bytes]], *, wide_strings: bool) -> bytes:
    present = {number: table for number, table in sorted(rows.items()) if table}
    mask = sum(1 << number for number in present)
    head = struct.pack("<IBBBBQQ", 0, 2, 0, 1 if wide_strings else 0, 1, mask, 0x16003301FA00)
    counts = struct.pack(f"<{len(present)}I", *map(len, present.values()))
    return head + counts + b"".join(row for table in present.values() for row in table)


def _metadata(tables: bytes, strings: bytes) -> bytes:
    streams = {"#~": tables, "#Strings": strings, "#US": b"\0", "#GUID": bytes(range(16)), "#Blob": b"\0"}
    version = b"v4.0.30319\0\0"
    root = struct.pack("<4sHHII", b"BSJB", 1, 1, 0, len(version)) + version + struct.pack("<HH", 0, len(streams))
    names = {name: name.encode() + b"\0" * (4 - len(name) % 4) for name in streams}
    offset = len(root) + sum(8 + len(padded) for padded in names.values())
    bodies = b""
    for name, body in streams.items():
        padded = body + b"\0" * (-len(body) % 4)
        root += struct.pack("<II", offset + len(bodies), len(padded)) + names[name]
        bodies += padded
    return root + bodies


def _file(content: bytes, *, pe32_plus: bool, managed: bool = True) -> bytes:
    """Return the PE file around the metadata (or anything else, of a file that is not managed)."""
    cli_header = struct.pack(
        "<IHHIIII48x", CLI_HEADER_SIZE, 2, 5, SECTION_ADDRESS + CLI_HEADER_SIZE, len(content), 1, 0
    )
    section = cli_header + content if managed else content
    raw_size = -(-len(section) // 0x200) * 0x200
    directories = [(0, 0)] * 16
    if managed:
        directories[14] = (SECTION_ADDRESS, CLI_HEADER_SIZE)
    optional = _optional_header(raw_size, pe32_plus=pe32_plus)
    optional += struct.pack("<I", 16) + b"".join(struct.pack("<II", *pair) for pair in directories)
    machine, characteristics = (0x8664, 0x2022) if pe32_plus else (0x14C, 0x2102)
    coff = struct.pack("<HHIIIHH", machine, 1, 0, 0, 0, len(optional), characteristics)
    header = struct.pack(
        "<8sIIIIIIHHI", b".text", len(section), SECTION_ADDRESS, raw_size, SECTION_OFFSET, 0, 0, 0, 0, 0x60000020
    )
    dos = b"MZ" + b"\0" * 58 + struct.pack("<I", 0x40)
    head = dos + b"PE\0\0" + coff + optional + header
    return head.ljust(SECTION_OFFSET, b"\0") + section.ljust(raw_size, b"\0")


def _optional_header(code_size: int, *, pe32_plus: bool) -> bytes:
    """Return the header up to the count of data directories."""
    image_size = SECTION_ADDRESS + -(-code_size // 0x2000) * 0x2000
    standard = struct.pack("<HBBIIIII", 0x20B if pe32_plus else 0x10B, 48, 0, code_size, 0, 0, 0, SECTION_ADDRESS)
    versions = struct.pack("<II6HIIIIHH", 0x2000, 0x200, 4, 0, 0, 0, 4, 0, 0, image_size, SECTION_OFFSET, 0, 3, 0x8540)
    if pe32_plus:
        return standard + struct.pack("<Q", 0x180000000) + versions + struct.pack("<4QI", *[0x100000, 0x1000] * 2, 0)
    return standard + struct.pack("<II", 0, 0x10000000) + versions + struct.pack("<4II", *[0x100000, 0x1000] * 2, 0)
