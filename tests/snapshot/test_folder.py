"""An export has its folder for itself, and leaves nothing behind if it breaks off."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path
from typing import Any

import pytest

from securechain_ingest.errors import SnapshotError
from securechain_ingest.snapshot.folder import claimed, prepare


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_export_that_breaks_off_leaves_an_empty_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "snapshot"

    def broken() -> None:
        with claimed(folder):
            (folder / "packages-pypi-00.csv.gz").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken()
    assert names(folder) == []


def test_what_a_killed_export_has_left_is_taken_away(tmp_path: Path) -> None:
    for name in ("manifest.json.part", "packages-pypi-00.csv.gz", "advisories.jsonl.gz", "waits.part"):
        (tmp_path / name).write_text("half")
    prepare(tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "held",
    [
        ("packages-pypi-00.csv.gz",),
        ("manifest.json", "packages-pypi-00.csv.gz"),
        ("manifest.json.part", "packages-pypi-00.csv.gz", "mine.txt"),
        ("manifest.json", "manifest.json.part"),
    ],
)
def test_what_is_not_surely_left_by_a_killed_export_stays(tmp_path: Path, held: tuple[str, ...]) -> None:
    for name in held:
        (tmp_path / name).write_text("mine")
    with pytest.raises(SnapshotError, match="is not empty"):
        prepare(tmp_path)
    assert names(tmp_path) == sorted(held)


def test_two_exports_do_not_write_into_one_folder(tmp_path: Path) -> None:
    with claimed(tmp_path):
        (tmp_path / "packages-pypi-00.csv.gz").write_text("going on")
        with pytest.raises(SnapshotError, match="another export is writing into"):
            prepare(tmp_path)
        assert names(tmp_path) == ["manifest.json.part", "packages-pypi-00.csv.gz"]


def test_where_there_are_no_locks_an_export_is_made_and_nothing_is_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_locks(*_: Any) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", without_locks)
    with claimed(tmp_path), pytest.raises(SnapshotError, match="is not empty"):
        prepare(tmp_path)
    assert names(tmp_path) == ["manifest.json.part"]
