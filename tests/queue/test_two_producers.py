"""Two programs that add messages of one package at the same moment leave it waiting once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.messages import Message
from securechain_ingest.queue.submission import enqueue
from securechain_ingest.settings import QueueSettings

SIX = Message("PyPIPackage", "six", internal=True)


async def test_an_entry_that_another_producer_has_put_in_place_of_ours_stays_the_one_that_waits(
    redis: Redis, queue: QueueSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await enqueue(redis, queue, "pypi", Lane.LISTED, [SIX])
    come_between(monkeypatch, lambda: enqueue(redis, queue, "pypi", Lane.CHANGED, [SIX]))

    await enqueue(redis, queue, "pypi", Lane.LISTED, [SIX])

    assert sum([await redis.xlen(lane) for lane in Keys(queue.stream).lanes("pypi")]) == 1


def come_between(monkeypatch: pytest.MonkeyPatch, other: Callable[[], Awaitable[Any]]) -> None:
    """Let the other producer come once, after this one has learned which entry waits and before it reads it."""
    hmget: Any = Redis.hmget

    async def interrupted(redis: Redis, *arguments: Any) -> Any:
        found = await hmget(redis, *arguments)
        monkeypatch.setattr(Redis, "hmget", hmget)
        await other()
        return found

    monkeypatch.setattr(Redis, "hmget", interrupted)
