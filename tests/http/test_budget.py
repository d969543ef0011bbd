"""All documents in flight share one budget of memory, and none waits for another for ever."""

from __future__ import annotations

import asyncio
import gc
import gzip
from collections.abc import Callable
from itertools import cycle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securechain_ingest.errors import NoRoom, TooLarge
from securechain_ingest.http.budget import STEP_BYTES, Budget, NoRoomInTime
from securechain_ingest.http.client import HttpClient
from securechain_ingest.settings import HttpSettings
from tests.http.conftest import MakeClient
from tests.http.scripted_server import ReceivedRequest, ScriptedServer, answer
from tests.waiting import PATIENCE_S, until

MIB = STEP_BYTES
SMALL_BUDGET = HttpSettings(max_document_bytes=8 * MIB, max_in_flight_bytes=16 * MIB, retries=0)


def held(client: HttpClient) -> int:
    return client._budget.held_bytes


async def test_a_document_has_its_share_until_nobody_holds_it(make_client: MakeClient, server: ScriptedServer) -> None:
    async with make_client(SMALL_BUDGET) as client:
        document = await client.get(server.script("/a", answer(200, b"x" * (3 * MIB + 1))))
        assert held(client) == 4 * MIB
        assert len(document.body) == 3 * MIB + 1
        del document
        await asyncio.sleep(0)
        assert held(client) == 0


async def test_what_a_document_expands_to_counts(make_client: MakeClient, server: ScriptedServer) -> None:
    packed = gzip.compress(b"x" * (3 * MIB))
    async with make_client(SMALL_BUDGET) as client:
        document = await client.get(server.script("/a", answer(200, packed, content_encoding="gzip")))
        assert held(client) == 3 * MIB
        assert len(document.body) == 3 * MIB


async def test_small_documents_wait_for_nothing(make_client: MakeClient, server: ScriptedServer) -> None:
    url = server.script("/small", answer(200, b"x" * MIB))
    async with make_client(HttpSettings(max_document_bytes=4 * MIB, max_in_flight_bytes=4 * MIB)) as client:
        kept = await client.get(server.script("/a", answer(200, b"x" * (4 * MIB))))
        assert held(client) == 4 * MIB
        assert len((await client.get(url)).body) == MIB
        assert len(kept.body) == 4 * MIB


async def test_endless_bodies_together_take_no_more_than_the_budget(
    make_client: MakeClient, server: ScriptedServer
) -> None:
    endless = answer(200, b"", content_length=str(8 * MIB + 1)).replace(b"content-length", b"x-length")
    urls = [server.script(f"/{number}", endless + b"x" * (9 * MIB)) for number in range(6)]
    most = 0

    async def watch(client: HttpClient) -> None:
        nonlocal most
        while True:
            most = max(most, held(client))
            await asyncio.sleep(0)

    async with make_client(SMALL_BUDGET) as client:
        watcher = asyncio.create_task(watch(client))
        answers = await asyncio.gather(*(client.get(url) for url in urls), return_exceptions=True)
        watcher.cancel()
        assert [type(each) for each in answers] == [TooLarge] * 6
        assert 8 * MIB <= most <= 16 * MIB
        assert held(client) == 0


async def test_as_many_documents_as_there_are_arrive_one_after_the_other(
    make_client: MakeClient, server: ScriptedServer
) -> None:
    urls = [server.script(f"/{number}", answer(200, b"x" * (8 * MIB))) for number in range(8)]
    async with make_client(SMALL_BUDGET) as client:

        async def size(url: str) -> int:
            document = await client.get(url)
            assert held(client) <= 16 * MIB
            return len(document.body)

        assert await asyncio.gather(*map(size, urls)) == [8 * MIB] * 8


async def test_a_document_that_finds_no_room_in_time_is_to_be_tried_later(
    make_client: MakeClient, server: ScriptedServer, leap: Callable[[], None]
) -> None:
    # Half of that time is for the wait, which the leap of ten minutes ends.
    settings_ = HttpSettings(
        max_document_bytes=4 * MIB, max_in_flight_bytes=4 * MIB, retries=0, total_timeout_s=1000, timeout_s=1000
    )
    big = answer(200, b"x" * (4 * MIB))
    async with make_client(settings_) as client:
        kept = await client.get(server.script("/a", big))
        waiting = asyncio.create_task(client.get(server.script("/b", big)))
        await until(lambda: len(client._budget._coming) == 1, "a document that waits for room")
        leap()
        with pytest.raises(NoRoom, match="no room among the documents in flight") as caught:
            await waiting
        assert caught.value.transient
        assert held(client) == 4 * MIB
        del kept, caught, waiting
        await asyncio.sleep(0)
        gc.collect()
        assert len((await client.get(server.script("/b", big))).body) == 4 * MIB


async def test_a_budget_below_the_largest_document_is_the_limit_of_each(
    make_client: MakeClient, server: ScriptedServer
) -> None:
    url = server.script("/a", answer(200, b"x" * (3 * MIB)))
    async with make_client(HttpSettings(max_document_bytes=8 * MIB, max_in_flight_bytes=2 * MIB)) as client:
        with pytest.raises(TooLarge):
            await client.get(url)


async def test_a_cut_off_document_gives_its_room_back(make_client: MakeClient, server: ScriptedServer) -> None:
    async def hang_up(_: ReceivedRequest) -> bytes:
        raise ConnectionError

    async with make_client(SMALL_BUDGET) as client:
        url = server.script("/a", hang_up)
        server.script("/b", answer(200, b"x" * (3 * MIB), content_length=str(4 * MIB)))
        reading = asyncio.create_task(client.get(f"{server.base}/b"))
        async with asyncio.timeout(PATIENCE_S):
            while not held(client):  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.001)
        reading.cancel()
        await asyncio.gather(reading, client.get(url), return_exceptions=True)
        assert held(client) == 0


@given(
    sizes=st.lists(st.integers(0, 8), min_size=1, max_size=12),
    order=st.lists(st.integers(0, 11), min_size=1, max_size=40),
    limit=st.integers(8, 20),
)
@settings(max_examples=200, deadline=None)
def test_whatever_the_order_in_which_documents_grow_all_of_them_arrive(
    sizes: list[int], order: list[int], limit: int
) -> None:
    async def grow() -> None:
        budget = Budget(limit * MIB, 8 * MIB, longest_wait_s=PATIENCE_S)
        turn: Callable[[], int] = cycle(order).__next__

        async def document(size: int) -> None:
            lease = budget.lease()
            for received in range(1, size + 1):
                for _ in range(turn()):
                    await asyncio.sleep(0)
                await lease.grow_to(received * MIB)
                assert budget.held_bytes <= limit * MIB
            lease.arrived()
            await asyncio.sleep(0)
            lease.release()

        await asyncio.gather(*map(document, sizes))
        assert budget.held_bytes == 0

    asyncio.run(grow())


async def test_a_wait_for_room_has_an_end() -> None:
    budget = Budget(4 * MIB, 4 * MIB, longest_wait_s=0.01)
    first, second = budget.lease(), budget.lease()
    await first.grow_to(4 * MIB)
    with pytest.raises(NoRoomInTime):
        await second.grow_to(2 * MIB)
    second.release()
    first.release()
    first.release()
    assert budget.held_bytes == 0
