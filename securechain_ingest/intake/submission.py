"""Adding messages to the queue."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
from redis.asyncio import Redis
from redis.exceptions import RedisError

from securechain_ingest.errors import StoreError
from securechain_ingest.intake.keys import Keys
from securechain_ingest.intake.messages import Message, encode
from securechain_ingest.settings import QueueSettings

_BATCH = 500
_FIRST_WAIT_S = 0.02
_LONGEST_WAIT_S = 1.0


async def submit(redis: Redis, queue: QueueSettings, messages: Sequence[Message], *, bulk: bool) -> None:
    """Add messages in their order. Raises StoreError; a part may have been added then, and adding all again is safe.

    To the bulk stream they are added only as far as it stays within `bulk_max_length`; until then this waits.
    """
    stream = Keys(queue.stream).source(bulk=bulk)
    added = 0
    try:
        while added < len(messages):
            room = await _bulk_room(redis, stream, queue.bulk_max_length) if bulk else _BATCH
            batch = messages[added : added + min(room, _BATCH)]
            async with redis.pipeline(transaction=False) as pipeline:
                for message in batch:
                    pipeline.xadd(stream, {"data": encode(message)})
                await pipeline.execute()
            added += len(batch)
    except RedisError as error:
        raise StoreError(f"Redis did not take messages for {stream} ({type(error).__name__}: {error})") from error


async def _bulk_room(redis: Redis, stream: str, max_length: int) -> int:
    """How many messages the stream has room for, at least one; waits until it has."""
    wait_s = _FIRST_WAIT_S
    while (room := max_length - await redis.xlen(stream)) < 1:
        await anyio.sleep(wait_s)
        wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
    return room
