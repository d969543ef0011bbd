"""This tests all advisories of an ecosystem as one archive: it is read in bounded portions, whatever is in it."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import orjson
import pytest

from securechain_ingest.advisories import osv
from securechain_ingest.advisories.osv import read_batch
from securechain_ingest.errors import Malformed


def advisory(identifier: str, **fields: Any) -> bytes:
    return orjson.dumps({"id": identifier, "modified": "2026-08-01T00:00:00Z", **fields})


def written(folder: Path, members: dict[str, bytes]) -> Path:
    path = folder / "all.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    while batch := read_batch(path, "made", len(found)):
        found |= dict(batch)
    return found


def is_read(found: dict[str, Any]) -> dict[str, bool]:
    return {identifier: isinstance(record, dict) for identifier, record in found.items()}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        advisory("GHSA-9"),
        b"[" * 100_000,
        b'{"id": "GHSA-2", "modified": "\xff"}',
        advisory("GHSA-2", details="x" * osv.MAX_RECORD_BYTES),
    ],
    ids=["empty", "cut off", "a list", "another id", "deep", "no UTF-8", "huge"],
)
def test_a_member_that_is_no_advisory_costs_itself(tmp_path: Path, content: bytes) -> None:
    path = written(tmp_path, {"GHSA-1.json": advisory("GHSA-1"), "GHSA-2.json": content, "read.me": b""})
    assert is_read(read(path)) == {"GHSA-1": True, "GHSA-2": False}


@pytest.mark.parametrize(
    ("offset", "value"),
    [(10, 0x63), (8, 0x01), (14, 0xFF), (24, 0x05)],
    ids=["unknown compression", "encrypted", "checksum", "size"],
)
def test_a_member_that_cannot_be_unpacked_costs_itself(tmp_path: Path, offset: int, value: int) -> None:
    path = written(tmp_path, {"GHSA-2.json": advisory("GHSA-2"), "GHSA-1.json": advisory("GHSA-1")})
    raw = bytearray(path.read_bytes())
    directory = raw.index(b"PK\x01\x02")
    # The checksum and the size are where the directory says; the local header has the rest once more.
    raw[directory + offset + (2 if offset == 14 else 0)] = value
    if offset < 12:
        raw[offset - 2] = value
    path.write_bytes(raw)
    assert is_read(read(path)) == {"GHSA-1": True, "GHSA-2": False}


def test_a_member_that_expands_without_end_is_read_to_its_limit(tmp_path: Path) -> None:
    path = written(tmp_path, {"GHSA-1.json": advisory("GHSA-1"), "GHSA-2.json": b" " * (64 * 1024 * 1024)})
    assert is_read(read(path)) == {"GHSA-1": True, "GHSA-2": False}


def test_a_batch_holds_few_bytes_however_large_its_members_are(tmp_path: Path) -> None:
    large = {f"GHSA-{number}.json": advisory(f"GHSA-{number}", details="x" * 1_000_000) for number in range(9)}
    path = written(tmp_path, large)
    assert len(read_batch(path, "made", 0)) == 2
    assert all(is_read(read(path)).values())
    assert len(read(path)) == 9


def test_members_of_one_name_are_read_once(tmp_path: Path) -> None:
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("GHSA-1.json", advisory("GHSA-1"))
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("GHSA-1.json", advisory("GHSA-1"))
    assert len(read_batch(path, "made", 0)) == 1


@pytest.mark.parametrize("damage", ["cut off", "noise", "a page"])
def test_an_archive_that_is_none_is_malformed(tmp_path: Path, damage: str) -> None:
    path = written(tmp_path, {f"GHSA-{number}.json": advisory(f"GHSA-{number}") for number in range(50)})
    content = {"cut off": path.read_bytes()[:-100], "noise": os.urandom(5_000), "a page": b"<html></html>"}[damage]
    path.write_bytes(content)
    with pytest.raises(Malformed):
        read_batch(path, "made", 0)


def test_an_archive_of_too_many_members_is_malformed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(osv, "_MAX_MEMBERS", 3)
    path = written(tmp_path, {f"GHSA-{number}.json": advisory(f"GHSA-{number}") for number in range(4)})
    with pytest.raises(Malformed):
        read_batch(path, "made", 0)


def test_the_folder_of_a_member_does_not_matter(tmp_path: Path) -> None:
    path = written(tmp_path, {"../PyPI/GHSA-1.json": advisory("GHSA-1")})
    assert is_read(read(path)) == {"GHSA-1": True}
