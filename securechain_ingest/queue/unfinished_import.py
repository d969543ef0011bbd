"""This module keeps everybody out of stores into which a snapshot is being imported."""

from __future__ import annotations

from redis.asyncio import Redis

from securechain_ingest.drivers.redis_errors import store_errors
from securechain_ingest.errors import ConfigError
from securechain_ingest.queue.keys import Keys


async def refuse_unfinished_import(redis: Redis, stream: str) -> None:
    """Raise ConfigError if the import of a snapshot into these stores has not come to its end: whatever is written
    meanwhile could be what the rest of it brings. It raises StoreError, too."""
    with store_errors():
        is_unfinished = await redis.exists(Keys(stream).snapshot_import)
    if is_unfinished:
        raise ConfigError(
            "the import of a snapshot into these stores is unfinished: let it end, or finish it"
            " (securechain-ingest snapshot import DIR)"
        )
