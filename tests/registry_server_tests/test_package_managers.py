"""The ecosystems' own tools work against the made registries."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.registry_server import World, npm, pypi, serve


@pytest.mark.skipif(importlib.util.find_spec("pip") is None, reason="pip is not installed")
@pytest.mark.parametrize(
    ("wanted", "file"),
    [("some-project==1.0", "some_project-1.0-py3-none-any.whl"), ("some-project", "some_project-2.0-py3-none-any.whl")],
)
def test_pip_downloads_what_it_is_asked_for(tmp_path: Path, wanted: str, file: str) -> None:
    releases = (pypi.ProjectRelease("1.0"), pypi.ProjectRelease("2.0"), pypi.ProjectRelease("3.0", yanked=True))
    with serve(World((pypi.Project("some-project", releases),))) as server:
        command = [sys.executable, "-m", "pip", "--isolated", "--disable-pip-version-check", "download", "--no-deps"]
        command += ["--no-cache-dir", "--index-url", f"{server.endpoints()['pypi']}/simple/", "--dest", str(tmp_path)]
        subprocess.run([*command, wanted], check=True, capture_output=True)

    assert [path.name for path in tmp_path.iterdir()] == [file]


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_npm_shows_and_packs_a_scoped_package(tmp_path: Path) -> None:
    package = npm.Package("@scope/some", (npm.Version("1.0.0"), npm.Version("1.1.0", deprecated="Do not.")))
    environment = os.environ | {"HOME": str(tmp_path), "npm_config_cache": str(tmp_path / "cache")}
    with serve(World((package,))) as server:

        def run(*arguments: str) -> str:
            command = ["npm", *arguments, "--json", f"--registry={server.endpoints()['npm_registry']}", "--no-audit"]
            finished = subprocess.run(
                command, check=True, capture_output=True, cwd=tmp_path, env=environment, text=True
            )
            return finished.stdout

        assert json.loads(run("view", "@scope/some", "versions")) == ["1.0.0", "1.1.0"]
        run("pack", "@scope/some@1.0.0")

    assert (tmp_path / "scope-some-1.0.0.tgz").is_file()
