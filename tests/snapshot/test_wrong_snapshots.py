"""A snapshot that is wrong, cut off, foreign or newer gets one line, and nothing is changed."""

from __future__ import annotations

import json
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
    SnapshotManifest(parts=files.close()).write(folder)
    return folder


def _part(folder: Path) -> Path:
    return folder / "packages-pypi-00.csv.gz"


def _change_manifest(**changes: Any) -> Damage:
    def change(folder: Path) -> None:
        path = folder / "manifest.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


def _cut_manifest(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(path.read_text()[:-20])


def _flip_a_byte(folder: Path) -> None:
    data = bytearray(_part(folder).read_bytes())
    data[len(data) // 2] ^= 1
    _part(folder).write_bytes(data)


DAMAGES: dict[str, tuple[Damage, str]] = {
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), "holds no whole snapshot"),
    "a cut manifest": (_cut_manifest, "cannot be read"),
    "a foreign manifest": (_change_manifest(product="a backup"), "not the manifest of a snapshot"),
    "a list as the manifest": (lambda folder: _write(folder / "manifest.json", "[]"), "not the manifest"),
    "bytes as the manifest": (lambda folder: _write(folder / "manifest.json", "\x00\x01"), "cannot be read"),
    "a newer snapshot": (_change_manifest(format=2, made_by="9.0"), r"newer release \(9.0, format 2\)"),
    "a wrong value": (_change_manifest(parts=[{"file": "../../x.csv.gz"}]), "wrong value at parts.0.file"),
    "a missing file": (lambda folder: _part(folder).unlink(), "No such file"),
    "a cut file": (lambda folder: _part(folder).write_bytes(_part(folder).read_bytes()[:-9]), "bytes instead of"),
    "a changed file": (_flip_a_byte, "not the file that was exported"),
    "no folder": (lambda folder: folder.rename(folder.with_name("moved")), "holds no whole snapshot"),
}


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def test_a_whole_snapshot_is_whole(snapshot: Path) -> None:
    sizes: list[int] = []
    assert verify(snapshot, sizes.append).rows("packages") == 2
    assert sum(sizes) == _part(snapshot).stat().st_size


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
