"""This tests listing, showing, replaying and dropping dead letters; and the state of the queue at a glance."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
import redis as blocking
from redis.asyncio import Redis
from typer.testing import CliRunner, Result

from securechain_ingest.cli import app
from securechain_ingest.errors import NotFound, RateLimited, StoreFull
from securechain_ingest.queue.dead_letters import (
    drop_dead_letters,
    list_dead_letters,
    replay_dead_letters,
    show_dead_letter,
)
from securechain_ingest.queue.entries import Entry
from securechain_ingest.queue.handling import Outcome
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.statistics import LaneStatus, queue_status
from securechain_ingest.settings import QueueSettings
from tests.queue.running import ECOSYSTEMS, Observer, add, data, lane_of, running
from tests.waiting import PATIENCE_S, Gate, until

replay = partial(replay_dead_letters, ecosystems={each.label: each.name for each in ECOSYSTEMS})


@pytest.fixture
async def ids(redis: Redis, queue: QueueSettings) -> list[str]:
    """Return the ids of four dead letters: bad_json, not_found, bad_json, and one of another program with error and
    data only.
    """
    stream = Keys(queue.stream).dead_letters
    added: list[Any] = [
        await redis.xadd(stream, {"data": b"\xff{", "error": "no JSON", "kind": "bad_json", "attempts": "1"}),
        await redis.xadd(stream, {"data": "b", "error": "gone", "kind": "not_found", "attempts": "2"}),
        await redis.xadd(stream, {"data": "c", "error": "no JSON", "kind": "bad_json", "attempts": "1"}),
        await redis.xadd(stream, {"error": "foreign", "data": "d"}),
    ]
    return [entry_id.decode() for entry_id in added]


async def listed(redis: Redis, queue: QueueSettings) -> list[str]:
    return [letter.entry_id for letter in await list_dead_letters(redis, queue, limit=100)]


async def test_dead_letters_are_listed_by_page_and_by_kind(redis: Redis, queue: QueueSettings, ids: list[str]) -> None:
    assert await listed(redis, queue) == ids
    page = await list_dead_letters(redis, queue, limit=2, after=ids[0])
    assert [letter.entry_id for letter in page] == ids[1:3]
    chosen = await list_dead_letters(redis, queue, limit=100, kind="bad_json")
    assert [letter.entry_id for letter in chosen] == [ids[0], ids[2]]


@pytest.mark.parametrize("attempts", ["9" * 5000, "²", "-1", ""])
async def test_a_dead_letter_whose_attempts_are_no_number_is_listed(
    redis: Redis, queue: QueueSettings, attempts: str
) -> None:
    await redis.xadd(Keys(queue.stream).dead_letters, {"data": "d", "error": "foreign", "attempts": attempts})
    assert [letter.attempts for letter in await list_dead_letters(redis, queue, limit=1)] == [0]


async def test_a_dead_letter_is_shown_whole(redis: Redis, queue: QueueSettings, ids: list[str]) -> None:
    letter = await show_dead_letter(redis, queue, ids[1])
    assert letter is not None
    assert (letter.data, letter.error, letter.kind, letter.attempts) == ("b", "gone", "not_found", 2)


async def test_a_dead_letter_of_another_program_is_shown_with_what_it_has(
    redis: Redis, queue: QueueSettings, ids: list[str]
) -> None:
    letter = await show_dead_letter(redis, queue, ids[3])
    assert letter is not None
    assert (letter.data, letter.kind, letter.attempts) == ("d", "unknown", 0)


@pytest.mark.parametrize("entry_id", ["1-1", "nonsense", "-", "+"])
async def test_an_id_that_is_no_dead_letter_finds_none(
    redis: Redis, queue: QueueSettings, ids: list[str], entry_id: str
) -> None:
    assert await show_dead_letter(redis, queue, entry_id) is None
    assert await replay(redis, queue, ids=[entry_id]) == 0
    assert await listed(redis, queue) == ids


async def test_a_replayed_message_is_on_the_stream_byte_for_byte_and_no_dead_letter_any_more(
    redis: Redis, queue: QueueSettings, ids: list[str]
) -> None:
    assert await replay(redis, queue, ids=ids[:1]) == 1
    rows: Any = await redis.xrange(queue.stream)
    assert [fields for _, fields in rows] == [{b"data": b"\xff{"}]
    assert await listed(redis, queue) == ids[1:]


async def test_a_replay_returns_to_the_lane_that_the_message_came_from(redis: Redis, queue: QueueSettings) -> None:
    async def act(entry: Entry) -> Outcome:
        raise NotFound("not there", url="http://localhost/")

    await add(redis, lane_of(queue, Lane.LISTED), "six")
    async with running(redis, queue, Observer(act)):
        await until(lambda: redis.xlen(Keys(queue.stream).dead_letters))
    assert await replay(redis, queue) == 1
    assert await redis.xlen(lane_of(queue, Lane.LISTED)) == 1
    handler = Observer()
    async with running(redis, queue, handler):
        await until(lambda: handler.entries)
    assert [(entry.lane, entry.attempts) for entry in handler.entries] == [(Lane.LISTED, 0)]


async def test_a_replay_fills_no_lane_beyond_its_bound(redis: Redis, queue: QueueSettings) -> None:
    queue = queue.model_copy(update={"lane_max_length": 3})
    for number in range(4):
        for lane in (Lane.LISTED, Lane.ASKED):
            fields: Any = {"data": data(f"{lane}-{number}"), "error": "gone", "kind": "not_found", "lane": lane}
            await redis.xadd(Keys(queue.stream).dead_letters, fields)
    await redis.zadd(Keys(queue.stream).retries("pypi", Lane.LISTED), {"waits for another attempt": 0})
    with pytest.raises(StoreFull, match=f"6 replayed; no room is left in {lane_of(queue, Lane.LISTED)}"):
        await replay(redis, queue)
    assert [await redis.xlen(lane_of(queue, lane)) for lane in (Lane.LISTED, Lane.ASKED)] == [2, 4]
    assert await redis.xlen(Keys(queue.stream).dead_letters) == 2
    await redis.delete(lane_of(queue, Lane.LISTED))
    assert await replay(redis, queue) == 2


async def test_dead_letters_are_replayed_by_kind_or_all(redis: Redis, queue: QueueSettings, ids: list[str]) -> None:
    assert await replay(redis, queue, kind="bad_json") == 2
    assert await listed(redis, queue) == [ids[1], ids[3]]
    assert await replay(redis, queue) == 2
    rows: Any = await redis.xrange(queue.stream)
    assert [fields[b"data"] for _, fields in rows] == [b"\xff{", b"c", b"b", b"d"]


async def test_dead_letters_are_dropped_by_id_by_kind_or_all(
    redis: Redis, queue: QueueSettings, ids: list[str]
) -> None:
    assert await drop_dead_letters(redis, queue, ids=[ids[3], "1-1"]) == 1
    assert await drop_dead_letters(redis, queue, kind="bad_json") == 2
    assert await listed(redis, queue) == [ids[1]]
    assert await drop_dead_letters(redis, queue) == 1
    assert await redis.xlen(queue.stream) == 0


async def test_more_dead_letters_than_a_page_are_all_replayed(redis: Redis, queue: QueueSettings) -> None:
    async with redis.pipeline(transaction=False) as pipeline:
        for number in range(1100):
            pipeline.xadd(Keys(queue.stream).dead_letters, {"data": str(number), "error": "x"})
        await pipeline.execute()
    assert await replay(redis, queue) == 1100
    rows: Any = await redis.xrange(queue.stream)
    assert [int(fields[b"data"]) for _, fields in rows] == list(range(1100))


async def test_the_status_of_a_queue_that_was_never_used_is_empty(redis: Redis, queue: QueueSettings) -> None:
    status = await queue_status(redis, queue, ["pypi"])
    assert (status.submissions, status.dead_letters, status.consumers) == (LaneStatus(0, 0), 0, ())
    assert all(lane == LaneStatus(0, 0) for lane in status.lanes["pypi"].values())
    assert set(status.counters.values()) == {0}


async def test_the_status_tells_the_age_of_a_lanes_oldest_message(redis: Redis, queue: QueueSettings) -> None:
    seconds, _ = await redis.time()
    await redis.xadd(lane_of(queue, Lane.LISTED), {"data": "old"}, id=f"{(seconds - 100) * 1000}-0")
    await add(redis, lane_of(queue, Lane.LISTED), "new")
    status = await queue_status(redis, queue, ["pypi"])
    assert 100 <= status.lanes["pypi"]["listed"].oldest_s < 100 + PATIENCE_S
    assert status.lanes["pypi"]["asked"].oldest_s == 0


async def test_the_status_tells_what_is_queued_in_hand_postponed_and_put_aside(
    redis: Redis, queue: QueueSettings
) -> None:
    gate = Gate(Outcome())

    async def act(entry: Entry) -> Outcome:
        if entry.message.package == "later":
            raise RateLimited("later", url="http://localhost/", delay_s=600)
        return await gate(entry)

    await redis.xadd(queue.stream, {"data": "not JSON"})
    await add(redis, queue.stream, "later")
    async with running(redis, queue, Observer(act), places=2) as reader:
        await until(lambda: redis.xlen(Keys(queue.stream).dead_letters))
        await until(lambda: redis.zcard(Keys(queue.stream).retries("pypi", Lane.ASKED)))
        await add(redis, queue.stream, "a", "b", "c")
        await until(lambda: reader.in_flight == 2)

        async def are_forwarded() -> bool:
            return await redis.xlen(lane_of(queue)) == 3

        await until(are_forwarded)
        status = await queue_status(redis, queue, ["pypi"])
        gate.opened.set()
    asked = status.lanes["pypi"]["asked"]
    assert (asked.waiting, asked.pending, asked.retrying, status.dead_letters) == (1, 2, 1, 1)
    assert status.next_retry_at is not None
    assert [(consumer.name, consumer.pending) for consumer in status.consumers] == [(reader.consumer, 2)]
    assert status.counters["validation_errors"] == status.counters["total_processed"] == 1
    plain = json.loads(json.dumps(status.as_dict()))
    assert (plain["waiting"], plain["in_flight"], plain["retrying"]) == (1, 2, 1)


@pytest.mark.parametrize("command", ["list", "replay", "drop"])
def test_a_kind_that_does_not_exist_is_refused_and_one_without_letters_is_not(redis_url: str, command: str) -> None:
    def asked(kind: str) -> Result:
        return CliRunner().invoke(app, ["dead-letters", command, "--kind", kind], env={"REDIS_URL": redis_url})

    with blocking.Redis.from_url(redis_url) as client:
        client.xadd(Keys(QueueSettings().stream).dead_letters, {"data": "d", "error": "e", "kind": "anothers"})
    assert asked("not_found").exit_code == 0
    refused = asked("not-found")
    assert refused.exit_code == 2
    assert "archive_refused" in refused.output
    assert asked("anothers").exit_code == 0
