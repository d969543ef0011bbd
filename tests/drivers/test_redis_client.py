"""This tests the client on Redis that every part of the daemon shares."""

from __future__ import annotations

import asyncio
from typing import Any

from securechain_ingest.configuration import load
from securechain_ingest.drivers.redis_connection import connect as connect_redis

_MORE_STEPS_THAN_A_COMMAND_TAKES = 40


async def test_a_command_that_is_cancelled_ends_wherever_it_stands(redis_url: str) -> None:
    async with connect_redis(redis_url, load(environment={}).redis.timeout_s) as redis:
        await redis.ping()
        for steps in range(_MORE_STEPS_THAN_A_COMMAND_TAKES):
            command: asyncio.Future[Any] = asyncio.ensure_future(redis.set("key", steps))
            for _ in range(steps):
                await asyncio.sleep(0)
            if command.done():
                continue
            command.cancel()
            await asyncio.wait([command])
            assert command.cancelled(), f"after {steps} steps it went on"
        assert await redis.set("key", "still usable")
