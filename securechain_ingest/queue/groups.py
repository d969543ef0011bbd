"""The consumer group on both streams and this process's place in it."""

from __future__ import annotations

import os
import secrets
import socket

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from securechain_ingest.queue import scripts
from securechain_ingest.queue.keys import Keys


def consumer_name(configured: str | None) -> str:
    """The configured name, else one that no other process has."""
    return configured or f"package-consumer-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"


def is_group_missing(error: ResponseError) -> bool:
    """Whether the stream or its group vanished, also while a read was waiting on it."""
    return any(word in str(error) for word in ("NOGROUP", "UNBLOCKED"))


async def ensure_groups(redis: Redis, keys: Keys, group: str) -> None:
    """Create the group on both streams from their beginning, and the streams if need be. Raises RedisError."""
    for stream in (keys.on_demand, keys.bulk):
        try:
            await redis.xgroup_create(stream, group, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise


async def remove_consumers(redis: Redis, keys: Keys, group: str, *, idle_s: float, only: str = "") -> int:
    """Remove consumers without pending entries that did nothing for `idle_s`; how many. Raises RedisError.

    One that is alive after all comes back with its next read.
    """
    script = redis.register_script(scripts.REMOVE_CONSUMERS)
    removed = 0
    for stream in (keys.on_demand, keys.bulk):
        removed += await script(keys=[stream], args=[group, int(idle_s * 1000), only])
    return removed
