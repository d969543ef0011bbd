"""This tests real indexes and a real chunk of Maven repositories, against listings that others made of them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from securechain_ingest.registries.feed import unpack
from securechain_ingest.registries.maven.index import decode, documents, uinfos
from securechain_ingest.registries.maven.index_properties import parse_index_properties
from securechain_ingest.registries.maven.index_records import read_chunk, read_listing

FIXTURES = Path(__file__).resolve().parents[4] / "shared" / "fixtures" / "maven"
CHUNK = FIXTURES / "changes" / "central" / "nexus-maven-repository-index.445.gz"
INDEXES = {name: FIXTURES / "enumeration" / name / "nexus-maven-repository-index.gz" for name in ("index-a", "index-b")}
GOLDENS = [
    (CHUNK, FIXTURES / "changes" / "central" / "expected_entries.445.json.gz"),
    (INDEXES["index-a"], FIXTURES / "enumeration" / "index-a" / "expected_entries.json"),
]

MISREAD = {
    text.encode().decode("latin-1"): text for text in ("Java client for the SCB (Statistiska centralbyrån) API",)
}

pytestmark = pytest.mark.skipif(not FIXTURES.is_dir(), reason="the recorded payloads (shared/fixtures) are not at hand")


def records(path: Path) -> list[dict[str, str]]:
    with path.open("rb") as file:
        return [
            {decode(name): decode(value) for name, value in document.items()}
            for block in documents(file, path.name)
            for document in block
        ]


def keys(path: Path) -> list[str]:
    with path.open("rb") as file:
        return [decode(uinfo) for block in uinfos(file, path.name) for uinfo in block]


def listed_keys(path: Path) -> list[str]:
    """Return the keys of the artifacts in the listing beside the file, whose lines have fields in any order."""
    lines = path.with_name(f"{path.name}.contents.txt").read_text().splitlines()
    fields = (field for line in lines if not line.startswith("#") for field in line.split("\t"))
    return [field.removeprefix("u=") for field in fields if field.startswith("u=")]


@pytest.mark.parametrize(("path", "golden"), GOLDENS, ids=["chunk", "index"])
def test_each_record_has_the_fields_that_another_reader_found(path: Path, golden: Path) -> None:
    content = golden.read_bytes()
    expected = json.loads(gzip.decompress(content) if golden.suffix == ".gz" else content)

    # That reader took one text for Latin-1.
    mended = [{name: MISREAD.get(value, value) for name, value in entry.items()} for entry in expected]
    assert records(path) == mended


@pytest.mark.parametrize("path", [CHUNK, *INDEXES.values()], ids=["chunk", *INDEXES])
def test_the_keys_are_those_of_the_golden_listing_in_its_order(path: Path) -> None:
    assert keys(path) == listed_keys(path)
    assert keys(path) == [record["u"] for record in records(path) if "u" in record]


def test_every_package_of_an_index_is_listed_once() -> None:
    path = INDEXES["index-a"]
    pages = read_listing(str(path), path.name).pages
    names = [entry.name for packed, _ in pages for entry in unpack(packed)]

    own = [key.split("|") for key in listed_keys(path)]
    assert names == list(dict.fromkeys(f"{parts[0]}:{parts[1]}" for parts in own if parts[3] == "NA"))


def test_a_chunk_names_the_new_versions_of_each_package() -> None:
    changes = {change.name: change for change in read_chunk(str(CHUNK), CHUNK.name).changes}

    assert changes["uk.com.robust-it:cloning"].at_least == "1.9.5"
    assert not any(change.removed for change in changes.values())
    own = {tuple(key.split("|")[:3]) for key in listed_keys(CHUNK) if key.split("|")[3] == "NA"}
    told = {
        (*name.split(":"), version) for name, change in changes.items() for version in (change.at_least or "").split()
    }
    assert told == own


def test_an_index_without_artifacts_has_no_packages() -> None:
    path = FIXTURES / "enumeration" / "index-empty" / "nexus-maven-repository-index.gz"

    assert read_listing(str(path), path.name).pages == ()


def test_centrals_properties_name_thirty_chunks_up_to_the_last() -> None:
    body = (FIXTURES / "changes" / "central" / "nexus-maven-repository-index.properties").read_bytes()
    properties = parse_index_properties(body, "the properties")

    assert properties.cursor == "1318453614498:541"
    assert properties.chunks == frozenset(range(512, 542))
