"""A message costs few commands, however many come at once."""

from __future__ import annotations

from redis.asyncio import Redis

from securechain_ingest.settings import QueueSettings
from tests.queue.running import Observer, add, assert_no_leak, is_idle, running
from tests.waiting import until


async def test_a_message_costs_at_most_three_commands_to_redis(redis: Redis, queue: QueueSettings) -> None:
    """What ends at the same time is completed by one, and a round of the lanes takes for all free places."""

    async def asked() -> int:
        stats = await redis.info("commandstats")
        # Within a script Redis counts each call, and no script is called by one.
        return int(stats.get("cmdstat_evalsha", {"calls": 0})["calls"])

    recorder = Observer()
    async with running(redis, queue, recorder):
        before = await asked()
        await add(redis, queue.stream, *(f"package-{number}" for number in range(100)))
        await until(lambda: is_idle(redis, queue))
        used = await asked() - before
    assert len(recorder.packages) == 100
    assert used <= 3 * 100
    await assert_no_leak(redis, queue)
