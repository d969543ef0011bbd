"""What a daemon hands back belongs to nobody and comes first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from redis.asyncio import Redis

from securechain_ingest.queue.breakers import pause, resume
from securechain_ingest.queue.groups import ensure_groups
from securechain_ingest.queue.handling import Outcome
from securechain_ingest.queue.inspection import queued_messages
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.settlement import Settlement
from securechain_ingest.queue.statistics import queue_status
from securechain_ingest.settings import QueueSettings
from tests.queue.running import ECOSYSTEMS, Observer, add, assert_no_leak, is_idle, lane_of, running
from tests.waiting import Gate, until


async def test_what_was_handed_back_is_taken_first_when_a_pause_ends(redis: Redis, queue: QueueSettings) -> None:
    keys, lane, handler = Keys(queue.stream), lane_of(queue), Observer()
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


async def test_what_was_handed_back_counts_as_waiting_and_no_longer_as_in_work(
    redis: Redis, queue: QueueSettings
) -> None:
    lane = lane_of(queue)
    await ensure_groups(redis, [lane], queue.group)
    ids = await add(redis, lane, "back", "back too", "in work", "new")
    await redis.xreadgroup(queue.group, "other", {lane: ">"}, count=3)
    settlement = Settlement(redis, Keys(queue.stream), queue.group, "other")
    await settlement.hand_back([("pypi", Lane.ASKED, each) for each in ids[:2]])
    status = (await queue_status(redis, queue, ["pypi"])).lanes["pypi"]["asked"]
    assert (status.waiting, status.pending) == (3, 1)


async def test_a_pause_hands_back_what_is_in_work_although_every_place_is_taken(
    redis: Redis, queue: QueueSettings
) -> None:
    keys, lane, gate = Keys(queue.stream), lane_of(queue), Gate(Outcome())
    await ensure_groups(redis, [lane], queue.group)
    await add(redis, lane, "first", "second")

    async def states() -> list[str]:
        return [each.state async for each in queued_messages(redis, queue.stream, queue.group, ["pypi"])]

    async def waits() -> bool:
        return await states() == ["waiting", "waiting"]

    async with running(redis, queue, gate, places=2) as reader:
        await until(lambda: len(gate.calls) == 2)
        await pause(redis, keys, "pypi")
        await until(waits)
        await until(lambda: reader.in_flight == 0)
        assert len(gate.calls) == 2
        gate.opened.set()
        await resume(redis, keys, "pypi")
        await until(lambda: is_idle(redis, queue))
    assert sorted(entry.message.package for entry in gate.calls) == ["first", "first", "second", "second"]
    assert {entry.attempts for entry in gate.calls} == {0}
    await assert_no_leak(redis, queue)
