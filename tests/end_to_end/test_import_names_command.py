"""This tests `import-names`: what archives on disk give, for people and for programs."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.end_to_end.daemon_process import without_settings
from tests.forked_product import run as run_product


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return run_product("import-names", *map(str, arguments), environment=without_settings())


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "own_name-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("own/__init__.py", "")
        archive.writestr("own/part.py", "")
        archive.writestr("own_name-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: own-name\nVersion: 1.0\n")
    return path


@pytest.fixture
def tarball(tmp_path: Path) -> Path:
    path = tmp_path / "own-1.0.0.tgz"
    members = {"package/package.json": b'{"name": "@scope/own", "version": "1.0.0"}', "package/lib/part.js": b""}
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    path = tmp_path / "damaged-1.0-py3-none-any.whl"
    path.write_bytes(b"PK\x03\x04 and no more")
    return path


def test_each_file_is_one_entry_of_a_list_and_a_damaged_one_says_why(wheel: Path, damaged: Path) -> None:
    result = run("pypi", "--json", wheel, damaged, "absent.whl")
    lines = json.loads(result.stdout)
    assert result.returncode == 1
    assert lines[0] == {"file": str(wheel), "names": ["own", "own.part"], "error": None}
    assert [line["names"] for line in lines[1:]] == [[], []]
    assert all(line["error"] for line in lines[1:])


def test_the_names_of_an_npm_tarball_begin_with_the_name_inside(tarball: Path) -> None:
    result = run("npm", tarball)
    assert result.returncode == 0
    assert result.stdout.splitlines() == [f"{tarball}: 2 names", "  @scope/own", "  @scope/own/lib/part"]


def test_an_archive_that_no_ecosystem_makes_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no archive")
    for ecosystem in ("pypi", "npm"):
        result = run(ecosystem, path)
        assert result.returncode == 1
        assert str(path) in result.stdout
        assert "Traceback" not in result.stderr


def test_the_limits_of_the_configuration_hold(wheel: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[archives]\nmax_members = 2\n")
    result = run("pypi", "--json", "--config", config, wheel)
    assert result.returncode == 1
    assert "at most 2 are allowed" in json.loads(result.stdout)[0]["error"]
