"""This tests readings past every cache, and digests that come with a document."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib

import pytest

from securechain_ingest.errors import NotFound, Unavailable
from securechain_ingest.http.client import HttpClient
from securechain_ingest.http.freshness import uncached
from tests.http.scripted_server import ReceivedRequest, ScriptedServer, answer
from tests.waiting import until

BODY = b"a document of some length"


def sha(body: bytes, algorithm: str = "sha256") -> str:
    return base64.b64encode(hashlib.new(algorithm, body).digest()).decode()


async def test_an_uncached_reading_asks_every_cache_on_the_way_to_stand_aside(
    client: HttpClient, server: ScriptedServer
) -> None:
    url = server.script("/a", answer(200, BODY))
    with uncached():
        await client.get(url)
    await client.get(url)
    assert [request.headers.get("cache-control") for request in server.requests] == ["no-cache", None]


async def test_an_uncached_reading_goes_past_what_was_not_found_and_corrects_it(
    client: HttpClient, server: ScriptedServer
) -> None:
    url = server.script("/a", answer(404), answer(200, BODY))
    for _ in range(2):
        with pytest.raises(NotFound):
            await client.get(url)
    with uncached():
        assert (await client.get(url)).body == BODY
    assert (await client.get(url)).body == BODY
    assert server.asked("/a") == 3


async def test_an_uncached_reading_does_not_share_an_answer_that_began_before_it(
    client: HttpClient, server: ScriptedServer
) -> None:
    go_on = asyncio.Event()

    async def slow(_: ReceivedRequest) -> bytes:
        await go_on.wait()
        return answer(200, b"old")

    url = server.script("/a", slow, answer(200, b"new"))
    earlier = asyncio.create_task(client.get(url))
    await until(lambda: server.requests)
    with uncached():
        assert (await client.get(url)).body == b"new"
    go_on.set()
    assert (await earlier).body == b"old"


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("repr_digest", f"sha-256=:{sha(BODY)}:"),
        ("repr_digest", f"md5=:AAAA:, sha-256=:{sha(BODY)}:"),
        ("repr_digest", f"sha-512=:{sha(BODY, 'sha512')}:"),
        ("content_digest", f"sha-256=:{sha(BODY)}:"),
        ("digest", f"SHA-256={sha(BODY)}"),
    ],
)
async def test_a_body_that_is_not_what_its_digest_says_is_damaged(
    client: HttpClient, server: ScriptedServer, header: str, value: str
) -> None:
    good = server.script("/good", answer(200, BODY, **{header: value}))
    bad = server.script("/bad", answer(200, BODY[:-1], **{header: value}))
    assert (await client.get(good)).body == BODY
    with pytest.raises(Unavailable, match="damaged"):
        await client.get(bad)
    assert server.asked("/bad") > 1


async def test_a_digest_may_be_of_what_was_sent_or_of_what_is_inside(
    client: HttpClient, server: ScriptedServer
) -> None:
    packed = gzip.compress(BODY)
    for number, told in enumerate((packed, BODY)):
        url = server.script(
            f"/{number}", answer(200, packed, content_encoding="gzip", repr_digest=f"sha-256=:{sha(told)}:")
        )
        assert (await client.get(url)).body == BODY


@pytest.mark.parametrize(
    "value", ["", "sha-256=", "sha-256=:not base64:", f"sha-256=:{sha(b'')[:-4]}:", "sha-256", "crc32c=:AAAAAA==:"]
)
async def test_a_digest_that_cannot_be_read_says_nothing(
    client: HttpClient, server: ScriptedServer, value: str
) -> None:
    url = server.script("/a", answer(200, BODY, repr_digest=value, etag='"1"'))
    assert (await client.get(url)).body == BODY
