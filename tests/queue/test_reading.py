"""This tests what the reader takes, in which order, and how each entry ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from securechain_ingest.errors import NotFound, StoreAway, StoreError
from securechain_ingest.queue import settlement
from securechain_ingest.queue.entries import Entry
from securechain_ingest.queue.handling import Outcome
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.messages import Message
from securechain_ingest.settings import QueueSettings
from tests.queue.running import Observer, add, assert_no_leak, data, dead_letters, is_idle, lane_of, running, workers
from tests.waiting import Gate, until


def has_handled(handler: Observer, package: str) -> bool:
    return package in handler.packages


async def counters(redis: Redis, queue: QueueSettings) -> dict[str, int]:
    held: Any = await redis.hgetall(Keys(queue.stream).counters)
    return {name.decode(): int(value) for name, value in held.items()}


async def test_messages_that_were_sent_before_the_group_existed_are_served(redis: Redis, queue: QueueSettings) -> None:
    await add(redis, queue.stream, "six", "flask")
    handler = Observer()
    async with running(redis, queue, handler):
        await until(lambda: is_idle(redis, queue))
    assert sorted(handler.packages) == ["flask", "six"]
    assert not any(entry.redelivered or entry.attempts for entry in handler.entries)
    assert await counters(redis, queue) == {"total_processed": 2, "successful": 2}
    await assert_no_leak(redis, queue)


async def test_a_key_that_nobody_knows_is_told_once_and_its_message_served(redis: Redis, queue: QueueSettings) -> None:
    for package in ("six", "flask"):
        document: dict[str, object] = {"package": package, "colour": "blue", "moment": [], "vendor": 7}
        await redis.xadd(queue.stream, {"data": json.dumps(document | {"node_type": "PyPIPackage"})})
    handler = Observer()
    with capture_logs() as lines:
        async with running(redis, queue, handler):
            await until(lambda: is_idle(redis, queue))
    assert sorted(handler.packages) == ["flask", "six"]
    told = [line for line in lines if line["event"] == "message_key_unknown"]
    assert [(line["key"], line["log_level"]) for line in told] == [("colour", "warning")]


@pytest.mark.parametrize("lane", [None, *Lane])
async def test_a_message_that_arrives_while_the_reader_waits_is_served(
    redis: Redis, queue: QueueSettings, lane: Lane | None
) -> None:
    handler = Observer()
    async with running(redis, queue, handler):
        await add(redis, lane_of(queue, lane) if lane else queue.stream, "six")
        await until(partial(has_handled, handler, "six"))
    assert [entry.lane for entry in handler.entries] == [lane or Lane.ASKED]


async def test_each_ecosystem_is_served_from_its_own_lanes(redis: Redis, queue: QueueSettings) -> None:
    gate = Gate(Outcome())

    async def act(entry: Entry) -> Outcome:
        return await gate(entry) if entry.message.node_type == "MavenPackage" else Outcome()

    handler = Observer(act)
    for number in range(20):
        await redis.xadd(queue.stream, {"data": data(f"g:a-{number}", node_type="MavenPackage")})
        await redis.xadd(queue.stream, {"data": data(f"n-{number}", node_type="NPMPackage")})
    async with running(redis, queue, handler, places=4):
        await until(lambda: sum(name.startswith("n-") for name in handler.packages) == 20)
        await until(lambda: sum(name.startswith("g:") for name in handler.packages) == 4)
        gate.opened.set()
        await until(lambda: is_idle(redis, queue))


async def test_follow_up_messages_are_queued_as_required_with_all_that_they_say(
    redis: Redis, queue: QueueSettings
) -> None:
    follow_up = Message(node_type="PyPIPackage", package="b", depth=2, internal=True)

    async def act(entry: Entry) -> Outcome:
        return Outcome(queue=(follow_up,) if entry.message.package == "a" else ())

    handler = Observer(act)
    await add(redis, queue.stream, "a")
    async with running(redis, queue, handler):
        await until(lambda: len(handler.entries) == 2)
    assert handler.entries[1].message == follow_up
    assert handler.entries[1].lane is Lane.REQUIRED
    await assert_no_leak(redis, queue)


@pytest.mark.parametrize(("places", "kept_free"), [(1, 0), (2, 1), (3, 2), (8, 2)])
async def test_two_places_are_kept_free_for_what_somebody_asks(
    redis: Redis, queue: QueueSettings, places: int, kept_free: int
) -> None:
    gate = Gate(Outcome())

    async def act(entry: Entry) -> Outcome:
        return await gate(entry) if entry.lane is Lane.LISTED else Outcome()

    handler = Observer(act)
    await add(redis, lane_of(queue, Lane.LISTED), *(f"listed-{number}" for number in range(20)))
    async with running(redis, queue, handler, places=places) as reader:
        await until(lambda: reader.in_flight == places - kept_free)
        await add(redis, queue.stream, "urgent")
        if kept_free:
            await until(lambda: "urgent" in handler.packages)
            await until(lambda: reader.in_flight == places - kept_free)
        gate.opened.set()
        await until(lambda: is_idle(redis, queue))
    assert len(handler.entries) == 21


async def test_a_bound_over_all_ecosystems_keeps_no_lane_from_being_served(redis: Redis, queue: QueueSettings) -> None:
    queue = queue.model_copy(update={"concurrency": 1})
    handler = Observer()
    for lane in Lane:
        await add(redis, lane_of(queue, lane), lane)
    async with running(redis, queue, handler, places=8):
        await until(lambda: is_idle(redis, queue))
    assert sorted(handler.packages) == sorted(Lane)


async def test_whatever_place_gets_free_serves_what_is_asked_first(redis: Redis, queue: QueueSettings) -> None:
    handler = Observer()
    for lane in reversed(Lane):
        await add(redis, lane_of(queue, lane), *(f"{lane}-{number}" for number in range(3)))
    async with running(redis, queue, handler, places=1):
        await until(lambda: is_idle(redis, queue))
    assert handler.packages[:3] == ["asked-0", "asked-1", "asked-2"]


@pytest.mark.parametrize("places", [1, 3])
async def test_the_other_lanes_share_by_their_weights_counted_over_messages(
    redis: Redis, queue: QueueSettings, places: int
) -> None:
    handler = Observer()
    others = [lane for lane in Lane if lane is not Lane.ASKED]
    for lane in others:
        await add(redis, lane_of(queue, lane), *(f"{lane}-{number}" for number in range(60)))
    async with running(redis, queue, handler, places=places):
        await until(lambda: is_idle(redis, queue))
    first = handler.packages[:45]
    shares = {lane: sum(name.startswith(lane) for name in first) for lane in others}
    for lane, weight in zip(others, (8, 4, 2, 1), strict=True):
        assert abs(shares[lane] - 3 * weight) <= 2, shares


async def test_a_lane_that_was_empty_saves_up_no_share(redis: Redis, queue: QueueSettings) -> None:
    handler = Observer()
    async with running(redis, queue, handler, places=1):
        await add(redis, lane_of(queue, Lane.LISTED), *(f"early-{number}" for number in range(30)))
        await until(lambda: is_idle(redis, queue))
    handler = Observer()
    for lane in (Lane.LISTED, Lane.CHANGED):
        await add(redis, lane_of(queue, lane), *(f"{lane}-{number}" for number in range(30)))
    async with running(redis, queue, handler, places=1):
        await until(lambda: is_idle(redis, queue))
    assert sum(name.startswith("listed") for name in handler.packages[:20]) >= 3


async def test_no_more_messages_are_taken_than_there_are_slots_and_no_slot_is_lost(
    redis: Redis, queue: QueueSettings
) -> None:
    now = most = 0
    all_taken = asyncio.Event()

    async def act(entry: Entry) -> Outcome:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await all_taken.wait()
        now -= 1
        if entry.message.package.startswith("faulty"):
            raise ValueError("a fault of the program")
        if entry.message.package.startswith("gone"):
            raise NotFound("not there", url="http://localhost/")
        return Outcome()

    queue = queue.model_copy(update={"max_deliveries": 1})
    for stream in (queue.stream, lane_of(queue, Lane.LISTED)):
        await add(redis, stream, *(f"{word}-{number}" for number in range(4) for word in ("faulty", "gone", "good")))
    async with running(redis, queue, Observer(act), places=3) as reader:
        await until(lambda: now == 3)
        all_taken.set()
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
    handler = Observer()
    async with running(redis, queue, handler):
        await until(lambda: is_idle(redis, queue))
    [letter] = await dead_letters(redis, queue)
    assert set(letter) == {
        "data", "error", "kind", "attempts", "first_failed_at", "last_failed_at", "origin_id", "lane",
    }  # fmt: skip
    assert letter["data"] == fields.get("data", "")
    assert (letter["kind"], letter["attempts"], letter["origin_id"]) == (kind, "1", entry_id.decode())
    assert letter["first_failed_at"] == letter["last_failed_at"]
    assert handler.entries == []
    assert await counters(redis, queue) == {"total_processed": 1, counter: 1}
    await assert_no_leak(redis, queue)


async def test_data_that_is_not_text_reaches_the_dead_letters_byte_for_byte(redis: Redis, queue: QueueSettings) -> None:
    await redis.xadd(queue.stream, {"data": b"\xff\x00{"})
    async with running(redis, queue, Observer()):
        await until(lambda: is_idle(redis, queue))
    rows: Any = await redis.xrange(Keys(queue.stream).dead_letters)
    [(_, fields)] = rows
    assert fields[b"data"] == b"\xff\x00{"


async def test_a_permanent_failure_is_dead_lettered_at_once(redis: Redis, queue: QueueSettings) -> None:
    async def act(entry: Entry) -> Outcome:
        raise NotFound("PyPI has no project six", url="http://localhost/six")

    handler = Observer(act)
    await add(redis, queue.stream, "six")
    async with running(redis, queue, handler):
        await until(lambda: is_idle(redis, queue))
    [letter] = await dead_letters(redis, queue)
    assert (letter["kind"], letter["error"], letter["attempts"]) == ("not_found", "PyPI has no project six", "1")
    assert letter["data"] == data("six")
    assert len(handler.entries) == 1


async def test_a_transient_failure_is_tried_again_with_its_history(redis: Redis, queue: QueueSettings) -> None:
    async def act(entry: Entry) -> Outcome:
        if entry.attempts < 2:
            raise StoreError("the graph is away")
        return Outcome()

    handler = Observer(act)
    await add(redis, lane_of(queue, Lane.CHANGED), "six")
    async with running(redis, queue, handler):
        await until(lambda: is_idle(redis, queue) if len(handler.entries) == 3 else False)
    assert [entry.attempts for entry in handler.entries] == [0, 1, 2]
    assert [entry.redelivered for entry in handler.entries] == [False, True, True]
    assert {entry.lane for entry in handler.entries} == {Lane.CHANGED}
    assert await dead_letters(redis, queue) == []
    await assert_no_leak(redis, queue)


@pytest.mark.parametrize(
    ("error", "kind"),
    [(StoreError("the graph is away"), "store_unavailable"), (ZeroDivisionError("x"), "internal_error")],
)
async def test_a_message_whose_tries_are_used_up_is_dead_lettered_with_its_first_and_last_failure(
    redis: Redis, queue: QueueSettings, error: Exception, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = (f"2026-03-01T12:00:00.{number:03}Z" for number in range(1000))
    monkeypatch.setattr(settlement, "now_iso", lambda _precision: next(moments))

    async def act(entry: Entry) -> Outcome:
        raise error

    handler = Observer(act)
    [origin_id] = await add(redis, queue.stream, "six")
    async with running(redis, queue, handler):
        await until(lambda: dead_letters(redis, queue))
    [letter] = await dead_letters(redis, queue)
    assert len(handler.entries) == queue.max_deliveries
    assert (letter["kind"], letter["attempts"], letter["origin_id"]) == (kind, "3", origin_id)
    assert letter["first_failed_at"] < letter["last_failed_at"]
    assert letter["data"] == data("six")
    await assert_no_leak(redis, queue)


async def test_a_postponed_message_holds_no_place(redis: Redis, queue: QueueSettings) -> None:
    async def act(entry: Entry) -> Outcome:
        if entry.message.package == "slow":
            raise StoreError("refused")
        return Outcome()

    queue = queue.model_copy(update={"retry_base_s": 1e8, "retry_max_s": 1e8})
    handler = Observer(act)
    await add(redis, queue.stream, "slow", "quick")
    async with running(redis, queue, handler, places=1) as reader:
        await until(lambda: "quick" in handler.packages)
        await until(lambda: reader.in_flight == 0)
        assert await redis.zcard(Keys(queue.stream).retries("pypi", Lane.ASKED)) == 1
    assert handler.packages == ["slow", "quick"]


@pytest.mark.parametrize("field", ["attempts", "history", "mark", "run"])
async def test_fields_that_a_producer_adds_are_not_taken_for_the_daemons_own(
    redis: Redis, queue: QueueSettings, field: str
) -> None:
    await redis.xadd(queue.stream, {"data": data("six"), field: '["1-1", 9, "x", "", 0]', "origin_id": "1-1"})
    handler = Observer()
    async with running(redis, queue, handler):
        await until(lambda: is_idle(redis, queue))
    assert [(entry.attempts, entry.redelivered) for entry in handler.entries] == [(0, False)]


async def test_what_the_graph_knows_is_served_without_a_place(redis: Redis, queue: QueueSettings) -> None:
    asked: list[list[str]] = []

    async def link(entries: Sequence[Entry]) -> list[Outcome | None]:
        asked.append([entry.message.package for entry in entries])
        follow_up = Message("NPMPackage", "required", internal=True)
        return [Outcome(queue=(follow_up,)) if entry.message.package == "known" else None for entry in entries]

    handler = Observer()
    await add(redis, queue.stream, "known", "unknown")
    await redis.xadd(queue.stream, {"data": data("known", refresh=True)})
    async with running(redis, queue, handler, link=link):
        await until(lambda: is_idle(redis, queue) if len(handler.entries) == 3 else False)
    assert asked[0] == ["known", "unknown"]
    assert sorted(handler.packages) == ["known", "required", "unknown"]
    assert await counters(redis, queue) == {"total_processed": 4, "successful": 4}


async def test_while_the_graph_is_away_everything_is_moved_on_unasked(redis: Redis, queue: QueueSettings) -> None:
    """It may have gone when it had linked them: then what they require is counted as queued, and is not."""

    async def link(entries: Sequence[Entry]) -> list[Outcome | None]:
        raise StoreAway("the graph cannot be reached")

    handler = Observer()
    await add(redis, queue.stream, "known", "unknown")
    async with running(redis, queue, handler, link=link):
        await until(lambda: is_idle(redis, queue))
    assert sorted(handler.packages) == ["known", "unknown"]
    assert all(entry.redelivered for entry in handler.entries)


async def test_a_change_of_places_takes_effect_while_messages_are_handled(redis: Redis, queue: QueueSettings) -> None:
    gate = Gate(Outcome())
    await add(redis, queue.stream, "a", "b", "c")
    async with running(redis, queue, Observer(gate), places=1) as reader:
        await until(lambda: reader.in_flight == 1)
        reader.apply(queue, workers(3))
        await until(lambda: reader.in_flight == 3)
        gate.opened.set()


async def test_stopping_finishes_what_is_in_flight_and_takes_nothing_more(redis: Redis, queue: QueueSettings) -> None:
    gate = Gate(Outcome())
    handler = Observer(gate)
    await add(redis, queue.stream, "six")
    async with running(redis, queue, handler) as reader:
        await until(lambda: reader.in_flight == 1)
        reader.stop()
        await add(redis, queue.stream, "late")
        gate.opened.set()
        await until(lambda: reader.in_flight == 0)
    assert handler.packages == ["six"]
    other = Observer()
    async with running(redis, queue, other):
        await until(lambda: is_idle(redis, queue))
    assert [(entry.message.package, entry.attempts) for entry in other.entries] == [("late", 0)]


async def test_a_reader_that_has_stopped_leaves_the_group(redis: Redis, queue: QueueSettings) -> None:
    async with running(redis, queue, Observer()):
        pass
    for stream in (queue.stream, *(lane_of(queue, lane) for lane in Lane)):
        consumers: Any = await redis.xinfo_consumers(stream, queue.group)
        assert consumers == []


async def test_a_client_without_a_timeout_is_read_with_like_any_other(redis_url: str, queue: QueueSettings) -> None:
    handler = Observer()
    async with Redis.from_url(redis_url, socket_timeout=None) as patient:
        await add(patient, queue.stream, "six")
        async with running(patient, queue, handler):
            await until(lambda: is_idle(patient, queue))
    assert handler.packages == ["six"]
