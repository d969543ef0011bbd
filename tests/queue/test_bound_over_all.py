"""`[queue] concurrency` bounds what is in work over all ecosystems, also when all of them look for messages at once."""

from __future__ import annotations

from redis.asyncio import Redis

from securechain_ingest.queue.handling import Outcome
from securechain_ingest.settings import QueueSettings
from tests.queue.running import ECOSYSTEMS, add, is_idle, lane_of, running
from tests.waiting import Gate, until


async def test_ecosystems_that_take_at_the_same_time_keep_to_the_bound_over_all(
    redis: Redis, queue: QueueSettings
) -> None:
    queue = queue.model_copy(update={"concurrency": 2})
    gate = Gate(Outcome())
    for ecosystem in ECOSYSTEMS:
        await add(redis, lane_of(queue, ecosystem=ecosystem.name), *(f"p{number}" for number in range(4)))
    async with running(redis, queue, gate, places=4) as reader:
        await until(lambda: reader.in_flight >= 2)
        in_flight = reader.in_flight
        gate.opened.set()
        await until(lambda: is_idle(redis, queue))
    assert in_flight == 2
