"""Brings postponed messages back to their streams when they are due. Every daemon does it; a step is atomic."""

from __future__ import annotations

import anyio
from redis.asyncio import Redis

from securechain_ingest.queue import scripts
from securechain_ingest.queue.backoff import Outage
from securechain_ingest.queue.entries import HISTORY_FIELD
from securechain_ingest.queue.keys import Keys

_BATCH = 100
_LOOK_EVERY_S = 0.1


async def return_due_retries(redis: Redis, keys: Keys, outage: Outage) -> None:
    """Loop until cancelled."""
    script = redis.register_script(scripts.RETURN_DUE)

    async def return_batch() -> int:
        returned: int = await script(
            keys=[keys.retries, keys.retry_payloads, keys.on_demand, keys.bulk], args=[_BATCH, HISTORY_FIELD]
        )
        return returned

    while True:
        if await outage.insist(return_batch) < _BATCH:
            await anyio.sleep(_LOOK_EVERY_S)
