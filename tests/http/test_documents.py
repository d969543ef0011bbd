"""This tests documents: what is asked, what comes back, and what must not pass for a document."""

from __future__ import annotations

import gzip
import tracemalloc
from contextlib import suppress

import httpx
import pytest

from securechain_ingest.errors import Malformed, NotFound, TooLarge, Unavailable, UpstreamError
from securechain_ingest.http.client import HttpClient
from securechain_ingest.settings import HttpSettings
from tests.http.conftest import FakeTime, MakeClient, Traffic, TrafficOf
from tests.http.scripted_server import Cut, ScriptedServer, answer


async def test_a_document_comes_decompressed_with_its_headers_and_validator(
    client: HttpClient, server: ScriptedServer
) -> None:
    packed = gzip.compress(b"document")
    url = server.script("/a", answer(200, packed, content_encoding="gzip", etag='"1"', X_Serial="7"))
    response = await client.get(url, accept="application/json")
    assert (response.body, response.validator, response.not_modified, response.url) == (b"document", '"1"', False, url)
    assert response.headers["x-serial"] == "7"


async def test_every_request_says_who_asks_and_what_it_takes(client: HttpClient, server: ScriptedServer) -> None:
    await client.get(server.script("/a", answer()), accept="application/json")
    headers = server.requests[0].headers
    assert headers["user-agent"].startswith("securechain-ingest/")
    assert headers["user-agent"].endswith(f" (+{HttpSettings().contact})")
    assert headers["accept"] == "application/json"
    assert headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize(
    ("validators", "header"),
    [
        ({"etag": '"tag"', "last_modified": "Tue, 01 Sep 2026 00:00:00 GMT"}, "if-none-match"),
        ({"etag": 'W/"weak"'}, "if-none-match"),
        ({"last_modified": "Tue, 01 Sep 2026 00:00:00 GMT"}, "if-modified-since"),
    ],
    ids=["etag", "weak-etag", "date"],
)
async def test_a_known_document_is_asked_for_by_its_validator(
    client: HttpClient, server: ScriptedServer, validators: dict[str, str], header: str
) -> None:
    url = server.script("/a", answer(200, b"x", **validators), answer(304))
    first = await client.get(url)
    second = await client.get(url, validator=first.validator)
    assert (second.not_modified, second.body) == (True, b"")
    assert server.requests[1].headers[header] == first.validator
    assert second.validator == first.validator


async def test_a_confirmation_may_bring_a_new_validator(client: HttpClient, server: ScriptedServer) -> None:
    url = server.script("/a", answer(304, etag='"new"'))
    assert (await client.get(url, validator='"old"')).validator == '"new"'


@pytest.mark.parametrize("status", [204, 206, 300, 304])
async def test_a_success_without_a_document_is_no_empty_document(
    client: HttpClient, server: ScriptedServer, status: int
) -> None:
    with pytest.raises(Malformed, match=f"status {status}"):
        await client.get(server.script("/a", answer(status)))


@pytest.mark.parametrize(
    "body",
    [b"not gzip at all", gzip.compress(b"x" * 1000)[:-10], gzip.compress(b"first") + gzip.compress(b"second"), b""],
    ids=["other", "short", "two", "empty"],
)
async def test_a_damaged_gzip_stream_is_tried_again(client: HttpClient, server: ScriptedServer, body: bytes) -> None:
    damaged = answer(200, body, content_encoding="gzip")
    url = server.script("/a", damaged, answer(200, gzip.compress(b"whole"), content_encoding="gzip"))
    assert (await client.get(url)).body == b"whole"
    with pytest.raises(Unavailable, match="damaged"):
        await client.get(server.script("/b", damaged))


async def test_an_encoding_that_was_not_asked_for_is_malformed(client: HttpClient, server: ScriptedServer) -> None:
    with pytest.raises(Malformed, match="zstd"):
        await client.get(server.script("/a", answer(200, b"x", content_encoding="zstd")))


async def test_a_declared_length_above_the_limit_is_refused_before_the_body_is_read(
    client: HttpClient, server: ScriptedServer, traffic: TrafficOf
) -> None:
    with pytest.raises(TooLarge, match="1001 bytes; at most 1000"):
        await client.get(server.script("/a", answer(200, b"", content_length="1001")), limit_bytes=1000)
    assert traffic()["pypi"].received_bytes == 0


async def test_an_undeclared_body_is_cut_off_at_the_limit(client: HttpClient, server: ScriptedServer) -> None:
    head = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"
    with pytest.raises(TooLarge, match="more than 1000"):
        await client.get(server.script("/a", Cut(head + bytes(1001))), limit_bytes=1000)
    assert (await client.get(server.script("/b", Cut(head + bytes(1000))), limit_bytes=1000)).body == bytes(1000)


async def test_a_gzip_bomb_is_cut_off_before_it_takes_memory(
    client: HttpClient, server: ScriptedServer, traffic: TrafficOf
) -> None:
    bomb = gzip.compress(bytes(60_000_000), compresslevel=1)
    assert len(bomb) > 2 * 65_536
    url = server.script("/a", answer(200, bomb, content_encoding="gzip"))
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge, match="expands to more than 2000000"):
            await client.get(url, limit_bytes=2_000_000)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 10_000_000
    assert traffic()["pypi"].received_bytes < len(bomb)


