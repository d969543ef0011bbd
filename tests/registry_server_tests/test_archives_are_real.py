"""Independent readers accept the archives and the metadata that are made."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import tarfile
import zipfile
from typing import Literal

import pytest
from packaging.metadata import Metadata
from packaging.utils import parse_sdist_filename, parse_wheel_filename

from tests.registry_server import World, npm, pypi, serve
from tests.registry_server.pypi.archives import build_sdist, build_wheel
from tests.registry_server_tests.asking import ask, ask_json

METADATA = b"Metadata-Version: 2.1\nName: some.Project\nVersion: 1.0\n"


def test_a_wheel_has_a_readable_name_and_a_record_of_its_members() -> None:
    built = build_wheel(pypi.Wheel({"some/__init__.py": b"x = 1\n"}), "some.Project", "1.0", METADATA)

    assert parse_wheel_filename(built.filename)[0] == "some-project"
    with zipfile.ZipFile(io.BytesIO(built.body)) as wheel:
        assert wheel.testzip() is None
        rows = csv.reader(io.StringIO(wheel.read("some_Project-1.0.dist-info/RECORD").decode()))
        hashes = {path: digest for path, digest, _ in rows if digest}
        for path, digest in hashes.items():
            body_hash = base64.urlsafe_b64encode(hashlib.sha256(wheel.read(path)).digest()).rstrip(b"=").decode()
            assert digest == f"sha256={body_hash}"
        assert set(hashes) | {"some_Project-1.0.dist-info/RECORD"} == set(wheel.namelist())


def test_a_padded_wheel_does_not_compress() -> None:
    built = build_wheel(pypi.Wheel(padding_bytes=1_500_000), "large", "1.0", METADATA)

    assert len(built.body) > 1_500_000


@pytest.mark.parametrize("suffix", [".tar.gz", ".zip"])
def test_an_sdist_has_one_top_folder_with_its_metadata(suffix: Literal[".tar.gz", ".zip"]) -> None:
    built = build_sdist(pypi.Sdist({"src/some/__init__.py": b""}, suffix), "some", "1.0", METADATA)

    assert parse_sdist_filename(built.filename)[0] == "some"
    if suffix == ".zip":
        with zipfile.ZipFile(io.BytesIO(built.body)) as packed:
            names = packed.namelist()
    else:
        with tarfile.open(fileobj=io.BytesIO(built.body)) as unpacked:
            names = unpacked.getnames()
    assert set(names) == {"some-1.0/PKG-INFO", "some-1.0/setup.py", "some-1.0/src/some/__init__.py"}


def test_core_metadata_is_valid_and_tells_requirements_and_import_names() -> None:
    wheel = pypi.Wheel(import_names=("some", "some.part"))
    release = pypi.ProjectRelease("1.0", (pypi.need("other", ">=1.0, <2.0"),), files=(wheel,))

    with serve(World((pypi.Project("some", (release,)),))) as server:
        file = ask_json(server, "pypi", "/simple/some/", accept="application/vnd.pypi.simple.v1+json")["files"][0]
        path = file["url"].removeprefix(server.endpoints()["pypi_files"])
        body = ask(server, "pypi_files", f"{path}.metadata").content

    assert file["core-metadata"] == {"sha256": hashlib.sha256(body).hexdigest()}
    metadata = Metadata.from_email(body, validate=True)
    assert [str(requirement) for requirement in metadata.requires_dist or ()] == ["other<2.0,>=1.0"]
    assert metadata.import_names == ["some", "some.part"]


def test_a_tarball_is_under_the_folder_that_its_author_chose() -> None:
    package = npm.Package("some", (npm.Version("1.0.0", root="some-main", members={"lib/a.js": b"1"}),))

    with serve(World((package,))) as server:
        tarball = ask(server, "npm_registry", "/some/-/some-1.0.0.tgz").content

    with tarfile.open(fileobj=io.BytesIO(tarball), mode="r:gz") as tar:
        assert tar.getnames() == ["some-main/package.json", "some-main/lib/a.js"]
