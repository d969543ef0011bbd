"""What the reader takes, in which order, and how each delivery ends."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from securechain_ingest.errors import NotFound, RateLimited, StoreError
from securechain_ingest.intake.entries import HISTORY_FIELD
from securechain_ingest.intake.keys import Keys
from securechain_ingest.intake.messages import Message
from securechain_ingest.intake.reader import Delivery, Outcome
from securechain_ingest.settings import QueueSettings
from tests.intake.running import (
    Gate,
    Recorder,
    add,
    assert_no_leak,
    data,
    dead_letters,
    is_idle,
    running,
    until,
)


def has_handled(handler: Recorder, package: str) -> bool:
    return package in handler.packages


async def counters(redis: Redis, queue: QueueSettings) -> dict[str, int]:
    held: Any = await redis.hgetall(Keys(queue.stream).counters)
    return {name.decode(): int(value) for name, value in held.items()}


async def test_messages_that_were_sent_before_the_group_existed_are_served(redis: Redis, queue: QueueSettings) -> None:
    await add(redis, queue.stream, "six", "flask")
    handler = Recorder()
    async with running(redis, queue, handler):
        await until(lambda: is_idle(redis, queue))
    assert sorted(handler.packages) == ["flask", "six"]
    assert not any(delivery.redelivered or delivery.attempts for delivery in handler.deliveries)
    assert await counters(redis, queue) == {"total_processed": 2, "successful": 2}
    await assert_no_leak(redis, queue)


async def test_a_key_that_nobody_knows_is_told_once_and_its_message_served(redis: Redis, queue: QueueSettings) -> None:
    for package in ("six", "flask"):
        document: dict[str, object] = {"package": package, "colour": "blue", "moment": [], "vendor": 7}
        await redis.xadd(queue.stream, {"data": json.dumps(document | {"node_type": "PyPIPackage"})})
    handler = Recorder()
    with capture_logs() as lines:
        async with running(redis, queue, handler):
            await until(lambda: is_idle(redis, queue))
    assert sorted(handler.packages) == ["flask", "six"]
    told = [line for line in lines if line["event"] == "message_key_unknown"]
    assert [(line["key"], line["log_level"]) for line in told] == [("colour", "warning")]


async def test_a_message_that_arrives_while_the_reader_waits_is_served(redis: Redis, queue: QueueSettings) -> None:
    handler = Recorder()
    async with running(redis, queue, handler):
        for stream in (queue.stream, Keys(queue.stream).bulk):
            await add(redis, stream, stream)
            await until(partial(has_handled, handler, stream))
    assert [delivery.bulk for delivery in handler.deliveries] == [False, True]


async def test_follow_up_messages_are_queued_as_bulk_with_all_that_they_say(redis: Redis, queue: QueueSettings) -> None:
    follow_up = Message(node_type="NPMPackage", package="b", depth=2, internal=True)

    async def act(delivery: Delivery) -> Outcome:
        return Outcome(queue=(follow_up,) if delivery.message.package == "a" else ())

    handler = Recorder(act)
    await add(redis, queue.stream, "a")
    async with running(redis, queue, handler):
        await until(lambda: len(handler.deliveries) == 2)
    assert handler.deliveries[1].message == follow_up
    assert handler.deliveries[1].bulk
    await assert_no_leak(redis, queue)


async def test_on_demand_messages_are_taken_while_bulk_messages_hold_every_slot_open_to_them(
    redis: Redis, queue: QueueSettings
) -> None:
    gate = Gate()

    async def act(delivery: Delivery) -> Outcome:
        return await gate(delivery) if delivery.bulk else Outcome()

    handler = Recorder(act)
    await add(redis, Keys(queue.stream).bulk, *(f"bulk-{number}" for number in range(50)))
    async with running(redis, queue, handler) as reader:
        await until(lambda: reader.in_flight == queue.concurrency - queue.reserved)
        await add(redis, queue.stream, "urgent")
        await until(lambda: "urgent" in handler.packages)
        await until(lambda: reader.in_flight == queue.concurrency - queue.reserved)
        gate.opened.set()
        await until(lambda: is_idle(redis, queue))
    assert len(handler.deliveries) == 51


async def test_no_more_messages_are_taken_than_there_are_slots_and_no_slot_is_lost(
    redis: Redis, queue: QueueSettings
) -> None:
    now = most = 0

    async def act(delivery: Delivery) -> Outcome:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await anyio.lowlevel.checkpoint()
        now -= 1
        if delivery.message.package.startswith("faulty"):
            raise ValueError("a fault of the program")
        if delivery.message.package.startswith("gone"):
            raise NotFound("not there", url="http://localhost/")
        return Outcome()

    keys = Keys(queue.stream)
    queue = queue.model_copy(update={"concurrency": 3, "reserved": 1, "max_deliveries": 1})
    for stream in (keys.on_demand, keys.bulk):
        await add(redis, stream, *(f"{word}-{number}" for number in range(4) for word in ("faulty", "gone", "good")))
    async with running(redis, queue, Recorder(act)) as reader:
        await until(lambda: is_idle(redis, queue))
        await until(lambda: reader.in_flight == 0)
    assert most == 3
    assert await counters(redis, queue) == {"total_processed": 24, "successful": 8, "failed": 16}


@pytest.mark.parametrize(
    ("fields", "kind", "counter"),
    [
        ({"payload": "x"}, "missing_data", "validation_errors"),
        ({"data": "{"}, "bad_json", "validation_errors"),
        ({"data": '{"package": 1}'}, "bad_schema", "validation_errors"),
        ({"data": data("a", node_type="GoPackage")}, "unknown_node_type", "unsupported_types"),
        ({"data": data("a", node_type="MavenPackage")}, "invalid_name", "validation_errors"),
    ],
)
async def test_a_malformed_message_is_dead_lettered_at_once_with_its_own_reason(
    redis: Redis, queue: QueueSettings, fields: dict[str, str], kind: str, counter: str
) -> None:
    document: dict[Any, Any] = dict(fields)
    entry_id: Any = await redis.xadd(queue.stream, document)
    handler = Recorder()
    async with running(redis, queue, handler):
        await until(lambda: is_idle(redis, queue))
    [letter] = await dead_letters(redis, queue)
    assert set(letter) == {
        "data", "error", "kind", "attempts", "first_failed_at", "last_failed_at", "origin_id",
    }  # fmt: skip
    assert letter["data"] == fields.get("data", "")
    assert (letter["kind"], letter["attempts"], letter["origin_id"]) == (kind, "1", entry_id.decode())
    assert letter["first_failed_at"] == letter["last_failed_at"]
    assert handler.deliveries == []
    assert await counters(redis, queue) == {"total_processed": 1, counter: 1}
    await assert_no_leak(redis, queue)


async def test_data_that_is_not_text_reaches_the_dead_letters_byte_for_byte(redis: Redis, queue: QueueSettings) -> None:
    await redis.xadd(queue.stream, {"data": b"\xff\x00{"})
    async with running(redis, queue, Recorder()):
        await until(lambda: is_idle(redis, queue))
    rows: Any = await redis.xrange(Keys(queue.stream).dead_letters)
    [(_, fields)] = rows
    assert fields[b"data"] == b"\xff\x00{"


async def test_a_permanent_failure_is_dead_lettered_at_once(redis: Redis, queue: QueueSettings) -> None:
    async def act(delivery: Delivery) -> Outcome:
        raise NotFound("PyPI has no project six", url="http://localhost/six")

    handler = Recorder(act)
    await add(redis, queue.stream, "six")
    async with running(redis, queue, handler):
        await until(lambda: is_idle(redis, queue))
    [letter] = await dead_letters(redis, queue)
    assert (letter["kind"], letter["error"], letter["attempts"]) == ("not_found", "PyPI has no project six", "1")
    assert letter["data"] == data("six")
    assert len(handler.deliveries) == 1


async def test_a_transient_failure_is_tried_again_with_its_history(redis: Redis, queue: QueueSettings) -> None:
    async def act(delivery: Delivery) -> Outcome:
        if delivery.attempts < 2:
            raise StoreError("the graph is away")
        return Outcome()

    handler = Recorder(act)
    [origin_id] = await add(redis, Keys(queue.stream).bulk, "six")
    async with running(redis, queue, handler):
        await until(lambda: is_idle(redis, queue) if len(handler.deliveries) == 3 else False)
    assert [delivery.attempts for delivery in handler.deliveries] == [0, 1, 2]
    assert [delivery.redelivered for delivery in handler.deliveries] == [False, True, True]
    assert {delivery.origin_id for delivery in handler.deliveries} == {origin_id}
    assert all(delivery.bulk for delivery in handler.deliveries)
    assert await dead_letters(redis, queue) == []
    await assert_no_leak(redis, queue)


@pytest.mark.parametrize(
    ("error", "kind"),
    [(StoreError("the graph is away"), "store_unavailable"), (ZeroDivisionError("x"), "internal_error")],
)
async def test_a_message_whose_tries_are_used_up_is_dead_lettered_with_its_first_and_last_failure(
    redis: Redis, queue: QueueSettings, error: Exception, kind: str
) -> None:
    async def act(delivery: Delivery) -> Outcome:
        raise error

    handler = Recorder(act)
    [origin_id] = await add(redis, queue.stream, "six")
    async with running(redis, queue, handler):
        await until(lambda: dead_letters(redis, queue))
    [letter] = await dead_letters(redis, queue)
    assert len(handler.deliveries) == queue.max_deliveries
    assert (letter["kind"], letter["attempts"], letter["origin_id"]) == (kind, "3", origin_id)
    assert letter["first_failed_at"] < letter["last_failed_at"]
    assert letter["data"] == data("six")
    await assert_no_leak(redis, queue)


async def test_a_postponed_message_holds_no_slot_and_waits_as_long_as_the_registry_asked(
    redis: Redis, queue: QueueSettings
) -> None:
    async def act(delivery: Delivery) -> Outcome:
        if delivery.message.package == "slow":
            raise RateLimited("later", url="http://localhost/", delay_s=3600)
        return Outcome()

    queue = queue.model_copy(update={"concurrency": 1})
    keys = Keys(queue.stream)
    handler = Recorder(act)
    await add(redis, queue.stream, "slow", "quick")
    async with running(redis, queue, handler) as reader:
        await until(lambda: "quick" in handler.packages)
        await until(lambda: reader.in_flight == 0)
        waiting: Any = await redis.zrange(keys.retries, 0, 0, withscores=True)
        [(_, due_ms)] = waiting
        seconds: Any = (await redis.time())[0]
        assert 3500 < due_ms / 1000 - seconds < 3700
        assert await redis.xlen(queue.stream) == 0
    assert handler.packages == ["slow", "quick"]


@pytest.mark.parametrize("field", ["attempts", HISTORY_FIELD])
async def test_fields_that_a_producer_adds_are_not_taken_for_the_history_of_a_retry(
    redis: Redis, queue: QueueSettings, field: str
) -> None:
    await redis.xadd(queue.stream, {"data": data("six"), field: "99", "origin_id": "1-1"})
    handler = Recorder()
    async with running(redis, queue, handler):
        await until(lambda: is_idle(redis, queue))
    assert [delivery.attempts for delivery in handler.deliveries] == [0]
    assert handler.deliveries[0].origin_id == handler.deliveries[0].entry_id


async def test_a_change_of_concurrency_takes_effect_while_messages_are_handled(
    redis: Redis, queue: QueueSettings
) -> None:
    gate = Gate()
    queue = queue.model_copy(update={"concurrency": 1})
    await add(redis, queue.stream, "a", "b", "c")
    async with running(redis, queue, Recorder(gate)) as reader:
        await until(lambda: reader.in_flight == 1)
        reader.apply(queue.model_copy(update={"concurrency": 3}))
        await until(lambda: reader.in_flight == 3)
        gate.opened.set()


async def test_stopping_finishes_what_is_in_flight_and_takes_nothing_more(redis: Redis, queue: QueueSettings) -> None:
    gate = Gate()
    handler = Recorder(gate)
    await add(redis, queue.stream, "six")
    async with running(redis, queue, handler) as reader:
        await until(lambda: reader.in_flight == 1)
        reader.stop()
        await add(redis, queue.stream, "late")
        gate.opened.set()
        await until(lambda: reader.in_flight == 0)
    assert handler.packages == ["six"]
    assert await redis.xlen(queue.stream) == 1
    other = Recorder()
    async with running(redis, queue, other):
        await until(lambda: is_idle(redis, queue))
    assert [(delivery.message.package, delivery.attempts) for delivery in other.deliveries] == [("late", 0)]


async def test_a_reader_that_has_stopped_leaves_the_group(redis: Redis, queue: QueueSettings) -> None:
    async with running(redis, queue, Recorder()):
        pass
    consumers: Any = await redis.xinfo_consumers(queue.stream, queue.group)
    assert consumers == []
