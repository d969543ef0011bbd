"""This tests Cargo's parser of the database dump over a recorded one, which holds three crates."""

from __future__ import annotations

import csv
import io
import tarfile
from pathlib import Path

import pytest

from securechain_ingest.registries.cargo.dump import parse_tar
from securechain_ingest.registries.cargo.revision import revision, version_digest
from securechain_ingest.registries.feed import unpack

DUMP = Path(__file__).resolve().parents[4] / "shared" / "fixtures" / "crates" / "enumeration" / "db-dump.visit0.tar.gz"

pytestmark = pytest.mark.skipif(not DUMP.is_file(), reason="the recorded payloads (shared/fixtures) are not at hand")


def rows(table: str) -> list[dict[str, str]]:
    """Return a whole table, read at once."""
    with tarfile.open(DUMP) as tar:
        [member] = [member for member in tar if member.name.endswith(f"/{table}")]
        file = tar.extractfile(member)
        assert file is not None
        return list(csv.DictReader(io.TextIOWrapper(file, "utf-8", newline="")))


def test_a_recorded_dump_lists_each_crate_with_the_state_of_its_versions() -> None:
    [page] = parse_tar(DUMP, "the dump")
    found = {entry.name: entry.revision for entry in unpack(page.packed)}

    assert found.keys() == {"rand", "regex", "regex-syntax"}
    assert found == {
        crate["name"]: revision(
            version_digest(version["num"], version["yanked"] == "t")
            for version in rows("versions.csv")
            if version["crate_id"] == crate["id"]
        )
        for crate in rows("crates.csv")
    }
    assert found["regex-syntax"] == revision([version_digest("0.1.0", False)])
