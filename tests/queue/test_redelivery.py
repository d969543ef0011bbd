"""Nothing is lost and no strike is counted wrongly when readers die, pause, stop or lose Redis."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import anyio
import pytest
from redis import Redis as SynchronousRedis
from redis.asyncio import Redis
from redis.commands.core import AsyncScript

from securechain_ingest.drivers.redis_connection import blocking_twin
from securechain_ingest.errors import NotFound, StoreError
from securechain_ingest.queue import forwarder, settlement
from securechain_ingest.queue.entries import Entry
from securechain_ingest.queue.forwarder import Forwarder
from securechain_ingest.queue.groups import ensure_groups, remove_consumers
from securechain_ingest.queue.handling import Outcome
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.messages import Message
from securechain_ingest.queue.settlement import Settlement
from securechain_ingest.queue.submission import submit
from securechain_ingest.settings import QueueSettings
from tests.queue.running import (
    ECOSYSTEMS,
    Observer,
    add,
    assert_no_leak,
    data,
    dead_letters,
    entry_of,
    is_idle,
    lane_of,
    let_leases_run_out,
    link_nothing,
    make_reader,
    running,
)
from tests.waiting import PATIENCE_S, Gate, until

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


async def test_a_lease_is_renewed_while_the_event_loop_is_blocked(
    redis: Redis, queue: QueueSettings, redis_url: str
) -> None:
    queue = short_lease(queue)

    def pending(client: SynchronousRedis) -> dict[str, Any]:
        rows: Any = client.xpending_range(lane_of(queue), queue.group, "-", "+", 1)
        return dict(rows[0])

    async def act(entry: Entry) -> Outcome:
        give_up_at = time.monotonic() + PATIENCE_S
        with SynchronousRedis.from_url(redis_url) as client:
            for _ in range(3):
                before = pending(client)
                while (now := pending(client))["time_since_delivered"] >= before["time_since_delivered"]:
                    assert time.monotonic() < give_up_at, "the lease was not renewed"
                    before = now
                assert now["times_delivered"] == 1
        return Outcome()

    handler = Observer(act)
    await add(redis, queue.stream, "heavy")
    async with running(redis, queue, handler):
        await until(lambda: is_idle(redis, queue))
    assert await dead_letters(redis, queue) == []
    assert len(handler.entries) == 1


async def test_a_message_in_flight_is_not_claimed_by_another_reader_even_while_draining(
    redis: Redis, queue: QueueSettings
) -> None:
    # The other one is so patient that no slow machine lets a lease run out that is renewed at all.
    patient = queue.model_copy(update={"lease_s": PATIENCE_S})
    gate, other = Gate(Outcome()), Observer()
    await add(redis, queue.stream, "long")
    async with running(redis, short_lease(queue), gate) as reader:
        await until(lambda: reader.in_flight == 1)
        async with running(redis, patient, other):
            reader.stop()
            renewals = 0
            before = 0

            async def renewed() -> bool:
                nonlocal renewals, before
                [row] = await redis.xpending_range(lane_of(queue), queue.group, "-", "+", 1)
                idle: Any = row["time_since_delivered"]
                renewals += idle < before
                before = idle
                return bool(renewals >= 3)

            await until(renewed)
            gate.opened.set()
            await until(lambda: is_idle(redis, queue))
    assert other.entries == []


async def test_a_reader_that_was_paused_does_not_disturb_who_claimed_its_message(
    redis: Redis, queue: QueueSettings
) -> None:
    async def fail(entry: Entry) -> Outcome:
        await gate.opened.wait()
        raise NotFound("not there", url="http://localhost/")

    gate = Gate(Outcome())
    [entry_id] = await add(redis, lane_of(queue), "six")
    async with running(redis, queue, fail) as reader:
        await until(lambda: reader.in_flight == 1)
        await redis.xclaim(lane_of(queue), queue.group, "other", 0, [entry_id])
        gate.opened.set()
        await until(lambda: reader.in_flight == 0)
    assert await dead_letters(redis, queue) == []
    [row] = await redis.xpending_range(lane_of(queue), queue.group, "-", "+", 9)
    assert row["consumer"] == b"other"


async def test_what_is_released_is_taken_by_another_reader_at_once_without_a_strike(
    redis: Redis, queue: QueueSettings
) -> None:
    taken = Observer()
    await add(redis, queue.stream, "a", "b")
    await add(redis, lane_of(queue, Lane.LISTED), "c")
    async with anyio.create_task_group() as group:
        reader = make_reader(redis, queue, Gate(Outcome()))
        group.start_soon(reader.run)
        await until(lambda: reader.in_flight == 3)
        reader.stop()
        await reader.release()
        group.cancel_scope.cancel()
    async with running(redis, queue, taken):
        await until(lambda: is_idle(redis, queue))
    assert sorted(taken.packages) == ["a", "b", "c"]
    assert [(entry.attempts, entry.redelivered) for entry in taken.entries] == [(0, True)] * 3
    await assert_no_leak(redis, queue)


async def test_a_message_that_is_finished_after_its_release_is_not_handled_again(
    redis: Redis, queue: QueueSettings
) -> None:
    gate = Gate(Outcome())
    await add(redis, queue.stream, "six")
    async with running(redis, queue, gate) as reader:
        await until(lambda: reader.in_flight == 1)
        reader.stop()
        await reader.release()
        gate.opened.set()
    await assert_no_leak(redis, queue)


@pytest.mark.parametrize("where", ["lane", "submissions"])
@pytest.mark.parametrize("vanish", ["stream", "group"])
async def test_a_group_that_vanishes_is_created_again_from_the_beginning(
    redis: Redis, queue: QueueSettings, vanish: str, where: str
) -> None:
    gate = Gate(Outcome())
    handler = Observer(gate)
    stream = lane_of(queue) if where == "lane" else queue.stream
    await add(redis, queue.stream, "before")
    async with running(redis, queue, handler) as reader:
        await until(lambda: reader.in_flight == 1)
        if vanish == "stream":
            await redis.delete(stream)
        else:
            await redis.xgroup_destroy(stream, queue.group)
        await add(redis, stream, "after")
        await until(lambda: "after" in handler.packages)
        gate.opened.set()
        await until(lambda: is_idle(redis, queue))
    assert handler.packages == ["before", "after"]
    await assert_no_leak(redis, queue)


async def test_what_is_completed_is_counted_once_even_if_redis_has_forgotten_who_had_it(
    redis: Redis, queue: QueueSettings
) -> None:
    """A failover may lose that an entry was taken, and a lost group is made anew: the entry is there, of nobody."""
    await ensure_groups(redis, [lane_of(queue)], queue.group)
    [entry_id] = await add(redis, lane_of(queue), "six")
    entry = replace(entry_of(Message("PyPIPackage", "six"), lane=Lane.ASKED), entry_id=entry_id, run="1")
    settlement = Settlement(redis, Keys(queue.stream), queue.group, "consumer")
    for _ in range(2):
        await settlement.complete(entry, [], 3)
    counts: Any = await redis.hgetall(Keys(queue.stream).run_counts)
    assert counts == {b"1:succeeded": b"1", b"1:open": b"-1", b"1:versions": b"3"}
    assert await redis.xlen(lane_of(queue)) == 0


async def test_consumers_of_dead_processes_are_removed_unless_something_is_pending_for_them(
    redis: Redis, queue: QueueSettings
) -> None:
    lane = lane_of(queue)
    await abandon(redis, queue, "six", consumer="busy")
    await redis.xgroup_createconsumer(lane, queue.group, "empty")
    assert await remove_consumers(redis, [queue.stream, lane], queue.group, idle_s=3600) == 0
    assert await remove_consumers(redis, [queue.stream, lane], queue.group, idle_s=0) == 1
    consumers: Any = await redis.xinfo_consumers(lane, queue.group)
    assert [consumer["name"] for consumer in consumers] == [b"busy"]


async def test_each_process_is_a_consumer_of_its_own_unless_one_is_named(redis: Redis, queue: QueueSettings) -> None:
    named = queue.model_copy(update={"consumer": "package-consumer"})
    names = {make_reader(redis, settings, Gate(Outcome())).consumer for settings in (queue, queue, named)}
    assert len(names) == 3
    assert "package-consumer" in names


async def test_the_lease_keeper_reaches_the_same_database_with_the_same_timeouts(redis_url: str) -> None:
    async with Redis.from_url(redis_url, socket_timeout=3) as client:
        await client.set("here", "yes")
        with blocking_twin(client) as twin:
            assert twin.get("here") == b"yes"
            assert twin.connection_pool.connection_kwargs["socket_timeout"] == 3


class Crash(BaseException):
    """This ends a reader as a kill would: whatever it had in hand stays as Redis has it."""


@pytest.mark.parametrize("before_answer", [True, False])
@pytest.mark.parametrize("countdown", range(1, 12))
async def test_a_crash_between_any_two_steps_loses_nothing(
    redis: Redis, queue: QueueSettings, countdown: int, before_answer: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first reader dies at its n-th atomic step or handled message; the second one finishes."""
    effects: list[str] = []
    steps_left = countdown

    def step() -> None:
        nonlocal steps_left
        steps_left -= 1
        if steps_left == 0:
            raise Crash

    async def act(entry: Entry) -> Outcome:
        package = entry.message.package
        step()
        if package == "flaky" and not entry.redelivered:
            raise StoreError("the graph is away")
        effects.append(package)
        return Outcome(queue=(Message("PyPIPackage", "required"),) if package == "plain" else ())

    call = AsyncScript.__call__

    async def interrupted(script: AsyncScript, *args: Any, **keys: Any) -> Any:
        in_time = any(script.script == end._text for end in ENDS)
        if in_time and before_answer:
            step()
        answer = await call(script, *args, **keys)
        if in_time and not before_answer:
            step()
        return answer

    await add(redis, queue.stream, "plain", "flaky", "simple")
    await redis.xadd(queue.stream, {"data": "not JSON"})
    with monkeypatch.context() as patched:
        patched.setattr(AsyncScript, "__call__", interrupted)
        with pytest.raises(BaseExceptionGroup) as caught:
            # With one place no two messages are completed by one step, so that there are as many steps as are counted.
            await make_reader(redis, queue, act, places=1).run()
    assert caught.value.split(Crash)[0] is not None
    await let_leases_run_out(redis, queue)
    async with running(redis, queue, act):
        await until(lambda: is_idle(redis, queue))
    assert set(effects) == {"plain", "flaky", "simple", "required"}
    assert [letter["data"] for letter in await dead_letters(redis, queue)] == ["not JSON"]
    await assert_no_leak(redis, queue)
