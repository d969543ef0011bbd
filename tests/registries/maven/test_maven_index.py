"""This tests the published index of a Maven repository: exact about what is a document, and what is damaged."""

from __future__ import annotations

import gzip
import io
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securechain_ingest.errors import CursorLost, Malformed
from securechain_ingest.registries.feed import Change, Listed, unpack
from securechain_ingest.registries.maven import index
from securechain_ingest.registries.maven.index import decode, documents, uinfos
from securechain_ingest.registries.maven.index_properties import parse_index_properties, parse_properties
from securechain_ingest.registries.maven.index_records import listed_versions, read_chunk, read_listing, revision
from tests.registry_server.maven.index import Fields, encoded, field, framed, modified_utf8, packed, records
from tests.steps import assert_linear

TEXT = st.text(max_size=30)
DOCUMENTS = st.lists(st.dictionaries(st.sampled_from(["u", "m", "i", "n", "d", "1", "del", "x"]), TEXT, max_size=6))
SMALL = [*records("org.example:thing", "1.0", 1), {"n": "no key", "u": "a|b|c|NA"}, {"del": "a|b|0|NA", "m": "1"}]


def read(content: bytes) -> list[Fields]:
    found = [each for block in documents(io.BytesIO(content), "the index") for each in block]
    return [{decode(name): decode(value) for name, value in document.items()} for document in found]


def keys(content: bytes) -> list[str]:
    return [decode(uinfo) for block in uinfos(io.BytesIO(content), "the index") for uinfo in block]


@given(DOCUMENTS)
def test_what_was_written_is_read_field_by_field_and_by_keys_alone(written: list[Fields]) -> None:
    content = packed(written)

    assert read(content) == written
    assert keys(content) == [document["u"] for document in written if "u" in document]


@given(st.lists(TEXT, max_size=5), st.integers(1, 300))
def test_a_value_that_looks_like_a_document_is_a_value(texts: list[str], repeats: int) -> None:
    inner = encoded({"u": "evil|evil|6.6.6|NA", "m": "1"}) * repeats
    written = [{"n": inner.decode("latin-1") + text, "u": f"good|{number}|1|NA"} for number, text in enumerate(texts)]

    assert keys(packed(written)) == [f"good|{number}|1|NA" for number in range(len(texts))]


@given(st.lists(st.sampled_from(["u", "n", "d", "m", "Bundle-Name", "1"]), min_size=1, max_size=6), st.integers(1, 300))
def test_raw_bytes_that_look_like_a_document_are_still_a_value(names: list[str], repeats: int) -> None:
    # Java writes no NUL within a value; a foreign writer may.
    inner = encoded({"u": "evil|evil|6.6.6|NA", "m": "1"}) * repeats
    disguised = framed(
        [field("u", "good|a|1|NA"), *(bare(name) + struct.pack(">i", len(inner)) + inner for name in names)]
    )
    plain = struct.pack(">bq", 1, 0) + disguised + encoded({"u": "good|b|2|NA"})

    assert keys(gzip.compress(plain, 1)) == ["good|a|1|NA", "good|b|2|NA"]


def bare(name: str) -> bytes:
    """Return a field's flags and name."""
    return field(name, "")[:-4]


@given(TEXT)
def test_texts_are_in_javas_own_utf8(text: str) -> None:
    assert decode(modified_utf8(text)) == text


def test_an_index_that_is_cut_off_anywhere_is_damaged() -> None:
    content = packed(SMALL)
    for length in range(len(content)):
        with pytest.raises(Malformed):
            read(content[:length])
        with pytest.raises(Malformed):
            keys(content[:length])


def test_documents_that_are_cut_off_within_a_whole_stream_are_damaged() -> None:
    plain = gzip.decompress(packed(SMALL))
    ends = {9}
    for count in range(1, len(SMALL) + 1):
        ends.add(len(gzip.decompress(packed(SMALL[:count]))))
    for length in range(len(plain)):
        cut = gzip.compress(plain[:length], 1)
        if length in ends:
            assert len(read(cut)) < len(SMALL)
        else:
            with pytest.raises(Malformed):
                keys(cut)
            with pytest.raises(Malformed):
                read(cut)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html></html>",
        gzip.compress(b"\x02" + bytes(8)),
        gzip.compress(b"<html><body>Please log in.</body></html>"),
        gzip.compress(b"\x01" + bytes(8) + b"\x7f\xff\xff\xff"),
        gzip.compress(b"\x01" + bytes(8) + b"\x00\x00\x00\x01\x05\x00\x01u\xff\xff\xff\xff"),
    ],
    ids=["empty", "a page", "another format", "a packed page", "too many fields", "a negative length"],
)
def test_a_foreign_file_is_refused(content: bytes) -> None:
    with pytest.raises(Malformed, match="the index"):
        keys(content)


@given(st.data())
def test_a_damaged_byte_never_passes_for_another_index(data: st.DataObject) -> None:
    content = bytearray(packed(SMALL))
    place = data.draw(st.integers(10, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))

    try:
        found = keys(bytes(content))
    except Malformed:
        return
    assert found == keys(packed(SMALL))


