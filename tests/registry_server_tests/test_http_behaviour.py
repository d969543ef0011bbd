"""Conditional, compressed and ranged requests are answered as the registries answer them."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

import httpx
import pytest

from securechain_ingest.ecosystem_settings import EndpointSettings
from tests.registry_server import Server, World, npm, pypi, serve
from tests.registry_server_tests.asking import ask, ask_json
from tests.waiting import PATIENCE_S

WORLD = World(
    (
        pypi.Project("Some.Project", (pypi.ProjectRelease("1.0"), pypi.ProjectRelease("2.0+local"))),
        npm.Package("@scope/some", (npm.Version("1.0.0"),)),
        npm.Package("Legacy", (npm.Version("0.1.0"),)),
    )
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve(WORLD) as server:
        yield server


@pytest.fixture
def wheel(server: Server) -> str:
    """Return the path of a wheel on the file host."""
    url: str = ask_json(server, "pypi", "/pypi/some-project/json")["releases"]["1.0"][0]["url"]
    return url.removeprefix(server.endpoints()["pypi_files"])


def test_an_unchanged_document_is_not_sent_again(server: Server) -> None:
    etag = ask(server, "pypi", "/pypi/some-project/json").headers["etag"]

    response = ask(server, "pypi", "/pypi/some-project/json", if_none_match=etag)

    assert (response.status_code, response.content) == (304, b"")
    assert ask(server, "pypi", "/pypi/some-project/json", if_none_match='"other"').status_code == 200


def test_a_document_is_compressed_only_when_asked(server: Server) -> None:
    packed = ask(server, "pypi", "/pypi/some-project/json", accept_encoding="gzip")
    plain = ask(server, "pypi", "/pypi/some-project/json", accept_encoding="identity")

    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content
    assert int(packed.headers["content-length"]) < len(plain.content) == int(plain.headers["content-length"])


def test_an_absolute_range_is_that_part_of_the_file(server: Server, wheel: str) -> None:
    whole = ask(server, "pypi_files", wheel).content

    part = ask(server, "pypi_files", wheel, range="bytes=10-19")
    rest = ask(server, "pypi_files", wheel, range=f"bytes=10-{len(whole) + 1000}")

    assert (part.status_code, part.content) == (206, whole[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole)}"
    assert (rest.content, rest.headers["content-range"]) == (whole[10:], f"bytes 10-{len(whole) - 1}/{len(whole)}")


def test_a_range_beyond_the_end_is_not_satisfiable(server: Server, wheel: str) -> None:
    size = len(ask(server, "pypi_files", wheel).content)

    response = ask(server, "pypi_files", wheel, range=f"bytes={size}-{size + 10}")

    assert (response.status_code, response.headers["content-range"]) == (416, f"bytes */{size}")


@pytest.mark.parametrize("wanted", ["bytes=-100", "bytes=0-1,4-5"])
def test_suffix_and_multiple_ranges_are_not_implemented(server: Server, wheel: str, wanted: str) -> None:
    assert ask(server, "pypi_files", wheel, range=wanted).status_code == 501


def test_the_files_own_host_serves_what_the_digests_promise(server: Server) -> None:
    file = ask_json(server, "pypi", "/pypi/some-project/2.0+local/json")["urls"][0]
    body = httpx.get(file["url"], trust_env=False, timeout=PATIENCE_S).content

    assert hashlib.sha256(body).hexdigest() == file["digests"]["sha256"]
    assert len(body) == file["size"]


def test_another_spelling_of_a_project_is_redirected_and_noted(server: Server) -> None:
    response = ask(server, "pypi", "/pypi/Some.Project/json")

    assert (response.status_code, response.headers["location"]) == (301, "/pypi/some-project/json")
    assert server.requests[-1].defect == "a name that is not normalised"


def test_the_simple_page_has_two_forms(server: Server) -> None:
    as_json = ask(server, "pypi", "/simple/some-project/", accept="application/vnd.pypi.simple.v1+json")
    as_html = ask(server, "pypi", "/simple/some-project/", accept="text/html")

    assert as_json.headers["content-type"] == "application/vnd.pypi.simple.v1+json"
    assert as_json.json()["versions"] == ["1.0", "2.0+local"]
    assert as_html.headers["content-type"].startswith("text/html")
    assert as_html.text.count("<a ") == 2


def test_the_list_of_projects_carries_serials(server: Server) -> None:
    response = ask(server, "pypi", "/simple/", accept="application/vnd.pypi.simple.v1+json")

    assert response.headers["x-pypi-last-serial"] == "3000002"
    assert response.json()["projects"] == [{"_last-serial": 3_000_002, "name": "Some.Project"}]


def test_a_packument_has_two_forms(server: Server) -> None:
    full = ask_json(server, "npm_registry", "/@scope%2Fsome", accept="application/json")
    abbreviated = ask_json(server, "npm_registry", "/@scope%2fsome", accept="application/vnd.npm.install-v1+json")

    assert {"time", "_rev", "readme"} <= set(full)
    assert set(abbreviated) == {"name", "dist-tags", "modified", "versions"}


def test_a_scope_whose_slash_is_not_encoded_is_not_found_and_noted(server: Server) -> None:
    assert ask(server, "npm_registry", "/@scope/some").status_code == 404
    assert server.requests[-1].defect == "a scope's slash that is not encoded"


def test_npm_names_are_case_sensitive(server: Server) -> None:
    assert ask(server, "npm_registry", "/Legacy").status_code == 200
    assert ask(server, "npm_registry", "/legacy").status_code == 404


def test_a_method_that_writes_is_refused(server: Server) -> None:
    assert ask(server, "pypi", "/pypi/some-project/json", method="DELETE").status_code == 405


def test_requests_sent_at_once_on_one_connection_are_answered_in_turn(server: Server) -> None:
    address = urlsplit(server.endpoints()["npm_registry"])
    with socket.create_connection((address.hostname, address.port or 0), timeout=PATIENCE_S) as connection:
        connection.sendall(
            b"GET /Legacy HTTP/1.1\r\nHost: x\r\n\r\nGET /absent HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        received = b"".join(iter(lambda: connection.recv(65536), b""))

    assert received.index(b"HTTP/1.1 200 OK") < received.index(b"HTTP/1.1 404 Not Found")


def test_every_request_is_recorded_with_what_it_cost(server: Server) -> None:
    before = len(server.requests)
    body = ask(server, "npm_registry", "/Legacy?write=true", accept_encoding="identity", user_agent="me").content

    (recorded,) = server.requests[before:]
    assert (recorded.endpoint, recorded.method, recorded.target) == ("npm_registry", "GET", "/Legacy?write=true")
    assert (recorded.status, recorded.bytes_sent, recorded.headers["user-agent"]) == (200, len(body), "me")


def test_every_endpoint_has_a_name_that_the_daemon_is_configured_by(server: Server) -> None:
    assert set(server.endpoints()) <= set(EndpointSettings.model_fields)
    assert server.environment()["SECURECHAIN_ENDPOINTS__PYPI_FILES"] == server.endpoints()["pypi_files"]


def test_only_counters_are_kept_when_memory_counts() -> None:
    with serve(WORLD, keep_requests=False) as server:
        body = ask(server, "npm_registry", "/Legacy", accept_encoding="identity").content

        assert server.requests == []
        assert server.counters()["requests"] == {"npm_registry": 1}
        assert server.counters()["bytes"] == {"npm_registry": len(body)}


def test_no_response_comes_before_the_latency_has_passed() -> None:
    with serve(WORLD, latency_s=0.05) as server:
        started = time.monotonic()
        ask(server, "npm_registry", "/Legacy")

        assert time.monotonic() - started >= 0.05


def test_a_second_visit_can_find_another_world() -> None:
    with serve(WORLD) as server:
        etag = ask(server, "npm_registry", "/Legacy").headers["etag"]
        server.replace(World((npm.Package("Legacy", (npm.Version("0.1.0"), npm.Version("0.2.0"))),)))

        response = ask(server, "npm_registry", "/Legacy", if_none_match=etag)

    assert response.status_code == 200
    assert list(response.json()["versions"]) == ["0.1.0", "0.2.0"]


@pytest.mark.parametrize("turns", range(6))
async def test_a_connection_that_comes_at_the_last_moment_ends_with_the_server(turns: int) -> None:
    server = Server(WORLD)
    await server.start()
    address = urlsplit(server.endpoints()["pypi"])
    with socket.create_connection((address.hostname, address.port)) as client:
        for _ in range(turns):
            await asyncio.sleep(0)
        await server.stop()
        client.settimeout(PATIENCE_S)
        with suppress(ConnectionResetError):
            assert client.recv(1) == b""
