"""What has been left for later is asked for while there is room, once a day, and comes to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from securechain_ingest.graph.pending import AbsentPackage, Pending
from securechain_ingest.jobs import completion
from securechain_ingest.jobs.completion import ask_for_left_out, ask_for_pending, keep_asking
from securechain_ingest.model import Ecosystem
from securechain_ingest.queue.handling import Outcome
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.messages import Message, parse
from securechain_ingest.queue.submission import enqueue
from securechain_ingest.settings import QueueSettings
from tests.graph.builders import NPM, PYPI
from tests.waiting import PATIENCE_S, until
from tests.worker.conftest import bench, graph_target, read
from tests.worker.made import Bench, package

__all__ = ["bench", "graph_target", "read"]

QUEUE = QueueSettings(lane_max_length=100)


async def waiting(bench: Bench, lane: Lane) -> list[Message]:
    rows: Any = await bench.stores.redis.xrange(Keys(QUEUE.stream).lane("npm", lane))
    return [parse(fields) for _, fields in rows]


async def pending(bench: Bench) -> int:
    return await ask_for_pending(bench.stores.redis, bench.stores.graph.pending, NPM, QUEUE)


async def left_out(bench: Bench) -> int:
    return await ask_for_left_out(bench.stores.redis, bench.stores.graph.pending, NPM, QUEUE)


def lost_after(bench: Bench, queued_retry_s: float) -> Pending:
    """Return what is left for later, if a message counts as lost after so many seconds."""
    return Pending(bench.stores.graph._connection, queued_retry_s)


async def have_looked_often(bench: Bench) -> None:
    """Return when those who keep asking have tried to take the turn several times from now on."""

    async def looks() -> int:
        calls: Any = (await bench.stores.redis.info("commandstats")).get("cmdstat_set", {"calls": 0})
        return int(calls["calls"])

    before = await looks()

    async def are_enough() -> bool:
        return await looks() > before + 2

    await until(are_enough)


async def test_pending_packages_are_asked_for_whole_once_a_day(bench: Bench) -> None:
    bench.registry.has(package("app"), package("lib"), package("user", requires={"lib": "any"}))
    await bench.serve("app", first=True, depth=2)
    await bench.serve("lib", first=True)
    await bench.serve("user")
    assert await pending(bench) == 2
    assert await waiting(bench, Lane.COMPLETED) == [
        Message(NPM.label, "lib", internal=True),
        Message(NPM.label, "app", internal=True, depth=2),
    ]
    assert await pending(bench) == 0

    for message in await waiting(bench, Lane.COMPLETED):
        await bench.serve(message.package, internal=True, lane=Lane.COMPLETED)
    assert bench.registry.archives_read == 3
    assert [node.get("complete_at") for node in (await bench.nodes()).values()] == [None] * 3


async def test_absent_packages_that_no_lane_holds_are_asked_for_as_they_would_have_been(bench: Bench) -> None:
    bench.registry.has(
        package("one", requires={"rare": "any", "common": "any"}), package("two", requires={"common": "any"})
    )
    bench.has_room = False
    await bench.serve("one", first=True, depth=5)
    await bench.serve("two", first=True)
    assert await left_out(bench) == 2
    assert await waiting(bench, Lane.REQUIRED) == [
        Message(NPM.label, "common", internal=True, first=True),
        Message(NPM.label, "rare", internal=True, first=True, depth=4),
    ]
    assert await left_out(bench) == 0
    bench.has_room = True
    assert await bench.follow_ups("one", refresh=True) == {}, "they are queued"


async def test_what_a_link_has_no_room_for_is_asked_for_later(bench: Bench) -> None:
    """The package is known and complete, so that its message is linked and nothing is written."""
    bench.registry.has(package("app", requires={"lib": "any", "other": "any"}))
    await bench.serve("app", depth=0)
    bench.has_room = False
    assert await bench.link_known("app", depth=3) == Outcome(asked_registry=True)
    bench.has_room = True
    assert await left_out(bench) == 2
    assert {(each.package, each.depth) for each in await waiting(bench, Lane.REQUIRED)} == {("lib", 2), ("other", 2)}
    assert (await bench.link_known("app")) == Outcome(), "they are queued"


async def test_what_a_killed_daemon_marked_as_queued_is_asked_for_later_if_there_is_no_room_now(bench: Bench) -> None:
    bench.registry.has(package("app", requires={"lib": "any"}))
    assert len((await bench.serve("app")).queue) == 1, "and the daemon is killed before it queues it"
    bench.has_room = False
    assert (await bench.serve("app", redelivered=True)).queue == ()
    assert await left_out(bench) == 1


async def test_a_message_that_redis_has_lost_is_queued_again(bench: Bench) -> None:
    bench.registry.has(package("app", requires={"lib": "any", "other": "any"}), package("lib"))
    await bench.serve("app")
    await bench.serve("lib", internal=True)
    now = datetime.now(UTC)
    lost = lost_after(bench, 60)
    assert await lost.lost(NPM, now, 10) == []
    later = now + timedelta(seconds=61)
    assert [each.name for each in await lost.lost(NPM, later, 10)] == ["other"]
    assert await lost.lost(PYPI, later, 10) == []

    at_once = lost_after(bench, 0)
    assert await ask_for_left_out(bench.stores.redis, at_once, NPM, QUEUE) == 1
    assert [each.package for each in await waiting(bench, Lane.REQUIRED)] == ["other"]
    assert await ask_for_left_out(bench.stores.redis, at_once, NPM, QUEUE) == 0, "it is looked for now and then"


async def test_a_lane_is_filled_again_when_it_is_half_empty(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion, "PAGE", 3)
    bench.has_room = False
    bench.registry.has(package("app", requires={f"lib{number}": "any" for number in range(4)}))
    await bench.serve("app")
    redis = bench.stores.redis
    await enqueue(redis, QUEUE, "npm", Lane.REQUIRED, [Message(NPM.label, f"x{number}") for number in range(51)])
    assert await left_out(bench) == 0
    await redis.xtrim(Keys(QUEUE.stream).lane("npm", Lane.REQUIRED), maxlen=50, approximate=False)
    assert await left_out(bench) == 3
    await redis.delete(Keys(QUEUE.stream).lane("npm", Lane.REQUIRED))
    assert await left_out(bench) == 1


async def test_completed_holds_five_thousand_messages_and_is_filled_up_from_half(bench: Bench) -> None:
    bench.registry.has(package("app"))
    await bench.serve("app", first=True)
    redis, lane = bench.stores.redis, Keys(QUEUE.stream).lane("npm", Lane.COMPLETED)
    more = [Message(NPM.label, f"x{number}", internal=True) for number in range(5_001)]
    filling = asyncio.create_task(enqueue(redis, QUEUE, "npm", Lane.COMPLETED, more))

    async def is_full() -> bool:
        return bool(await redis.xlen(lane) == 5_000)

    try:
        await until(is_full)
        assert (await pending(bench), await redis.xlen(lane), filling.done()) == (0, 5_000, False)
    finally:
        filling.cancel()
        await asyncio.gather(filling, return_exceptions=True)
    await redis.xtrim(lane, maxlen=2_501, approximate=False)
    assert await pending(bench) == 0
    await redis.xtrim(lane, maxlen=2_500, approximate=False)
    assert await pending(bench) == 1


async def test_one_daemon_asks_at_a_time_and_outages_are_sat_out(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion, "EVERY_S", 0.02)
    monkeypatch.setattr(completion, "IDLE_S", 0.02)
    bench.registry.has(package("app"))
    await bench.serve("app", first=True)
    redis = bench.stores.redis
    await redis.set(Keys(QUEUE.stream).refill("npm"), "")
    asking = asyncio.create_task(keep_asking(redis, bench.stores.graph.pending, [NPM], lambda: QUEUE))

    try:
        await have_looked_often(bench)
        assert await waiting(bench, Lane.COMPLETED) == []
        await redis.delete(Keys(QUEUE.stream).refill("npm"))
        await until(lambda: waiting(bench, Lane.COMPLETED))
        assert not asking.done()
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


async def test_a_turn_that_took_too_long_leaves_the_turn_of_the_next_daemon_as_it_is(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completion, "EVERY_S", 0.02)
    monkeypatch.setattr(completion, "IDLE_S", 0.02)
    redis, turn = bench.stores.redis, Keys(QUEUE.stream).refill("npm")

    turns = 0

    async def another_takes_the_turn(*_: Any) -> int:
        nonlocal turns
        turns += 1
        await redis.set(turn, "another", px=3_600_000)
        return 0

    monkeypatch.setattr(completion, "ask_for_pending", another_takes_the_turn)
    asking = asyncio.create_task(keep_asking(redis, bench.stores.graph.pending, [NPM], lambda: QUEUE))

    try:
        await until(lambda: turns)
        await have_looked_often(bench)
        assert turns == 1
        assert await redis.pttl(turn) > 1_000_000
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


async def test_a_daemon_keeps_its_turn_however_long_the_graph_takes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one would find the same page, and ask a registry for each of its packages once more."""
    bench.registry.has(package("one", requires={"rare": "any"}))
    bench.has_room = False
    await bench.serve("one", first=True)
    monkeypatch.setattr(completion, "EVERY_S", 0.02)
    monkeypatch.setattr(completion, "IDLE_S", 0.02)
    monkeypatch.setattr(completion, "TURN_S", PATIENCE_S)
    find, take_up = Pending.left_out, Pending.take_up
    found: list[int] = []
    has_answered = asyncio.Event()

    async def finding(self: Pending, ecosystem: Ecosystem, limit: int) -> list[AbsentPackage]:
        absent = await find(self, ecosystem, limit)
        found.append(len(absent))
        return absent

    async def late(self: Pending, purls: Collection[str], now: datetime) -> None:
        if len(found) == 1:
            await has_answered.wait()
        await take_up(self, purls, now)

    monkeypatch.setattr(Pending, "left_out", finding)
    monkeypatch.setattr(Pending, "take_up", late)
    redis, graph = bench.stores.redis, bench.stores.graph
    async with asyncio.TaskGroup() as daemons:
        asking = [daemons.create_task(keep_asking(redis, graph.pending, [NPM], lambda: QUEUE)) for _ in range(2)]
        await until(lambda: found)
        await have_looked_often(bench)
        assert found == [1]

        has_answered.set()
        await until(lambda: len(found) > 1)
        assert found[:2] == [1, 0], "the turn is given on, and nothing is left"
        for each in asking:
            each.cancel()
    assert [message.package for message in await waiting(bench, Lane.REQUIRED)] == ["rare"]