async def test_a_body_of_exactly_the_limit_is_taken(client: HttpClient, server: ScriptedServer) -> None:
    url = server.script("/a", answer(200, gzip.compress(bytes(1000)), content_encoding="gzip"))
    assert (await client.get(url, limit_bytes=1000)).body == bytes(1000)


@pytest.mark.parametrize("status", [404, 410, 451])
async def test_what_was_not_found_is_not_asked_for_again_while_it_is_remembered(
    client: HttpClient, server: ScriptedServer, fake_time: FakeTime, status: int
) -> None:
    url = server.script("/a", answer(status), answer(200, b"here now"))
    for _ in range(2):
        with pytest.raises(NotFound):
            await client.get(url)
    assert server.asked("/a") == 1
    fake_time.now += HttpSettings().not_found_ttl_s + 1
    assert (await client.get(url)).body == b"here now"


async def test_only_so_many_are_remembered_as_not_found_the_latest_ones(
    client: HttpClient, server: ScriptedServer, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def miss(*paths: str) -> list[str]:
        server.requests.clear()
        for path in paths:
            with pytest.raises(NotFound):
                await client.get(server.script(path, answer(404)))
        return [request.target for request in server.requests]

    monkeypatch.setattr("securechain_ingest.http.client._REMEMBERED_NOT_FOUND", 2)
    assert await miss("/1", "/2", "/3", "/3", "/2", "/1") == ["/1", "/2", "/3", "/1"]
    fake_time.now += HttpSettings().not_found_ttl_s + 1
    assert await miss("/3", "/4", "/3") == ["/3", "/4"]


async def test_a_connection_that_the_server_closed_in_between_is_made_anew(
    client: HttpClient, server: ScriptedServer
) -> None:
    urls = [server.script(f"/{number}", Cut(answer(200, b"x"))) for number in range(3)]
    assert [(await client.get(url)).body for url in urls] == [b"x"] * 3


@pytest.mark.parametrize("broken", [Cut(b""), Cut(answer(200, b"half", content_length="8"))], ids=["before", "within"])
async def test_a_connection_that_breaks_is_tried_again(client: HttpClient, server: ScriptedServer, broken: Cut) -> None:
    url = server.script("/a", broken, answer(200, b"whole"))
    assert (await client.get(url)).body == b"whole"


@pytest.mark.parametrize("status", [304, 400, 404, 429, 503])
async def test_a_connection_serves_again_after_an_answer_without_a_document(
    make_client: MakeClient, server: ScriptedServer, status: int
) -> None:
    spare = server.script("/a", answer(status, b"" if status == 304 else b"why not"))
    async with make_client(HttpSettings(retries=0)) as client:
        with suppress(UpstreamError):
            await client.get(spare, validator='"1"')
        await client.get(server.script("/b", answer()))
    assert (len(server.requests), server.connections) == (2, 1)


async def test_a_long_answer_without_a_document_is_not_read_for_its_connection(
    client: HttpClient, server: ScriptedServer, traffic: TrafficOf
) -> None:
    with pytest.raises(NotFound):
        await client.get(server.script("/a", answer(404, bytes(10_000_000))))
    assert traffic()["pypi"].received_bytes < 1_000_000


async def test_what_the_status_said_stands_when_the_text_after_it_breaks_off(
    client: HttpClient, server: ScriptedServer
) -> None:
    with pytest.raises(NotFound):
        await client.get(server.script("/a", Cut(answer(404, b"not", content_length="9"))))
    assert server.asked("/a") == 1


async def test_a_stalled_body_ends_with_the_time_for_the_whole_request(
    make_client: MakeClient, server: ScriptedServer
) -> None:
    url = server.script("/a", answer(200, b"half", content_length="8"))
    async with make_client(HttpSettings(total_timeout_s=0.05, retries=0)) as client:
        with pytest.raises(Unavailable, match=r"took longer than 0\.05 s"):
            await client.get(url)


async def test_a_server_that_is_away_is_unavailable(make_client: MakeClient, server: ScriptedServer) -> None:
    async with make_client(HttpSettings(retries=0, allowed_hosts=("localhost:1",))) as client:
        with pytest.raises(Unavailable, match="could not be read") as caught:
            await client.get("http://localhost:1/nothing-listens-here")
    assert isinstance(caught.value.__cause__, httpx.TransportError)


async def test_the_traffic_of_each_endpoint_is_told_apart(
    client: HttpClient, server: ScriptedServer, traffic: TrafficOf
) -> None:
    server.script("/simple/six/", answer(200, b"12345"))
    server.script("/files/six.whl", answer(200, b"123"))
    await client.get(client.url("pypi", "/simple/six/"))
    before = traffic()
    await client.get(client.url("pypi_files", "six.whl"))
    assert before == {"pypi": Traffic(1, 5)}
    assert traffic() == {"pypi": Traffic(1, 5), "pypi_files": Traffic(1, 3)}


async def test_cookies_are_not_kept(client: HttpClient, server: ScriptedServer) -> None:
    url = server.script("/a", answer(set_cookie="session=1"))
    await client.get(url)
    await client.get(url)
    assert "cookie" not in server.requests[1].headers
