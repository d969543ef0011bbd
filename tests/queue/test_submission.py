"""Adding messages: in order, and no more bulk messages than the stream may hold."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from redis.asyncio import Redis

from securechain_ingest.errors import StoreError
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.messages import Message, parse
from securechain_ingest.queue.submission import submit
from securechain_ingest.settings import QueueSettings
from tests.queue.running import until


def messages(count: int) -> list[Message]:
    return [Message(node_type="PyPIPackage", package=f"package-{number}") for number in range(count)]


@pytest.mark.parametrize("bulk", [False, True])
async def test_messages_are_added_to_their_stream_in_order(redis: Redis, queue: QueueSettings, bulk: bool) -> None:
    sent = messages(1200)
    await submit(redis, queue, sent, bulk=bulk)
    rows: Any = await redis.xrange(Keys(queue.stream).source(bulk=bulk))
    assert [parse(fields) for _, fields in rows] == sent


async def test_bulk_messages_wait_until_the_stream_has_room(redis: Redis, queue: QueueSettings) -> None:
    queue = queue.model_copy(update={"bulk_max_length": 100})
    bulk = Keys(queue.stream).bulk
    longest = added = 0
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: submit(redis, queue, messages(250), bulk=True))

        async def taken_away() -> bool:
            nonlocal longest, added
            longest = max(longest, await redis.xlen(bulk))
            added += await redis.xtrim(bulk, maxlen=0, approximate=False) if longest == 100 else 0
            return added == 250

        await until(taken_away)
    assert longest == 100


async def test_on_demand_messages_never_wait(redis: Redis, queue: QueueSettings) -> None:
    queue = queue.model_copy(update={"bulk_max_length": 100})
    await submit(redis, queue, messages(150), bulk=False)
    assert await redis.xlen(queue.stream) == 150


async def test_a_redis_that_does_not_answer_is_an_error(queue: QueueSettings) -> None:
    async with Redis.from_url("redis://127.0.0.1:1/0", retry=None) as away:
        with pytest.raises(StoreError, match="Redis did not take"):
            await submit(away, queue, messages(1), bulk=False)
