"""A test can make any request fail in the ways that registries and networks fail."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from tests.registry_server import Fault, FaultKind, Server, World, npm, serve
from tests.registry_server_tests.asking import ask
from tests.waiting import PATIENCE_S

DOCUMENT = "/some"
TARBALL = "/some/-/some-1.0.0.tgz"


@pytest.fixture
def server() -> Iterator[Server]:
    with serve(World((npm.Package("some", (npm.Version("1.0.0"),)),))) as server:
        yield server


def test_a_status_comes_as_often_as_the_rule_says(server: Server) -> None:
    server.faults.add(Fault(DOCUMENT, FaultKind.STATUS, times=2, status=429, retry_after="7"))

    responses = [ask(server, "npm_registry", DOCUMENT) for _ in range(3)]

    assert [response.status_code for response in responses] == [429, 429, 200]
    assert responses[0].headers["retry-after"] == "7"


def test_a_rule_without_a_count_holds_until_it_is_cleared(server: Server) -> None:
    server.faults.add(Fault("*", FaultKind.STATUS, times=None))

    assert [ask(server, "npm_registry", DOCUMENT).status_code for _ in range(3)] == [503] * 3
    server.faults.clear()
    assert ask(server, "npm_registry", DOCUMENT).status_code == 200


def test_a_rule_touches_only_the_paths_of_its_pattern(server: Server) -> None:
    server.faults.add(Fault("*.tgz", FaultKind.STATUS))

    assert ask(server, "npm_registry", DOCUMENT).status_code == 200
    assert ask(server, "npm_registry", TARBALL).status_code == 503


@pytest.mark.parametrize("after_bytes", [None, 0, 10])
def test_a_connection_can_end_before_the_answer_or_within_it(server: Server, after_bytes: int | None) -> None:
    server.faults.add(Fault(DOCUMENT, FaultKind.DROP, after_bytes=after_bytes))

    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        ask(server, "npm_registry", DOCUMENT)
    assert server.requests[-1].bytes_sent == (after_bytes or 0)


@pytest.mark.parametrize("after_bytes", [None, 10])
def test_an_answer_can_stall(server: Server, after_bytes: int | None) -> None:
    server.faults.add(Fault(DOCUMENT, FaultKind.STALL, after_bytes=after_bytes))

    with pytest.raises(httpx.ReadTimeout):
        httpx.get(
            server.endpoints()["npm_registry"] + DOCUMENT, timeout=httpx.Timeout(PATIENCE_S, read=0.1), trust_env=False
        )


def test_a_slow_answer_is_complete_in_the_end(server: Server) -> None:
    whole = ask(server, "npm_registry", TARBALL).content
    server.faults.add(Fault(TARBALL, FaultKind.SLOW, pause_s=0.001))

    assert ask(server, "npm_registry", TARBALL).content == whole


def test_a_truncated_document_looks_whole_to_http(server: Server) -> None:
    server.faults.add(Fault(DOCUMENT, FaultKind.TRUNCATED))

    response = ask(server, "npm_registry", DOCUMENT, accept_encoding="identity")

    assert response.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        response.json()


def test_a_page_can_come_instead_of_a_document(server: Server) -> None:
    server.faults.add(Fault(DOCUMENT, FaultKind.HTML))

    response = ask(server, "npm_registry", DOCUMENT)

    assert (response.status_code, response.headers["content-type"]) == (200, "text/html")


def test_compression_can_be_broken(server: Server) -> None:
    server.faults.add(Fault(DOCUMENT, FaultKind.CORRUPT_GZIP))

    with pytest.raises(httpx.DecodingError):
        ask(server, "npm_registry", DOCUMENT)


def test_a_range_can_be_ignored(server: Server) -> None:
    server.faults.add(Fault(TARBALL, FaultKind.IGNORED_RANGE))

    ignored = ask(server, "npm_registry", TARBALL, range="bytes=0-9")

    assert (ignored.status_code, len(ignored.content) > 10) == (200, True)
    assert ask(server, "npm_registry", TARBALL, range="bytes=0-9").status_code == 206


def test_another_range_than_the_wanted_one_can_come(server: Server) -> None:
    server.faults.add(Fault(TARBALL, FaultKind.WRONG_CONTENT_RANGE))

    response = ask(server, "npm_registry", TARBALL, range="bytes=5-9")

    assert response.status_code == 206
    assert response.headers["content-range"].startswith("bytes 0-0/")
