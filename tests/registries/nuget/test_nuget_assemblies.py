"""This tests assemblies: the namespaces of their public types, as an independent reader lists them."""

from __future__ import annotations

import struct
from contextlib import suppress
from functools import partial
from typing import Any

import dnfile
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securechain_ingest.errors import ArchiveRefused
from securechain_ingest.registries.nuget.assemblies import Assembly, read_assembly
from tests.registry_server.nuget.assemblies import AssemblyType, assembly, native_library
from tests.steps import assert_linear

TYPES: list[AssemblyType | str] = [
    "Acme.Json.Writer",
    "Acme.Json.Linq.Token",
    AssemblyType("Acme.Hidden.Helper", "internal"),
    AssemblyType("Settings", "nested public", "Acme.Json.Writer"),
    AssemblyType("Secret", "nested private", "Acme.Json.Writer"),
    AssemblyType("Options", "nested public", "Acme.Hidden.Helper"),
    AssemblyType("Program", "public"),
]

segments = st.sampled_from(["Acme", "Json", "Linq", "A1", "_x", "Ünïcode"])
type_names = st.lists(segments, min_size=1, max_size=4).map(".".join)
types = st.lists(
    st.builds(AssemblyType, type_names, st.sampled_from(["public", "internal"])), max_size=8, unique_by=lambda t: t.name
)


@pytest.mark.parametrize(
    "options",
    [{}, {"pe32_plus": True}, {"padding": 70_000}, {"members": 70_000}, {"members": 3_000}, {"members": 9_000}],
    ids=str,
)
def test_the_namespaces_are_those_of_public_types_whatever_the_width_of_indexes(options: Any) -> None:
    found = read_assembly(assembly("Acme.Json", TYPES, **options))

    assert found == Assembly("Acme.Json", frozenset({"Acme.Json", "Acme.Json.Linq"}))


def test_types_that_are_forwarded_to_another_assembly_can_be_used_from_here() -> None:
    found = read_assembly(assembly("Facade", [], forwards=["Acme.Moved.Thing"]))

    assert found == Assembly("Facade", frozenset({"Acme.Moved"}))


def test_a_module_of_another_assembly_has_no_name() -> None:
    assert read_assembly(assembly(None, ["Acme.Thing"])) == Assembly(None, frozenset({"Acme"}))


@pytest.mark.parametrize("data", [b"", b"MZ", b"MZ" + b"\0" * 100, b"\x7fELF" + b"\0" * 400, b"text"])
def test_what_is_no_library_at_all_is_refused(data: bytes) -> None:
    with pytest.raises(ArchiveRefused):
        read_assembly(data)


def test_a_native_library_is_no_assembly() -> None:
    assert read_assembly(native_library()) is None


@settings(max_examples=40, deadline=None)
@given(types, st.lists(type_names, max_size=3), st.booleans())
def test_an_independent_reader_finds_the_same(types: list[AssemblyType], forwards: list[str], pe32_plus: bool) -> None:
    data = assembly("Made", types, forwards=forwards, pe32_plus=pe32_plus)
    reader: Any = dnfile
    tables = reader.dnPE(data=data).net.mdtables
    public = {str(row.TypeNamespace) for row in tables.TypeDef.rows if row.Flags.tdPublic}
    forwarded = {str(row.TypeNamespace) for row in tables.ExportedType.rows} if tables.ExportedType else set()

    found = read_assembly(data)
    assert found is not None
    assert found.namespaces == (public | forwarded) - {""}
    assert found.name == str(tables.Assembly.rows[0].Name)


def test_a_header_that_points_outside_is_refused() -> None:
    data = bytearray(assembly("Acme", ["Acme.Thing"]))
    struct.pack_into("<I", data, data.index(b"BSJB") - 72 + 8, 0x7FFFFFFF)

    with pytest.raises(ArchiveRefused, match="outside"):
        read_assembly(bytes(data))


@pytest.mark.parametrize("magic", [b"BSJB", b"#~\0\0", b"#Strings"])
def test_metadata_without_its_parts_is_refused(magic: bytes) -> None:
    with pytest.raises(ArchiveRefused):
        read_assembly(assembly("Acme", ["Acme.Thing"]).replace(magic, b"?" * len(magic)))


def test_tables_that_claim_more_rows_than_there_are_bytes_are_refused() -> None:
    data = bytearray(assembly("Acme", ["Acme.Thing"]))
    tables = data.index(struct.pack("<IBBBB", 0, 2, 0, 0, 1))
    struct.pack_into("<I", data, tables + 24 + 8, 0xFFFFFFFF)

    with pytest.raises(ArchiveRefused, match="cut off"):
        read_assembly(bytes(data))


def test_names_that_overlap_in_the_heap_do_not_multiply_without_end() -> None:
    data = assembly("Acme", [f"N{number}.Thing" for number in range(10_001)], padding=70_000)

    with pytest.raises(ArchiveRefused, match="10001 namespaces"):
        read_assembly(data)


def test_twice_as_many_types_take_twice_as_many_steps() -> None:
    assert_linear(lambda size: partial(read_assembly, assembly("Acme", [f"A{n}.T" for n in range(size)])), 2_000)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 255)), min_size=1, max_size=8), st.integers(0, 1536))
def test_damaged_bytes_are_refused_and_never_a_crash(changes: list[tuple[int, int]], length: int) -> None:
    data = bytearray(assembly("Acme", ["Acme.Thing", "Acme.Other.Thing"], forwards=["A.B"]))
    for position, value in changes:
        data[position % len(data)] = value
    with suppress(ArchiveRefused):
        found = read_assembly(bytes(data[: max(length, 600)]))
        assert found is None or len(found.namespaces) <= 3
