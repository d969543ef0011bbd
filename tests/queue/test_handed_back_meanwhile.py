"""What is handed back stays so, whatever else this daemon does with the entry before it has forgotten it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import anyio
import pytest
from redis.asyncio import Redis

from securechain_ingest.errors import Unavailable
from securechain_ingest.queue.breakers import Breakers, pause, resume
from securechain_ingest.queue.groups import ensure_groups
from securechain_ingest.queue.handling import Outcome
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.leases import LeaseKeeper
from securechain_ingest.queue.settlement import HANDED_BACK_IDLE_MS, Settlement
from securechain_ingest.settings import QueueSettings
from tests.queue.running import Observer, add, is_idle, lane_of, running
from tests.waiting import Gate, until


async def test_a_renewal_does_not_undo_a_handing_back(redis: Redis, queue: QueueSettings) -> None:
    keys, lane = Keys(queue.stream), lane_of(queue)
    await ensure_groups(redis, [lane], queue.group)
    [entry_id] = await add(redis, lane, "six")
    await redis.xreadgroup(queue.group, "one", {lane: ">"})
    keeper = LeaseKeeper(redis, keys, queue.group, "one", queue.lease_s)
    key = ("pypi", Lane.ASKED, entry_id)
    keeper.hold(key)
    await Settlement(redis, keys, queue.group, "one").hand_back([key])
    await anyio.to_thread.run_sync(keeper._renew_all)  # The lease is dropped only when the handing back was answered.
    keeper.close()
    rows: Any = await redis.xpending_range(lane, queue.group, "-", "+", 1)
    [pending] = rows
    assert pending["time_since_delivered"] >= HANDED_BACK_IDLE_MS


class LateAnswers:
    """The answer to a handing back comes late: Redis has done it, and the daemon learns of it when `come` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done, self.come = asyncio.Event(), asyncio.Event()
        self.calls = 0
        hand_back = Settlement.hand_back

        async def late(settlement: Settlement, entries: Iterable[Any]) -> int:
            count = await hand_back(settlement, entries)
            self.calls += 1
            self.done.set()
            await self.come.wait()
            return count

        monkeypatch.setattr(Settlement, "hand_back", late)


async def test_what_is_taken_again_before_its_handing_back_has_ended_is_not_lost_for_a_lease(
    redis: Redis, queue: QueueSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, lane, gate = Keys(queue.stream), lane_of(queue), Gate(Outcome())
    answers = LateAnswers(monkeypatch)
    await ensure_groups(redis, [lane], queue.group)
    await add(redis, lane, "six")

    async def is_in_hand_again() -> bool:
        rows: Any = await redis.xpending_range(lane, queue.group, "-", "+", 1)
        return bool(rows[0]["time_since_delivered"] < HANDED_BACK_IDLE_MS)

    async with running(redis, queue, gate, places=2):
        await gate.entered.wait()
        await pause(redis, keys, "pypi")
        await answers.done.wait()
        await resume(redis, keys, "pypi")
        await until(is_in_hand_again)
        gate.opened.set()
        answers.come.set()
        await until(lambda: is_idle(redis, queue), within_s=10)  # A lease lasts a minute.
    assert [entry.attempts for entry in gate.calls] == [0, 0]


async def test_a_probe_that_is_still_being_handed_back_leaves_the_lanes_no_minute_without_one(
    redis: Redis, queue: QueueSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A breaker has opened while a message was in work; its time is over when the message fails, too."""
    keys, lane = Keys(queue.stream), lane_of(queue)
    breaker = keys.breaker("pypi")
    answers = LateAnswers(monkeypatch)
    started, fails = asyncio.Event(), asyncio.Event()

    async def act(entry: Any) -> Outcome:
        if not started.is_set():
            started.set()
            await fails.wait()
            error = Unavailable("the server is away", url="http://localhost/")
            error.endpoint = "pypi"
            raise error
        return Outcome()

    handler = Observer(act)
    await ensure_groups(redis, [lane], queue.group)
    await add(redis, lane, "six")
    async with running(redis, queue, handler, places=2):
        await started.wait()
        await redis.hset(breaker, mapping={"open_until": 1, "wait_ms": 5000})  # It opened long ago.
        fails.set()
        await answers.done.wait()

        async def is_probed() -> bool:
            return int((await redis.hget(breaker, "open_until")) or 0) > 1

        await until(is_probed)
        answers.come.set()
        await until(lambda: is_idle(redis, queue), within_s=10)
    assert not await Breakers(redis, keys).states(["pypi"])


async def test_a_probe_that_a_pause_interrupts_is_sent_again_at_once_after_it(
    redis: Redis, queue: QueueSettings
) -> None:
    keys, gate = Keys(queue.stream), Gate(Outcome())
    breaker = keys.breaker("pypi")
    await Breakers(redis, keys).failed("pypi", "a", "429", is_probe=False, pause_s=0.0)
    await Breakers(redis, keys).unasked("pypi")  # The registry's pause is over.
    await add(redis, queue.stream, "six")
    async with running(redis, queue, gate):
        await gate.entered.wait()
        await pause(redis, keys, "pypi")

        async def is_interrupted() -> bool:
            return await redis.hget(breaker, "open_until") == b"1"

        await until(is_interrupted)
        await resume(redis, keys, "pypi")
        gate.opened.set()
        await until(lambda: is_idle(redis, queue))
    assert [entry.is_probe for entry in gate.calls] == [True, True]
    assert not await Breakers(redis, keys).states(["pypi"])
