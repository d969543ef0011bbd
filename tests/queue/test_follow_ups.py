"""What a package requires is asked for once, however many lanes it could wait in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from redis.asyncio import Redis

from securechain_ingest.queue.entries import Entry
from securechain_ingest.queue.follow_ups import add_follow_ups
from securechain_ingest.queue.groups import ensure_groups
from securechain_ingest.queue.handling import Outcome
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import LANES, Lane
from securechain_ingest.queue.messages import Message, parse
from securechain_ingest.queue.settlement import Settlement
from securechain_ingest.queue.submission import enqueue
from securechain_ingest.settings import QueueSettings
from tests.queue.running import Observer, add, assert_no_leak, entry_of, is_idle, lane_of, running
from tests.waiting import until

LIB = Message("PyPIPackage", "lib", internal=True)


async def complete(redis: Redis, queue: QueueSettings, *follow_ups: Message) -> None:
    """Do as the daemon does that has written a package which requires others."""
    await ensure_groups(redis, [lane_of(queue)], queue.group)
    [entry_id] = await add(redis, lane_of(queue), "app")
    entry = replace(entry_of(Message("PyPIPackage", "app"), lane=Lane.ASKED), entry_id=entry_id)
    await Settlement(redis, Keys(queue.stream), queue.group, "consumer").complete(entry, follow_ups, 1)


async def waiting(redis: Redis, queue: QueueSettings) -> dict[Lane, list[tuple[Message, str]]]:
    """Return the messages of each lane, each with its run; every one is found by its mark."""
    found: dict[Lane, list[tuple[Message, str]]] = {}
    marks: Any = await redis.hgetall(Keys(queue.stream).waiting("pypi"))
    for lane in LANES:
        rows: Any = await redis.xrange(lane_of(queue, lane))
        for entry_id, fields in rows:
            found.setdefault(lane, []).append((parse(fields), fields.get(b"run", b"").decode()))
            assert marks.pop(fields[b"mark"]) == f"{lane}:{entry_id.decode()}".encode()
    assert marks == {}
    return found


async def test_a_required_package_that_waits_nowhere_is_added(redis: Redis, queue: QueueSettings) -> None:
    await complete(redis, queue, replace(LIB, depth=3, first=True))
    assert await waiting(redis, queue) == {Lane.REQUIRED: [(replace(LIB, depth=3, first=True), "")]}


async def test_a_required_package_waits_once_however_it_is_spelled(redis: Redis, queue: QueueSettings) -> None:
    await enqueue(redis, queue, "pypi", Lane.LISTED, [replace(LIB, package="Lib", first=True)])
    await complete(redis, queue, replace(LIB, first=True))
    await add_follow_ups(redis, Keys(queue.stream), [("pypi", replace(LIB, package="LIB"))])
    assert await waiting(redis, queue) == {Lane.REQUIRED: [(replace(LIB, package="Lib"), "")]}


async def test_one_whose_message_another_program_has_spoilt_is_added_beside_it(
    redis: Redis, queue: QueueSettings
) -> None:
    spoilt: Any = await redis.xadd(lane_of(queue, Lane.LISTED), {"data": "{", "mark": "lib"})
    await redis.hset(Keys(queue.stream).waiting("pypi"), "lib", b"listed:" + spoilt)
    await complete(redis, queue, LIB)
    rows: Any = await redis.xrange(lane_of(queue, Lane.LISTED))
    assert [fields[b"data"] for _, fields in rows] == [b"{"]
    await redis.delete(lane_of(queue, Lane.LISTED))
    assert await waiting(redis, queue) == {Lane.REQUIRED: [(LIB, "")]}


@pytest.mark.parametrize("lane", [Lane.LISTED, Lane.COMPLETED])
async def test_one_that_waits_in_a_less_urgent_lane_moves_up_with_all_that_it_has(
    redis: Redis, queue: QueueSettings, lane: Lane
) -> None:
    listed = replace(LIB, first=True, depth=1, run="load", listed="état/7", at_least="5")
    await enqueue(redis, queue, "pypi", lane, [listed])
    await complete(redis, queue, replace(LIB, depth=3, first=True))
    assert await waiting(redis, queue) == {Lane.REQUIRED: [(replace(listed, depth=3), "load")]}
    counts: Any = await redis.hgetall(Keys(queue.stream).run_counts)
    assert counts == {b"load:open": b"1"}, "it is still open, and settled once"


@pytest.mark.parametrize("lane", [Lane.CHANGED, Lane.REQUIRED])
@pytest.mark.parametrize(
    ("held", "added", "both"),
    [
        ((None, False), (3, True), (None, False)),
        ((1, True), (3, True), (3, True)),
        ((3, True), (1, False), (3, False)),
        ((1, True), (None, True), (None, True)),
        ((None, True), (None, True), (None, True)),
    ],
)
async def test_one_that_waits_in_a_lane_as_urgent_stays_there_and_asks_for_what_both_ask(
    redis: Redis,
    queue: QueueSettings,
    lane: Lane,
    held: tuple[int | None, bool],
    added: tuple[int | None, bool],
    both: tuple[int | None, bool],
) -> None:
    before = replace(LIB, refresh=True, depth=held[0], first=held[1])
    await enqueue(redis, queue, "pypi", lane, [before])
    rows: Any = await redis.xrange(lane_of(queue, lane))
    await complete(redis, queue, replace(LIB, depth=added[0], first=added[1]))
    assert await waiting(redis, queue) == {lane: [(replace(before, depth=both[0], first=both[1]), "")]}
    assert (await redis.xrange(lane_of(queue, lane)) == rows) == (held == both), "an entry that says all is left alone"


async def test_a_mark_whose_entry_has_gone_is_nobody(redis: Redis, queue: QueueSettings) -> None:
    await redis.hset(Keys(queue.stream).waiting("pypi"), "lib", "listed:1-1")
    await complete(redis, queue, LIB)
    assert await waiting(redis, queue) == {Lane.REQUIRED: [(LIB, "")]}


async def test_what_a_link_leads_to_is_added_once_too(redis: Redis, queue: QueueSettings) -> None:
    async def link(entries: Any) -> list[Outcome | None]:
        return [Outcome((LIB,)) if entry.message.package == "app" else None for entry in entries]

    async def act(_: Entry) -> Outcome:
        return Outcome()

    handler = Observer(act)
    await enqueue(redis, queue, "pypi", Lane.LISTED, [LIB])
    await redis.hset(Keys(queue.stream).pauses, "pypi", "now")
    await add(redis, queue.stream, "app")
    async with running(redis, queue, handler, link=link):
        await until(lambda: redis.xlen(lane_of(queue, Lane.REQUIRED)))
        assert await waiting(redis, queue) == {Lane.REQUIRED: [(LIB, "")]}
        await redis.delete(Keys(queue.stream).pauses)
        await until(lambda: is_idle(redis, queue))
    assert handler.packages == ["lib"]
    await assert_no_leak(redis, queue)
