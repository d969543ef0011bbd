"""This tests the MD5 that the list of all gems tells of each gem's file: what differs is not the file that was
announced.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from securechain_ingest.errors import Stale, Unavailable
from securechain_ingest.model import Package
from securechain_ingest.registries.rubygems.client import RubyGems
from securechain_ingest.registries.rubygems.gem_list import last_digest
from tests.registries.asking import connected
from tests.registry_server import Fault, FaultKind, Server, World, rubygems

RAKE = rubygems.Gem("rake", (rubygems.Version("1.0.0"), rubygems.Version("1.1.0"), rubygems.Version("2.0.0")))
INFO = "/info/rake"


@pytest_asyncio.fixture
async def gems(server: Server, tmp_path: Path) -> AsyncIterator[RubyGems]:
    server.replace(World((RAKE,)))
    server.faults.clear()
    async with connected(RubyGems, server, tmp_path) as client:
        server.requests.clear()
        yield client


async def read(gems: RubyGems, at_least: str | None) -> Package:
    answer = await gems.fetch(gems.identify("rake"), None, at_least=at_least)
    assert isinstance(answer, Package)
    return answer


async def digest(gems: RubyGems, server: Server) -> str:
    found = (await read(gems, None)).revision
    server.requests.clear()
    assert found is not None
    return found


async def cut(gems: RubyGems) -> bytes:
    """Return the file without its last line."""
    lines = (await gems._http.get(gems._http.url("rubygems_index", INFO))).body.splitlines(keepends=True)
    return b"".join(lines[:-1])


async def test_the_file_that_was_announced_takes_no_further_request(gems: RubyGems, server: Server) -> None:
    await read(gems, await digest(gems, server))
    assert [request.target for request in server.requests] == [INFO, "/api/v1/gems/rake.json"]


async def test_a_file_cut_at_a_line_is_stale_and_no_gem_with_fewer_versions(gems: RubyGems, server: Server) -> None:
    announced = await digest(gems, server)
    server.faults.add(Fault(INFO, FaultKind.BODY, body=await cut(gems), times=None))
    with pytest.raises(Stale, match=announced):
        await read(gems, announced)


@pytest.mark.parametrize("body", [b"", b"---\n", b"<html></html>"])
async def test_another_answer_than_the_file_that_was_announced_is_stale(
    gems: RubyGems, server: Server, body: bytes
) -> None:
    announced = await digest(gems, server)
    server.faults.add(Fault(INFO, FaultKind.BODY, body=body))
    with pytest.raises(Stale):
        await read(gems, announced)


async def test_a_file_that_is_newer_than_its_announcement_is_known_by_the_lists_end(
    gems: RubyGems, server: Server
) -> None:
    package = await read(gems, hashlib.md5(b"before", usedforsecurity=False).hexdigest())
    assert len(package.versions) == 3
    asked = [request for request in server.requests if request.target == "/versions"]
    assert [request.status for request in asked] == [206, 206]
    assert all(request.headers["cache-control"] == "no-cache" for request in asked)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("/versions", FaultKind.STATUS, status=404),
        Fault("/versions", FaultKind.STATUS, status=503),
        Fault("/versions", FaultKind.IGNORED_RANGE),
    ],
    ids=["404", "503", "no ranges"],
)
async def test_a_list_that_cannot_be_asked_leaves_another_file_stale(
    gems: RubyGems, server: Server, fault: Fault
) -> None:
    server.faults.add(fault)
    with pytest.raises(Stale):
        await read(gems, hashlib.md5(b"before", usedforsecurity=False).hexdigest())


def test_the_last_line_about_a_gem_tells_the_digest() -> None:
    first, last, other = ("0" * 31 + digit for digit in "123")
    end = f"e 1.0 {other}\nrake 1.0 {first}\nrake-x 1.0 {other}\nrake 1.1,-1.0 {last}\nxrake 1 {other}\n".encode()
    assert last_digest(end, "rake") == last
    assert last_digest(end, "e") is None  # cut off in front
    assert last_digest(end, "absent") is None
    assert last_digest(b"", "rake") is None
    assert last_digest(b"\nrake 1.0 not-a-digest\n", "rake") is None


async def test_a_file_that_is_not_what_its_own_header_says_is_damaged(gems: RubyGems, server: Server) -> None:
    server.faults.add(Fault(INFO, FaultKind.BODY, body=await cut(gems), keeps_digest=True))
    with pytest.raises(Unavailable, match="damaged"):
        await read(gems, None)