def test_versions_are_those_of_the_artifacts_own_files(tmp_path: Path) -> None:
    file = tmp_path / "index.gz"
    file.write_bytes(
        packed(
            [
                {"DESCRIPTOR": "NexusIndex", "IDXINFO": "1.0|central"},
                *records("org.example:thing", "1.0", 1),
                *records("org.Example:Other", "2.0", 2),
                *records("org.example:thing", "1.1", 3),
                {"u": "org.example|thing|1.1|NA|pom", "m": "1"},
                {"u": "org.example|thing|1.2|javadoc|jar", "m": "1"},
                {"u": "org.example|only-sources|1.2|sources|jar", "m": "1"},
                {"allGroups": "allGroups", "allGroupsList": "org.example|org.Example"},
            ]
        )
    )

    [(page, _)] = read_listing(str(file), "the index").pages

    assert unpack(page) == [
        Listed("org.example:thing", revision(["1.1", "1.0"]), "listed: 1.0 1.1"),
        Listed("org.Example:Other", revision(["2.0"]), "listed: 2.0"),
    ]


def test_a_version_that_can_be_no_folder_counts_in_the_revision_and_is_not_told(tmp_path: Path) -> None:
    file = tmp_path / "index.gz"
    odd = ["[1.0,2.0)", "a/b", "${v}", "..", "bell\x07", "with blank"]
    file.write_bytes(packed([document for version in (*odd, "1.0") for document in records("g:a", version, 1)]))

    [(page, _)] = read_listing(str(file), "the index").pages

    assert unpack(page) == [Listed("g:a", revision([*odd, "1.0"]), "listed: 1.0")]


def test_of_very_many_versions_a_listing_names_none(tmp_path: Path) -> None:
    file = tmp_path / "index.gz"
    versions = [f"1.{'0' * 40}.{number}" for number in range(1000)]
    file.write_bytes(packed([document for version in versions for document in records("g:a", version, 1)]))

    [(page, _)] = read_listing(str(file), "the index").pages

    assert unpack(page) == [Listed("g:a", revision(versions), None)]


def test_what_was_told_is_read_back() -> None:
    assert listed_versions("listed: 1.0 1.1 1.0") == (("1.0", "1.1"), True)
    assert listed_versions("1.0 1.1 1.0") == (("1.0", "1.1"), False)
    assert listed_versions(None) == ((), False)


def index_of(size: int, *, fields: bool) -> io.BytesIO:
    """Return one document of very many fields, or very many documents; some `size` bytes."""
    number = size // 20
    made = framed([field(f"f{each}", "x") for each in range(number)])
    small = encoded({"u": "g|a|1|NA"})
    return io.BytesIO(gzip.compress(struct.pack(">bq", 1, 0) + (made if fields else small * number), 1))


@pytest.mark.parametrize("fields", [True, False])
def test_documents_large_and_small_are_walked_over_in_steps_by_their_length(
    fields: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "_BLOCK_BYTES", 512)

    def prepare(size: int) -> Callable[[], object]:
        file = index_of(size, fields=fields)
        return lambda: [len(block) for block in documents(file, "the index")]

    assert_linear(prepare, 20_000)


def test_properties_are_read_in_steps_by_their_length() -> None:
    def prepare(size: int) -> Callable[[], object]:
        lines = b"key=" + b"a\\\n" * size + b"\n" + b"k\\:=v\n" * size
        return lambda: parse_properties(lines)

    assert_linear(prepare)


def test_a_chunk_tells_new_versions_and_packages_that_lost_some(tmp_path: Path) -> None:
    file = tmp_path / "chunk.gz"
    file.write_bytes(
        packed(
            [
                *records("g:a", "1.0", 1),
                *records("g:a", "1.1", 2),
                {"del": "g|a|0.9|NA", "m": "1"},
                {"del": "g|b|1.0|sources|jar", "m": "1"},
                {"del": "g|c|1.0|NA|jar", "m": "1"},
            ]
        )
    )

    changes = read_chunk(str(file), "the chunk").changes

    assert changes == (Change("g:a", "1.0 1.1", False), Change("g:c", None, True, versions_only=True))


PROPERTIES = b"""#Sat Aug 01 00\\:00\\:00 UTC 2026
nexus.index.id=central
nexus.index.chain-id=1318453614498
nexus.index.timestamp=20260801000000.000 +0000
nexus.index.last-incremental = 7
nexus.index.incremental-0=7
nexus.index.incremental-1=6
nexus.index.incremental-2=5
"""


@pytest.mark.parametrize(("cursor", "chunks"), [("4", [5, 6, 7]), ("6", [7]), ("7", [])])
def test_the_chunks_after_a_cursor_are_read_in_order(cursor: str, chunks: list[int]) -> None:
    properties = parse_index_properties(PROPERTIES, "the properties")

    assert list(properties.chunks_after(f"1318453614498:{cursor}", "the properties")) == chunks


@pytest.mark.parametrize("cursor", ["", "x", "1318453614498:3", "1318453614498:8", "999:7", "1318453614498:-1"])
def test_a_cursor_from_which_no_chain_of_chunks_leads_on_is_lost(cursor: str) -> None:
    with pytest.raises(CursorLost):
        parse_index_properties(PROPERTIES, "the properties").chunks_after(cursor, "the properties")


@pytest.mark.parametrize("content", [b"", b"<html></html>", PROPERTIES.replace(b"= 7", b"= seven"), b"a=b"])
def test_properties_that_tell_no_chain_are_malformed(content: bytes) -> None:
    with pytest.raises(Malformed):
        parse_index_properties(content, "the properties")


def test_properties_are_javas() -> None:
    assert parse_properties(b"a\\:b = c\\=d\\u0041\\\n   e\n! no\n#no\nf:g\nh i\n") == {
        "a:b": "c=dAe",
        "f": "g",
        "h": "i",
    }
