"""Adding messages to the queue."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
from redis.asyncio import Redis
from redis.exceptions import RedisError

from securechain_ingest.errors import StoreError
from securechain_ingest.queue import scripts
from securechain_ingest.queue.entries import MARK_FIELD
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.messages import Message, encode
from securechain_ingest.settings import QueueSettings

_BATCH = 500
_FIRST_WAIT_S = 0.02
_LONGEST_WAIT_S = 1.0


async def submit(redis: Redis, queue: QueueSettings, messages: Sequence[Message], *, bulk: bool) -> int:
    """Add messages in their order; how many were added.

    Raises StoreError; a part may have been added then, and adding all again is safe.
    To the bulk stream they are added only as far as it stays within `bulk_max_length`; until then this waits. There an
    internal message on a package that another one already waits for is not added: what is new in it goes into that.
    """
    stream = Keys(queue.stream).source(bulk=bulk)
    added = 0
    try:
        for start in range(0, len(messages), _BATCH):
            batch = messages[start : start + _BATCH]
            added += await (_add_bulk(redis, queue, batch) if bulk else _add(redis, stream, batch))
    except RedisError as error:
        raise StoreError(f"Redis did not take messages for {stream} ({type(error).__name__}: {error})") from error
    return added


async def _add(redis: Redis, stream: str, batch: Sequence[Message]) -> int:
    async with redis.pipeline(transaction=False) as pipeline:
        for message in batch:
            pipeline.xadd(stream, {"data": encode(message)})
        await pipeline.execute()
    return len(batch)


async def _add_bulk(redis: Redis, queue: QueueSettings, batch: Sequence[Message]) -> int:
    keys = Keys(queue.stream)
    enqueue = redis.register_script(scripts.ENQUEUE)
    rest = [(_mark(message), encode(message)) for message in batch]
    total: int = 0
    wait_s = _FIRST_WAIT_S
    while True:
        done, added = await enqueue(
            keys=[keys.bulk, keys.waiting],
            args=[queue.group, queue.bulk_max_length, MARK_FIELD, *(part for pair in rest for part in pair)],
        )
        total += int(added)
        rest = rest[done:]
        if not rest:
            return total
        wait_s = _FIRST_WAIT_S if done else min(wait_s * 2, _LONGEST_WAIT_S)
        await anyio.sleep(wait_s)


def _mark(message: Message) -> str:
    """What two messages have in common if one will do; empty for one that asks for an edge, or is somebody else's."""
    return f"{message.node_type} {message.package}" if message.internal and message.parent_id is None else ""
