"""The reader outlives an outage of Redis and settles afterwards what it finished meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from structlog.testing import capture_logs

from securechain_ingest.drivers.redis_connection import connect
from securechain_ingest.errors import ConfigError, StoreAway
from securechain_ingest.queue import reader
from securechain_ingest.queue.backoff import Outage
from securechain_ingest.queue.entries import Entry
from securechain_ingest.queue.handling import Outcome
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.settings import QueueSettings
from tests.queue.cut_connection import Proxy
from tests.queue.running import Observer, add, assert_no_leak, dead_letters, is_idle, lane_of, make_reader, running
from tests.waiting import Gate, until


@pytest.mark.parametrize("places", [8, 1])
async def test_a_message_that_is_finished_while_redis_is_away_is_acknowledged_when_it_is_back(
    redis: Redis, queue: QueueSettings, redis_url: str, places: int
) -> None:
    gate = Gate(Outcome())
    handler = Observer(gate)
    await add(redis, queue.stream, "six")
    with capture_logs() as logs:
        async with (
            Proxy(redis_url).listening() as proxy,
            connect(proxy.url, 10.0) as cut_off,
            running(cut_off, queue, handler, places=places) as reader,
        ):
            await until(lambda: reader.in_flight == 1)
            proxy.cut()
            gate.opened.set()
            await until(lambda: any(line["event"] == "store_unavailable" for line in logs))
            await add(redis, queue.stream, "later")
            proxy.mend()
            await until(lambda: is_idle(redis, queue))
    assert handler.packages == ["six", "later"]
    events = [line["event"] for line in logs if line.get("store") == "redis"]
    assert events == ["store_unavailable", "store_available"]
    await assert_no_leak(redis, queue)


async def test_stopping_does_not_wait_for_the_end_of_an_outage(
    redis: Redis, queue: QueueSettings, redis_url: str
) -> None:
    with capture_logs() as logs:
        async with (
            Proxy(redis_url).listening() as proxy,
            connect(proxy.url, 10.0) as cut_off,
            running(cut_off, queue, Observer()),
        ):
            proxy.cut()
            await until(lambda: any(line["event"] == "store_unavailable" for line in logs))
    assert await redis.xlen(queue.stream) == 0


async def test_the_lease_keeper_goes_on_after_an_outage(redis: Redis, queue: QueueSettings, redis_url: str) -> None:
    queue = queue.model_copy(update={"lease_s": 0.15})
    gate = Gate(Outcome())
    await add(redis, queue.stream, "six")

    async def idle_ms() -> int:
        rows: Any = await redis.xpending_range(lane_of(queue), queue.group, "-", "+", 1)
        return int(rows[0]["time_since_delivered"])

    async def has_tried_often() -> bool:
        return await idle_ms() > 400

    async def is_idle_for_less_than(limit_ms: int) -> bool:
        return await idle_ms() < limit_ms

    with capture_logs() as logs:
        async with (
            Proxy(redis_url).listening() as proxy,
            connect(proxy.url, 10.0) as cut_off,
            running(cut_off, queue, gate) as reader,
        ):
            await until(lambda: reader.in_flight == 1)
            proxy.cut()
            await until(lambda: any(line["event"] == "leases_not_renewed" for line in logs))
            await until(has_tried_often)
            idle_at_least_ms = await idle_ms()
            proxy.mend()
            await until(lambda: is_idle_for_less_than(idle_at_least_ms))
            gate.opened.set()
    assert [line["event"] for line in logs].count("leases_not_renewed") == 1, "an outage is told once"
    await assert_no_leak(redis, queue)


async def test_an_outage_of_another_store_is_no_failed_attempt(redis: Redis, queue: QueueSettings) -> None:
    queue = queue.model_copy(update={"max_deliveries": 1})
    entries: list[Entry] = []

    async def handler(entry: Entry) -> Outcome:
        entries.append(entry)
        if len(entries) < 4:
            raise StoreAway("the graph cannot be reached")
        return Outcome()

    await add(redis, queue.stream, "six")
    with capture_logs() as logs:
        async with running(redis, queue, handler):
            await until(lambda: is_idle(redis, queue))
    assert [entry.attempts for entry in entries] == [0, 0, 0, 0]
    assert [entry.redelivered for entry in entries] == [False, True, True, True]
    events = [line["event"] for line in logs if line.get("store") == "graph or advisories"]
    assert events == ["store_unavailable", "store_available"]
    assert await dead_letters(redis, queue) == []
    await assert_no_leak(redis, queue)


async def test_an_outage_that_does_not_end_counts_as_a_failed_attempt_after_its_time(
    redis: Redis, queue: QueueSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.monotonic()
    monkeypatch.setattr(reader, "time", SimpleNamespace(monotonic=lambda: now))
    entries: list[Entry] = []

    async def handler(entry: Entry) -> Outcome:
        nonlocal now
        entries.append(entry)
        if entry.attempts == 0:
            now += 1200
            raise StoreAway("the graph cannot be reached")
        return Outcome()

    await add(redis, queue.stream, "six")
    async with running(redis, queue, handler):
        await until(lambda: is_idle(redis, queue))
    assert [entry.attempts for entry in entries] == [0, 0, 0, 0, 1], "an hour and no longer"
    assert await dead_letters(redis, queue) == []


async def test_stopping_does_not_wait_for_a_store_that_is_away(redis: Redis, queue: QueueSettings) -> None:
    async def handler(entry: Entry) -> Outcome:
        raise StoreAway("the graph cannot be reached")

    await add(redis, queue.stream, "six")
    async with running(redis, queue, handler) as reader:
        await until(lambda: reader.in_flight == 1)
    assert await redis.zcard(Keys(queue.stream).retries("pypi", Lane.ASKED)) == 1


async def test_refused_credentials_are_no_fault_of_the_message(redis: Redis, queue: QueueSettings) -> None:
    recorder = Observer()

    async def handler(entry: Entry) -> Outcome:
        await recorder(entry)
        if len(recorder.entries) == 1:
            raise ConfigError("the graph refused the password")
        return Outcome()

    await add(redis, queue.stream, "six")
    async with running(redis, queue, handler):
        await until(lambda: is_idle(redis, queue))
    assert recorder.packages == ["six", "six"]
    assert await dead_letters(redis, queue) == []


def test_only_what_was_asked_after_the_last_news_of_a_store_is_news_of_it() -> None:
    before = time.monotonic() - 1
    outage = Outage("redis")
    with capture_logs() as logs:
        outage.failed(OSError("cut"))
        outage.answered(asked_at=before)
        outage.failed(OSError("still cut"))
        assert [line["event"] for line in logs] == ["store_unavailable"], "an old answer does not say that it is back"
        outage.answered(asked_at=time.monotonic())
        outage.failed(OSError("cut"), asked_at=before)
    assert [line["event"] for line in logs] == ["store_unavailable", "store_available"], "nor an old failure that not"


@dataclass
class NoWaits:
    """These are waits that take no time; whoever waits says for which failure in a row."""

    failures: list[int] = field(default_factory=list)

    def after(self, failures: int) -> float:
        self.failures.append(failures)
        return 0.0


async def test_each_failure_in_a_row_is_followed_by_a_longer_wait_until_redis_answers(
    redis: Redis, queue: QueueSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = NoWaits()
    monkeypatch.setattr("securechain_ingest.queue.reader.AWAY", clock)
    tried = make_reader(redis, queue, Observer())
    away, refused = RedisConnectionError("away"), ResponseError("OOM")
    answers: Iterator[RedisError | None] = iter([away, refused, away, None, away, away])

    async def step() -> bool:
        answer = next(answers, None)
        if answer is not None:
            raise answer
        if len(clock.failures) == 5:
            tried.stop()
        return True

    await tried._again_and_again("forwarder", step, reader.no_rest)
    assert clock.failures == [1, 2, 3, 1, 2]


async def test_a_message_waits_longer_from_time_to_time_while_the_graph_is_away(
    redis: Redis, queue: QueueSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = NoWaits()
    monkeypatch.setattr("securechain_ingest.queue.reader.AWAY", clock)

    async def act(_: Entry) -> Outcome:
        if len(clock.failures) < 4:
            raise StoreAway("the graph is away")
        return Outcome()

    async with running(redis, queue, Observer(act)):
        await add(redis, queue.stream, "six")
        await until(lambda: is_idle(redis, queue))
        await until(lambda: len(clock.failures) == 4)
    assert clock.failures == [1, 2, 3, 4]
