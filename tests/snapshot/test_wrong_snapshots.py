"""A snapshot that is wrong, cut off, foreign or newer gets one line, and nothing is changed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from securechain_ingest.cli import app
from securechain_ingest.errors import SnapshotError
from securechain_ingest.registries.pypi.names import PYPI
from securechain_ingest.snapshot import columns
from securechain_ingest.snapshot.load import verify
from securechain_ingest.snapshot.manifest import SnapshotManifest
from securechain_ingest.snapshot.writing import SnapshotFiles

Damage = Callable[[Path], object]


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """Return a snapshot of two packages, made without a graph."""
    folder = tmp_path / "snapshot"
    folder.mkdir()
    files = SnapshotFiles(folder)
    for name in ("a", "b"):
        files.add("packages", "pypi", columns.packages_of(PYPI), {"purl": f"pkg:pypi/{name}", "name": name})
    SnapshotManifest(cursors={"pypi": {"value": "7"}}, parts=files.close()).write(folder)
    return folder


def _part(folder: Path) -> Path:
    return folder / "packages-pypi-00.csv.gz"


def _change_manifest(**changes: Any) -> Damage:
    def change(folder: Path) -> None:
        _write(folder / "manifest.json", json.dumps({**_manifest(folder), **changes}))

    return change


def _cut_manifest(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(path.read_text()[:-20])


def _flip_a_byte(folder: Path) -> None:
    data = bytearray(_part(folder).read_bytes())
    data[len(data) // 2] ^= 1
    _part(folder).write_bytes(data)


def _change_part(**changes: Any) -> Damage:
    def change(folder: Path) -> None:
        [part] = _manifest(folder)["parts"]
        _change_manifest(parts=[{**part, **changes}])(folder)

    return change


def _name_a_file_twice(folder: Path) -> None:
    _change_manifest(parts=_manifest(folder)["parts"] * 2)(folder)


def _forget(key: str) -> Damage:
    def change(folder: Path) -> None:
        document = _manifest(folder)
        del document[key]
        _write(folder / "manifest.json", json.dumps(document))

    return change


def _make_newer_without_parts(folder: Path) -> None:
    _change_manifest(format=2, made_by="9.0")(folder)
    _forget("parts")(folder)


def _manifest(folder: Path) -> Any:
    return json.loads((folder / "manifest.json").read_text())


def _put_a_pipe_in_place(folder: Path) -> None:
    _part(folder).unlink()
    os.mkfifo(_part(folder))


def _exchange_with_another(folder: Path) -> None:
    """Put a file of the same size in place, as another snapshot may have it."""
    _part(folder).write_bytes(bytes(_part(folder).stat().st_size))


DAMAGES: dict[str, tuple[Damage, str]] = {
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), "holds no whole snapshot"),
    "a cut manifest": (_cut_manifest, "cannot be read"),
    "a foreign manifest": (_change_manifest(product="a backup"), "not the manifest of a snapshot"),
    "a list as the manifest": (lambda folder: _write(folder / "manifest.json", "[]"), "not the manifest"),
    "bytes as the manifest": (lambda folder: _write(folder / "manifest.json", "\x00\x01"), "cannot be read"),
    "a newer snapshot": (_change_manifest(format=2, made_by="9.0"), r"newer release \(9.0, format 2\)"),
    "a newer snapshot without parts": (_make_newer_without_parts, r"newer release \(9.0, format 2\)"),
    "a wrong value": (_change_manifest(parts=[{"file": "../../x.csv.gz"}]), "wrong value at parts.0.file"),
    "a missing file": (lambda folder: _part(folder).unlink(), "No such file"),
    "a cut file": (lambda folder: _part(folder).write_bytes(_part(folder).read_bytes()[:-9]), "bytes instead of"),
    "a changed file": (_flip_a_byte, "not the file that was exported"),
    "another snapshot's file": (_exchange_with_another, "not the file that was exported"),
    "a pipe as a file": (_put_a_pipe_in_place, "is no file"),
    "a nested manifest": (lambda folder: _write(folder / "manifest.json", "[" * 100_000), "cannot be read"),
    "a folder as the manifest": (lambda folder: _to_folder(folder / "manifest.json"), "is no file"),
    "another number of rows": (_change_part(rows=77), "not the manifest that was exported"),
    "another cursor": (_change_manifest(cursors={"pypi": {"value": "9"}}), "not the manifest that was exported"),
    "a format in words": (_change_manifest(format="2"), "wrong value at format"),
    "no format": (_forget("format"), "does not have format"),
    "no files": (_forget("parts"), "does not have parts"),
    "a file named twice": (_name_a_file_twice, "wrong value at parts"),
    "packages of no ecosystem": (_change_part(ecosystem=None), "wrong value at parts.0"),
    "advisories of an ecosystem": (_change_part(kind="advisories"), "wrong value at parts.0"),
    "no folder": (lambda folder: folder.rename(folder.with_name("moved")), "holds no whole snapshot"),
}


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _to_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def test_a_whole_snapshot_is_whole(snapshot: Path) -> None:
    sizes: list[int] = []
    assert verify(snapshot, sizes.append).rows("packages") == 2
    assert sum(sizes) == _part(snapshot).stat().st_size


def test_a_file_that_the_manifest_does_not_name_is_not_read(snapshot: Path) -> None:
    _write(snapshot / "packages-pypi-01.csv.gz", "mine")
    assert verify(snapshot, lambda _: None).rows("packages") == 2


def test_a_snapshot_of_before_the_manifest_had_a_digest_is_whole(snapshot: Path) -> None:
    _forget("sha256")(snapshot)
    assert verify(snapshot, lambda _: None).rows("packages") == 2


def test_the_offline_command_is_not_printed_for_an_unknown_ecosystem(snapshot: Path) -> None:
    _change_part(ecosystem="golang")(snapshot)
    _forget("sha256")(snapshot)
    result = CliRunner().invoke(app, ["snapshot", "offline", str(snapshot)])
    assert isinstance(result.exception, SnapshotError)
    assert "the snapshot has golang" in str(result.exception)
    assert result.output == ""


@pytest.mark.parametrize("damage", DAMAGES)
def test_each_fault_is_named(snapshot: Path, damage: str) -> None:
    change, words = DAMAGES[damage]
    change(snapshot)
    with pytest.raises(SnapshotError, match=words):
        verify(snapshot, lambda _: None)


@pytest.mark.parametrize("command", ["verify", "import"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_the_command_line_prints_one_line_and_no_store_is_opened(
    snapshot: Path, damage: str, command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SECURECHAIN_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    change, _ = DAMAGES[damage]
    change(snapshot)
    result = CliRunner().invoke(app, ["snapshot", command, str(snapshot)])
    assert isinstance(result.exception, SnapshotError)
    assert "\n" not in str(result.exception)
    assert result.output == ""
    assert not (tmp_path / "state").exists()


def test_a_snapshot_is_not_exported_over_something_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECURECHAIN_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    result = CliRunner().invoke(app, ["snapshot", "export", str(tmp_path / "file")])
    assert isinstance(result.exception, SnapshotError)
    assert (tmp_path / "file").read_text() == "mine"
    assert not (tmp_path / "state").exists()
