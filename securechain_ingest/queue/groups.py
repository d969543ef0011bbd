"""This module manages the consumer group on every stream, and this process's consumer in it."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Sequence
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from securechain_ingest.queue.script import Script

# If a consumer is deleted, its pending entries are lost for good. So the same step checks that it has none.
_REMOVE_CONSUMERS: Final = Script(
    """
local removed = 0
for _, stream in ipairs(streams) do
    local consumers = redis.pcall('XINFO', 'CONSUMERS', stream, group)
    for _, pairs_of in ipairs(consumers.err and {} or consumers) do
        local consumer = {}
        for i = 1, #pairs_of, 2 do consumer[pairs_of[i]] = pairs_of[i + 1] end
        local is_silent = consumer.pending == 0 and consumer.idle >= tonumber(min_idle_ms)
        if is_silent and (only == '' or consumer.name == only) then
            redis.call('XGROUP', 'DELCONSUMER', stream, group, consumer.name)
            removed = removed + 1
        end
    end
end
return removed
""",
    keys="streams*",
    arguments="group min_idle_ms only",
)


def consumer_name(configured: str | None) -> str:
    """Return the configured name or, if there is none, a name that no other process has."""
    return configured or f"package-consumer-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"


def is_group_missing(error: ResponseError) -> bool:
    """Return whether a stream or its group has vanished. This can also happen while a read waits on it."""
    return any(word in str(error) for word in ("NOGROUP", "UNBLOCKED"))


async def ensure_groups(redis: Redis, streams: Sequence[str], group: str) -> None:
    """Create the group on every stream, from the stream's beginning, and create missing streams.

    This raises RedisError.
    """
    async with redis.pipeline(transaction=False) as pipeline:
        for stream in streams:
            pipeline.xgroup_create(stream, group, id="0", mkstream=True)
        for answer in await pipeline.execute(raise_on_error=False):
            if isinstance(answer, Exception) and "BUSYGROUP" not in str(answer):
                raise answer


async def remove_consumers(redis: Redis, streams: Sequence[str], group: str, *, idle_s: float, only: str = "") -> int:
    """Remove consumers without pending entries that did nothing for `idle_s` seconds, and return how many were removed.

    With `only`, no consumer except the one of this name is removed. A consumer that is alive after all comes back with
    its next read. This raises RedisError.
    """
    removed: int = await _REMOVE_CONSUMERS.run(
        redis, streams=streams, group=group, min_idle_ms=int(idle_s * 1000), only=only
    )
    return removed
