"""A daemon that stops while Redis is away stops in order."""

from __future__ import annotations

import anyio
from redis.asyncio import Redis

from securechain_ingest.drivers.redis_connection import connect
from securechain_ingest.queue.heartbeats import Heartbeat, daemons_seen
from tests.queue.cut_connection import Proxy
from tests.waiting import until

STREAM = "package-extraction"


async def test_a_heartbeat_that_ends_while_redis_is_away_raises_nothing(redis: Redis, redis_url: str) -> None:
    async with Proxy(redis_url).listening() as proxy:
        client = connect(proxy.url, 5.0)
        async with client:
            one = Heartbeat(client, STREAM, "one", in_flight=lambda: 0, last_progress_at=lambda: None)
            async with anyio.create_task_group() as group:
                group.start_soon(one.run)
                await until(lambda: daemons_seen(redis, STREAM))
                proxy.cut()
                group.cancel_scope.cancel()
