"""This tests adding messages: in order, and no more to a lane than it may hold."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import anyio
import pytest
from redis.asyncio import Redis

from securechain_ingest.errors import StoreError
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import COMPLETED_MAX, Lane
from securechain_ingest.queue.messages import Message, parse
from securechain_ingest.queue.submission import Added, enqueue, room_in, submit
from securechain_ingest.settings import QueueSettings
from tests.queue.running import lane_of
from tests.waiting import PATIENCE_S, until


def messages(count: int) -> list[Message]:
    return [Message(node_type="PyPIPackage", package=f"package-{number}") for number in range(count)]


async def test_submissions_are_added_in_order_and_never_wait(redis: Redis, queue: QueueSettings) -> None:
    queue = queue.model_copy(update={"lane_max_length": 100})
    sent = messages(1200)
    assert await submit(redis, queue, sent) == 1200
    rows: Any = await redis.xrange(queue.stream)
    assert [parse(fields) for _, fields in rows] == sent


async def test_the_daemons_own_messages_are_added_in_order(redis: Redis, queue: QueueSettings) -> None:
    sent = [replace(message, internal=True) for message in messages(1200)]
    assert await enqueue(redis, queue, "pypi", Lane.LISTED, sent) == Added(1200, 0)
    rows: Any = await redis.xrange(lane_of(queue, Lane.LISTED))
    assert [parse(fields) for _, fields in rows] == sent


async def test_messages_wait_until_their_lane_has_room(redis: Redis, queue: QueueSettings) -> None:
    queue = queue.model_copy(update={"lane_max_length": 100})
    lane = lane_of(queue, Lane.LISTED)
    longest = added = 0
    async with anyio.create_task_group() as group:
        group.start_soon(enqueue, redis, queue, "pypi", Lane.LISTED, messages(250))

        async def taken_away() -> bool:
            nonlocal longest, added
            longest = max(longest, await redis.xlen(lane))
            full = longest == 100 and await redis.xlen(lane) in {100, 50}
            added += await redis.xtrim(lane, maxlen=0, approximate=False) if full else 0
            return added == 250

        await until(taken_away)
    assert longest == 100


async def test_who_wants_to_know_is_told_that_a_wait_for_room_begins(redis: Redis, queue: QueueSettings) -> None:
    queue = queue.model_copy(update={"lane_max_length": 100})
    told = anyio.Event()
    await enqueue(redis, queue, "pypi", Lane.LISTED, messages(100), on_full=told.set)
    assert not told.is_set()
    async with anyio.create_task_group() as group:
        group.start_soon(partial(enqueue, redis, queue, "pypi", Lane.LISTED, messages(101), on_full=told.set))
        with anyio.fail_after(PATIENCE_S):
            await told.wait()
        group.cancel_scope.cancel()


async def test_what_waits_for_another_try_takes_room_in_its_lane(redis: Redis, queue: QueueSettings) -> None:
    queue = queue.model_copy(update={"lane_max_length": 100})
    await enqueue(redis, queue, "pypi", Lane.REQUIRED, messages(99))
    assert await room_in(redis, queue, "pypi", Lane.REQUIRED)
    await redis.zadd(Keys(queue.stream).retries("pypi", Lane.REQUIRED), {"a message": 1})
    assert not await room_in(redis, queue, "pypi", Lane.REQUIRED)


async def test_completed_has_a_bound_of_its_own(redis: Redis, queue: QueueSettings) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(enqueue, redis, queue, "pypi", Lane.COMPLETED, messages(COMPLETED_MAX + 1))

        async def is_full() -> bool:
            return await redis.xlen(lane_of(queue, Lane.COMPLETED)) == COMPLETED_MAX

        await until(is_full)
        group.cancel_scope.cancel()
    assert await redis.xlen(lane_of(queue, Lane.COMPLETED)) == COMPLETED_MAX


@pytest.mark.parametrize("to_lane", [False, True])
async def test_a_redis_that_does_not_answer_is_an_error(queue: QueueSettings, to_lane: bool) -> None:
    async with Redis.from_url("redis://127.0.0.1:1/0", retry=None) as away:
        sent = enqueue(away, queue, "pypi", Lane.LISTED, messages(1)) if to_lane else submit(away, queue, messages(1))
        with pytest.raises(StoreError, match="Redis did not answer"):
            await sent
