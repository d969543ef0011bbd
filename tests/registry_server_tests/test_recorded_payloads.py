"""Recorded documents and archives are served under their registry paths, without links that leave loopback."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from securechain_ingest.ecosystem_settings import EndpointSettings
from tests.registry_server import Server, World, npm, serve
from tests.registry_server.recorded import FIXTURES
from tests.registry_server_tests.asking import ask, ask_json
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.skipif(not FIXTURES.is_dir(), reason="the recorded payloads are not beside this checkout")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve(World(recorded=FIXTURES)) as server:
        yield server


def test_a_recorded_project_and_its_archive_can_be_had(server: Server) -> None:
    releases = ask_json(server, "pypi", "/pypi/0805nexter/json")["releases"]

    archive = httpx.get(releases["1.1.0"][0]["url"], trust_env=False, timeout=PATIENCE_S)

    assert archive.content == (FIXTURES / "pypi" / "archives" / "0805nexter-1.1.0.zip").read_bytes()


def test_a_recorded_packument_and_its_tarball_can_be_had(server: Server) -> None:
    versions = ask_json(server, "npm_registry", "/left-pad", accept="application/json")["versions"]

    tarball = httpx.get(versions["1.3.0"]["dist"]["tarball"], trust_env=False, timeout=PATIENCE_S)

    assert tarball.content == (FIXTURES / "npm" / "archives" / "left-pad-1.3.0.tgz").read_bytes()


def test_a_recorded_scoped_package_is_under_its_encoded_name(server: Server) -> None:
    assert ask_json(server, "npm_registry", "/@types%2fjquery")["name"] == "@types/jquery"


def test_an_archive_that_no_document_names_has_a_path_of_its_own(server: Server) -> None:
    path = "/recorded/JSONStream-1.3.5.tgz"

    assert ask(server, "npm_registry", path, range="bytes=0-1").content == b"\x1f\x8b"


def test_no_link_to_a_registry_is_left(server: Server) -> None:
    body = ask(server, "npm_registry", "/express", accept="application/json").text

    assert EndpointSettings().own()["npm_registry"].partition("://")[2] + "/express/-/" not in body


def test_a_made_package_goes_before_a_recorded_one() -> None:
    world = World((npm.Package("left-pad", (npm.Version("9.9.9"),)),), recorded=FIXTURES)

    with serve(world) as server:
        assert list(ask_json(server, "npm_registry", "/left-pad")["versions"]) == ["9.9.9"]
        assert ask_json(server, "npm_registry", "/chalk")["name"] == "chalk"
