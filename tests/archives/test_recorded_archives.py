"""Every recorded archive lists as its golden listing says; they are read where they lie."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, cast

import pytest

from securechain_ingest.archives.limits import ArchiveLimits, safe_name
from securechain_ingest.archives.remote import tail_window
from securechain_ingest.archives.sparse import MissingBytes, SparseFile
from securechain_ingest.archives.tars import iterate_tar
from securechain_ingest.archives.zips import open_zip
from tests.conftest import SHARED_FIXTURES

_LIMITS = ArchiveLimits(max_members=100_000, max_expanded_bytes=1024**3)
_ARCHIVES = sorted(path for path in SHARED_FIXTURES.glob("*/archives/*") if not path.name.endswith(".contents.txt"))
_ZIPS = [path for path in _ARCHIVES if path.suffix in {".whl", ".zip", ".jar", ".war", ".nupkg"}]
_TARS = [path for path in _ARCHIVES if path.name.endswith((".tgz", ".crate", ".tar.gz", ".gem"))]

# Without them these are skipped, or fail where nothing may be skipped.
pytestmark = pytest.mark.usefixtures("shared_fixtures")


def _golden(archive: Path) -> list[tuple[int, str, str]]:
    lines = archive.with_name(f"{archive.name}.contents.txt").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t", 2) for line in lines if line and not line.startswith("#")]
    return [(int(size), kind, safe_name(name.rstrip("/")) or "") for size, kind, name in rows]


def _files(rows: list[tuple[int, str, str]]) -> list[tuple[str, int]]:
    return sorted({(name, size) for size, kind, name in rows if kind == "f" and name})


def _zip_files(file: BinaryIO) -> list[tuple[str, int]]:
    return sorted({(member.name, member.size) for member in open_zip(file, _LIMITS).members() if member.is_file})


def test_there_are_recorded_zips_and_tars() -> None:
    assert _ZIPS
    assert _TARS


@pytest.mark.parametrize("archive", _ZIPS, ids=lambda path: path.name)
def test_a_recorded_zip_lists_its_files_and_reads_them(archive: Path) -> None:
    with archive.open("rb") as file:
        assert _zip_files(file) == _files(_golden(archive))
        listing = open_zip(file, _LIMITS)
        for name in listing.names()[:50]:
            assert len(listing.read(name)) in {member.size for member in listing.members() if member.name == name}


@pytest.mark.parametrize("archive", _TARS, ids=lambda path: path.name)
def test_a_recorded_tar_lists_its_files_and_reads_them(archive: Path) -> None:
    with archive.open("rb") as file:
        members = [(m.name, len(m.read()) if m.is_file else m.size, m.is_file) for m in iterate_tar(file, _LIMITS)]
    files = sorted({(name, size) for name, size, is_file in members if is_file})
    # A gem's golden listing goes on with the members of the data.tar.gz inside.
    golden = _golden(archive)[: len(members)] if archive.suffix == ".gem" else _golden(archive)
    assert files == _files(golden)


@pytest.mark.parametrize("archive", _ZIPS, ids=lambda path: path.name)
def test_the_end_of_a_recorded_zip_is_enough_for_its_listing(archive: Path) -> None:
    whole = archive.read_bytes()
    start = max(0, len(whole) - tail_window(len(whole)))
    segments = [(start, whole[start:])]
    for _ in range(2):
        try:
            names = _zip_files(cast(BinaryIO, SparseFile(len(whole), segments)))
            break
        except MissingBytes as missing:
            segments.append((missing.first, whole[missing.first : missing.last + 1]))
    else:
        pytest.fail("more than one more range was needed")
    assert names == _files(_golden(archive))


def test_unsafe_names_of_a_real_archive_are_left_out_and_the_rest_is_read(shared_fixtures: Path) -> None:
    with (shared_fixtures / "maven" / "archives" / "nexus-webapp-sources.jar").open("rb") as file:
        names = [member.name for member in open_zip(file, _LIMITS).members()]
    assert "META-INF/MANIFEST.MF" in names
    assert not any(".." in name for name in names)
