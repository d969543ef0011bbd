"""Nothing is lost and no strike is counted wrongly when readers die, pause, stop or lose Redis."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis

from securechain_ingest.queue import forwarder, settlement
from securechain_ingest.queue.forwarder import Forwarder
from securechain_ingest.queue.groups import ensure_groups
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.messages import Message
from securechain_ingest.queue.submission import submit
from securechain_ingest.settings import QueueSettings
from tests.queue.running import (
    ECOSYSTEMS,
    Observer,
    add,
    assert_no_leak,
    data,
    dead_letters,
    is_idle,
    lane_of,
    let_leases_run_out,
    link_nothing,
    running,
)
from tests.waiting import until

ENDS = (forwarder._FORWARD, settlement._COMPLETE, settlement._POSTPONE, settlement._DEAD_LETTER)
"""These are the steps by which a message leaves where it is."""


def short_lease(queue: QueueSettings) -> QueueSettings:
    return queue.model_copy(update={"lease_s": 0.15})


async def abandon(
    redis: Redis, queue: QueueSettings, *packages: str, deliveries: int = 1, consumer: str = "dead"
) -> list[str]:
    """Leave what a consumer leaves that took everything from a lane and was killed, time and again; return the
    entries' ids.
    """
    lane = lane_of(queue)
    ids = await add(redis, lane, *packages)
    await ensure_groups(redis, [lane], queue.group)
    await redis.xreadgroup(queue.group, consumer, {lane: ">"})
    for _ in range(deliveries - 1):
        await redis.xclaim(lane, queue.group, consumer, 0, list(ids))
    await let_leases_run_out(redis, queue)
    return ids


async def test_what_a_dead_consumer_left_is_claimed_page_by_page(redis: Redis, queue: QueueSettings) -> None:
    packages = [f"package-{number}" for number in range(40)]
    await abandon(redis, queue, *packages)
    handler = Observer()
    async with running(redis, queue, handler):
        await until(lambda: is_idle(redis, queue))
    assert sorted(handler.packages) == sorted(packages)
    assert all(entry.redelivered and entry.attempts == 1 for entry in handler.entries)
    await assert_no_leak(redis, queue)


async def test_an_entry_that_was_deleted_while_it_was_pending_does_not_stay_behind(
    redis: Redis, queue: QueueSettings
) -> None:
    [deleted, _] = await abandon(redis, queue, "deleted", "kept")
    await redis.xdel(lane_of(queue), deleted)
    handler = Observer()
    async with running(redis, queue, handler):
        await until(lambda: is_idle(redis, queue))
    assert handler.packages == ["kept"]
    await assert_no_leak(redis, queue)


async def test_a_message_that_kills_its_consumers_is_dead_lettered_at_the_cap(
    redis: Redis, queue: QueueSettings
) -> None:
    await abandon(redis, queue, "killer", deliveries=queue.max_deliveries)
    handler = Observer()
    async with running(redis, queue, handler):
        await until(lambda: is_idle(redis, queue))
    [letter] = await dead_letters(redis, queue)
    assert (letter["kind"], letter["attempts"], letter["data"]) == ("delivery_cap", "3", data("killer"))
    assert handler.entries == []
    await assert_no_leak(redis, queue)


async def test_a_submission_that_a_dead_consumer_left_is_forwarded_whatever_else_its_producer_added(
    redis: Redis, queue: QueueSettings
) -> None:
    await redis.xadd(queue.stream, {"trace": "7", "data": data("six"), "origin": "an analyst"})
    await ensure_groups(redis, [queue.stream], queue.group)
    await redis.xreadgroup(queue.group, "dead", {queue.stream: ">"})
    await let_leases_run_out(redis, queue)
    handler = Observer()
    async with running(redis, queue, handler):
        await until(lambda: is_idle(redis, queue))
    assert handler.packages == ["six"]
    await assert_no_leak(redis, queue)


async def leave_a_submission(redis: Redis, queue: QueueSettings) -> None:
    """Leave a submission of the run `r1` that has killed whoever forwarded it, as often as a message may."""
    await submit(redis, queue, [Message("PyPIPackage", "killer", run="r1")])
    await ensure_groups(redis, [queue.stream], queue.group)
    rows: Any = await redis.xreadgroup(queue.group, "dead", {queue.stream: ">"})
    entry_id = rows[0][1][0][0]
    for _ in range(queue.max_deliveries - 1):
        await redis.xclaim(queue.stream, queue.group, "dead", 0, [entry_id])
    await let_leases_run_out(redis, queue)


async def test_a_submission_that_kills_whoever_forwards_it_is_a_failure_of_its_run(
    redis: Redis, queue: QueueSettings
) -> None:
    await leave_a_submission(redis, queue)
    async with running(redis, queue, Observer()):
        await until(lambda: is_idle(redis, queue))
    assert [letter["kind"] for letter in await dead_letters(redis, queue)] == ["delivery_cap"]
    counts: Any = await redis.hgetall(Keys(queue.stream).run_counts)
    assert counts == {b"r1:open": b"0", b"r1:failed": b"1"}


async def test_a_cap_that_is_raised_while_the_daemon_runs_holds_for_submissions_too(
    redis: Redis, queue: QueueSettings
) -> None:
    await leave_a_submission(redis, queue)
    forwards = Forwarder(redis, queue, ECOSYSTEMS, queue.group, "forwards", link_nothing)
    forwards.apply(queue.model_copy(update={"max_deliveries": 1000}))
    await until(forwards.forward, "the submission")
    assert await redis.xlen(lane_of(queue)) == 1
    assert await dead_letters(redis, queue) == []
