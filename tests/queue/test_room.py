"""What a package requires is asked for only while there is room for it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.messages import Message
from securechain_ingest.queue.room import RequiredRoom
from securechain_ingest.queue.submission import enqueue
from securechain_ingest.settings import QueueSettings
from tests.waiting import Clock


async def fill(redis: Redis, queue: QueueSettings, count: int) -> None:
    messages = [Message("PyPIPackage", f"p-{number}") for number in range(count)]
    await enqueue(redis, queue, "pypi", Lane.REQUIRED, messages)


async def test_there_is_room_until_the_lane_is_full(redis: Redis, queue: QueueSettings) -> None:
    queue = queue.model_copy(update={"lane_max_length": 100})
    await fill(redis, queue, 99)
    assert await RequiredRoom(redis, queue)("pypi")
    await fill(redis, queue, 1)
    with capture_logs() as logs:
        assert not await RequiredRoom(redis, queue)("pypi")
    assert [(line["event"], line["ecosystem"]) for line in logs] == [("required_lane_full", "pypi")]
    assert await RequiredRoom(redis, queue)("npm")


async def test_a_bound_that_is_raised_while_the_daemon_runs_makes_room(
    redis: Redis, queue: QueueSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr("securechain_ingest.queue.room.time", SimpleNamespace(monotonic=clock))
    queue = queue.model_copy(update={"lane_max_length": 100})
    room = RequiredRoom(redis, queue)
    await fill(redis, queue, 100)
    assert not await room("pypi")
    room.apply(queue.model_copy(update={"lane_max_length": 101}))
    clock.now += 2
    assert await room("pypi")


async def test_many_who_ask_within_a_second_cost_redis_one_look(
    redis: Redis, queue: QueueSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("securechain_ingest.queue.room.time", SimpleNamespace(monotonic=Clock(7.0)))
    room = RequiredRoom(redis, queue)
    assert await room("pypi")
    before = (await redis.info("commandstats"))["cmdstat_xlen"]["calls"]
    for _ in range(50):
        assert await room("pypi")
    assert (await redis.info("commandstats"))["cmdstat_xlen"]["calls"] == before


async def test_while_redis_is_away_there_is_no_room(queue: QueueSettings) -> None:
    async with Redis.from_url("redis://127.0.0.1:1/0", retry=None) as away:
        assert not await RequiredRoom(away, queue)("pypi")
