"""What a daemon hands back belongs to nobody and comes first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from redis.asyncio import Redis

from securechain_ingest.queue.breakers import pause, resume
from securechain_ingest.queue.groups import ensure_groups
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.settlement import Settlement
from securechain_ingest.settings import QueueSettings
from tests.queue.running import ECOSYSTEMS, Recorder, add, is_idle, lane_of, running
from tests.waiting import until


async def test_what_was_handed_back_is_taken_first_when_a_pause_ends(redis: Redis, queue: QueueSettings) -> None:
    keys, lane, handler = Keys(queue.stream), lane_of(queue), Recorder()
    await ensure_groups(redis, [lane], queue.group)
    ids = await add(redis, lane, "first", "second")
    await redis.xreadgroup(queue.group, "other", {lane: ">"})
    await Settlement(redis, keys, queue.group, "other").hand_back([("pypi", Lane.ASKED, each) for each in ids])
    await add(redis, lane, "new")
    await pause(redis, keys, "pypi")

    async def looks() -> int:
        return int((await redis.info("commandstats"))["cmdstat_evalsha"]["calls"])

    async with running(redis, queue, handler, places=1):
        before = await looks()
        await until(lambda: _is_above(looks, before + 2 * len(ECOSYSTEMS)))
        await resume(redis, keys, "pypi")
        await until(lambda: is_idle(redis, queue))
    assert handler.packages == ["first", "second", "new"]
    assert [entry.attempts for entry in handler.entries] == [0, 0, 0]


async def _is_above(number: Callable[[], Awaitable[int]], bound: int) -> bool:
    return await number() > bound
