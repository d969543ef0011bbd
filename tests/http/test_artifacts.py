"""This tests artifacts: parts of them by ranges, or whole into a file, byte for byte."""

from __future__ import annotations

import gzip
import io

import pytest

from securechain_ingest.errors import Malformed, NotFound, TooLarge, Unavailable
from securechain_ingest.http.client import HttpClient, Range
from securechain_ingest.settings import HttpSettings
from tests.http.conftest import MakeClient, TrafficOf
from tests.http.scripted_server import Cut, ScriptedServer, answer


def part(data: bytes, content_range: str) -> bytes:
    return answer(206, data, content_range=content_range)


async def test_a_range_is_asked_for_uncompressed_and_by_absolute_offsets(
    client: HttpClient, server: ScriptedServer
) -> None:
    url = server.script("/a.whl", part(b"cdef", "bytes 2-5/10"))
    assert await client.get_range(url, 2, 5) == Range(b"cdef", 2, 10)
    assert server.requests[0].headers["range"] == "bytes=2-5"
    assert server.requests[0].headers["accept-encoding"] == "identity"


async def test_a_range_past_the_end_is_what_there_is(client: HttpClient, server: ScriptedServer) -> None:
    url = server.script("/a.whl", part(b"ij", "bytes 8-9/10"))
    assert await client.get_range(url, 8, 100) == Range(b"ij", 8, 10)


async def test_a_server_that_ignores_ranges_is_told_by_none_and_its_body_left_unread(
    client: HttpClient, server: ScriptedServer, traffic: TrafficOf
) -> None:
    url = server.script("/a.whl", answer(200, bytes(500_000)))
    assert await client.get_range(url, 0, 9) is None
    assert traffic()["pypi"].received_bytes == 0


@pytest.mark.parametrize(
    "content_range",
    [
        "bytes 0-3/10",
        "bytes 0-5/10",
        "bytes 2-6/10",
        "bytes 2-4/10",
        "bytes 2-5/*",
        "bytes */10",
        "items 2-5/10",
        "bytes 2-5/4",
        "",
    ],
)
async def test_another_range_than_the_one_asked_for_is_malformed(
    client: HttpClient, server: ScriptedServer, content_range: str
) -> None:
    with pytest.raises(Malformed, match=r"range|bytes"):
        await client.get_range(server.script("/a.whl", part(b"cdef", content_range)), 2, 5)


async def test_a_range_that_the_artifact_does_not_have_is_named(client: HttpClient, server: ScriptedServer) -> None:
    with pytest.raises(Malformed, match="bytes=20-29"):
        await client.get_range(server.script("/a.whl", answer(416, content_range="bytes */10")), 20, 29)
    assert server.asked("/a.whl") == 1


async def test_a_range_that_breaks_off_is_asked_for_again(client: HttpClient, server: ScriptedServer) -> None:
    short = answer(206, b"cd", content_range="bytes 2-5/10")
    url = server.script("/a.whl", short, Cut(part(b"cdef", "bytes 2-5/10")[:-1]), part(b"cdef", "bytes 2-5/10"))
    assert await client.get_range(url, 2, 5) == Range(b"cdef", 2, 10)


async def test_more_bytes_than_the_range_has_are_refused(client: HttpClient, server: ScriptedServer) -> None:
    with pytest.raises(TooLarge):
        await client.get_range(server.script("/a.whl", part(b"cdefg", "bytes 2-5/10")), 2, 5)


async def test_an_empty_success_to_a_range_is_malformed(client: HttpClient, server: ScriptedServer) -> None:
    with pytest.raises(Malformed, match="status 204"):
        await client.get_range(server.script("/a.whl", answer(204)), 0, 9)


async def test_an_artifact_is_written_as_it_is_even_if_it_is_called_compressed(
    client: HttpClient, server: ScriptedServer
) -> None:
    tarball = gzip.compress(b"contents" * 50_000, compresslevel=0)
    url = server.script("/a.tgz", answer(200, tarball, content_encoding="gzip"))
    file = io.BytesIO()
    assert await client.download(url, file) == len(tarball)
    assert file.getvalue() == tarball
    assert server.requests[0].headers["accept-encoding"] == "identity"


async def test_a_download_that_breaks_off_starts_over_without_what_came_before(
    client: HttpClient, server: ScriptedServer
) -> None:
    url = server.script("/a.tgz", Cut(answer(200, bytes(200_000), content_length="300000")), answer(200, b"whole"))
    file = io.BytesIO()
    assert await client.download(url, file) == 5
    assert file.getvalue() == b"whole"


async def test_an_artifact_above_the_limit_is_refused(make_client: MakeClient, server: ScriptedServer) -> None:
    url = server.script("/a.tgz", answer(200, bytes(1025)))
    async with make_client(HttpSettings(max_artifact_bytes=1024)) as client:
        with pytest.raises(TooLarge):
            await client.download(url, io.BytesIO())
        assert await client.download(url, io.BytesIO(), limit_bytes=2000) == 1025


@pytest.mark.parametrize(("status", "error"), [(204, Malformed), (404, NotFound), (403, Unavailable)])
async def test_no_failure_is_an_empty_artifact(
    client: HttpClient, server: ScriptedServer, status: int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await client.download(server.script("/a.tgz", answer(status)), io.BytesIO())
