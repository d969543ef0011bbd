"""The daemon's messages on one package become one while nobody has taken it, and each end of a message counts for its
run.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from redis.asyncio import Redis

from securechain_ingest.errors import IngestError, NotFound, StoreError
from securechain_ingest.queue.entries import Entry
from securechain_ingest.queue.groups import ensure_groups
from securechain_ingest.queue.handling import Outcome
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.messages import Message, encode, parse
from securechain_ingest.queue.submission import Added, enqueue
from securechain_ingest.registries.maven.names import join_announcements
from securechain_ingest.settings import QueueSettings
from tests.queue.running import Observer, assert_no_leak, is_idle, lane_of, running
from tests.waiting import until


def change(package: str = "six", **facts: Any) -> Message:
    return replace(Message("PyPIPackage", package, refresh=True, internal=True), **facts)


async def add(redis: Redis, queue: QueueSettings, *messages: Message, lane: Lane = Lane.CHANGED, **more: Any) -> Added:
    return await enqueue(redis, queue, "pypi", lane, messages, **more)


async def waiting(redis: Redis, queue: QueueSettings, lane: Lane = Lane.CHANGED) -> list[Message]:
    rows: Any = await redis.xrange(lane_of(queue, lane))
    return [parse(fields) for _, fields in rows]


async def counts(redis: Redis, queue: QueueSettings) -> dict[str, int]:
    held: Any = await redis.hgetall(Keys(queue.stream).run_counts)
    return {name.decode(): int(count) for name, count in held.items()}


async def test_a_package_that_waits_already_is_not_added_again(redis: Redis, queue: QueueSettings) -> None:
    assert await add(redis, queue, change("a"), change("b")) == Added(2, 0)
    assert await add(redis, queue, change("b"), change("c"), change("c")) == Added(1, 2)
    assert [message.package for message in await waiting(redis, queue)] == ["a", "b", "c"]


async def test_a_package_waits_once_however_it_is_spelled_and_keeps_its_spelling(
    redis: Redis, queue: QueueSettings
) -> None:
    first, second = change("Zope.Interface"), change("zope_interface")
    assert await add(redis, queue, first, second) == Added(1, 1)
    assert await add(redis, queue, replace(second, at_least="2"), lane=Lane.LISTED) == Added(0, 1)
    assert await waiting(redis, queue) == [replace(first, at_least="2")]


async def test_a_message_that_another_program_has_spoilt_is_left_for_whoever_takes_it(
    redis: Redis, queue: QueueSettings
) -> None:
    await add(redis, queue, change("a"))
    stream = lane_of(queue, Lane.CHANGED)
    await redis.xtrim(stream, maxlen=0, approximate=False)
    spoilt: Any = await redis.xadd(stream, {"data": "{", "mark": "a"})
    await redis.hset(Keys(queue.stream).waiting("pypi"), "a", b"changed:" + spoilt)
    assert await add(redis, queue, change("a")) == Added(1, 0)
    rows: Any = await redis.xrange(stream)
    texts = [fields[b"data"] for _, fields in rows]
    assert texts == [b"{", encode(change("a")).encode()]
    async with running(redis, queue, handler := Observer()):
        await until(lambda: is_idle(redis, queue))
    assert [entry.data for entry in handler.entries] == texts
    await assert_no_leak(redis, queue)


async def test_news_of_a_waiting_package_goes_into_its_message(redis: Redis, queue: QueueSettings) -> None:
    first, plain = change(at_least="1", run="first"), change(refresh=False)
    assert await add(redis, queue, first, change(at_least="2", removed=True, run="second"), plain) == Added(1, 2)
    assert await waiting(redis, queue) == [change(at_least="2", removed=True, run="first")]
    assert await counts(redis, queue) == {"first:open": 1, "second:merged": 1}


@pytest.mark.parametrize("order", [(True, False), (False, True)])
async def test_a_change_makes_a_waiting_first_reading_a_whole_one(
    redis: Redis, queue: QueueSettings, order: tuple[bool, bool]
) -> None:
    for first in order:
        await add(redis, queue, change(refresh=False, first=first, at_least="1"))
    [message] = await waiting(redis, queue)
    assert not message.first
    await add(redis, queue, change("other", first=True), change("other", first=True))
    assert (await waiting(redis, queue))[1].first


async def test_the_last_state_that_a_list_had_is_kept(redis: Redis, queue: QueueSettings) -> None:
    for message in (change(), change(listed="5"), change(at_least="6"), change(listed="7"), change()):
        await add(redis, queue, message)
    assert await waiting(redis, queue) == [change(at_least="6", listed="7")]


async def test_a_run_counts_for_a_waiting_message_of_nobody(redis: Redis, queue: QueueSettings) -> None:
    await add(redis, queue, change())
    await add(redis, queue, change(run="first"))
    assert await counts(redis, queue) == {"first:open": 1}


async def test_an_ecosystem_says_how_two_announcements_become_one(redis: Redis, queue: QueueSettings) -> None:
    messages = [change(at_least=version) for version in ("1.0", "1.1", "1.0")]
    await add(redis, queue, *messages, announcements=join_announcements)
    assert [message.at_least for message in await waiting(redis, queue)] == ["1.0 1.1"]


async def test_a_package_that_waits_in_a_more_urgent_lane_is_merged_there(redis: Redis, queue: QueueSettings) -> None:
    await add(redis, queue, change(run="first"), lane=Lane.CHANGED)
    assert await add(redis, queue, change(at_least="2"), lane=Lane.LISTED) == Added(0, 1)
    assert await waiting(redis, queue, Lane.LISTED) == []
    assert await waiting(redis, queue) == [change(at_least="2", run="first")]


async def test_a_package_that_waits_in_a_less_urgent_lane_moves_up_with_its_run_and_announcements(
    redis: Redis, queue: QueueSettings
) -> None:
    await add(redis, queue, change(refresh=False, at_least="1", run="load"), lane=Lane.LISTED)
    assert await add(redis, queue, change(refresh=False, run="later"), lane=Lane.CHANGED) == Added(0, 1)
    assert await waiting(redis, queue, Lane.LISTED) == []
    assert await waiting(redis, queue) == [change(refresh=False, at_least="1", run="load")]
    assert await counts(redis, queue) == {"load:open": 1, "later:merged": 1}


async def test_a_package_moves_up_even_if_nothing_new_is_said_of_it(redis: Redis, queue: QueueSettings) -> None:
    await add(redis, queue, change(), lane=Lane.LISTED)
    await add(redis, queue, change(), lane=Lane.CHANGED)
    assert (await waiting(redis, queue, Lane.LISTED), await waiting(redis, queue)) == ([], [change()])


async def test_a_full_lane_still_takes_news_of_what_waits_there(redis: Redis, queue: QueueSettings) -> None:
    queue = queue.model_copy(update={"lane_max_length": 100})
    await add(redis, queue, *(change(f"p-{number}") for number in range(100)))
    assert await add(redis, queue, change("p-7", at_least="2")) == Added(0, 1)
    assert len(await waiting(redis, queue)) == 100


async def test_messages_of_others_and_edges_are_never_joined(redis: Redis, queue: QueueSettings) -> None:
    messages = [change(parent_id="4:a:1"), change(parent_id="4:a:2"), change(internal=False), change(internal=False)]
    assert await add(redis, queue, *messages) == Added(4, 0)
    assert await waiting(redis, queue) == messages


async def test_a_package_that_changes_after_it_was_taken_is_added_again(redis: Redis, queue: QueueSettings) -> None:
    taken = Observer()
    await add(redis, queue, change())
    async with running(redis, queue, taken):
        await until(lambda: is_idle(redis, queue))
    assert await add(redis, queue, change()) == Added(1, 0)
    assert await add(redis, queue, change()) == Added(0, 1)


@pytest.mark.parametrize("vanish", ["stream", "entries"])
async def test_a_package_whose_entry_an_operator_deleted_is_added_again(
    redis: Redis, queue: QueueSettings, vanish: str
) -> None:
    await ensure_groups(redis, [lane_of(queue, Lane.CHANGED)], queue.group)
    await add(redis, queue, change())
    if vanish == "stream":
        await redis.delete(lane_of(queue, Lane.CHANGED))
    else:
        await redis.xtrim(lane_of(queue, Lane.CHANGED), maxlen=0, approximate=False)
    assert await add(redis, queue, change()) == Added(1, 0)


async def test_each_end_of_a_message_counts_once_for_its_run_and_takes_its_mark_off(
    redis: Redis, queue: QueueSettings
) -> None:
    async def act(entry: Entry) -> Outcome:
        error: IngestError | None = None
        if entry.message.package == "gone":
            error = NotFound("not there", url="http://localhost/")
        if entry.message.package == "slow" and not entry.attempts:
            error = StoreError("not now")
        if error is not None:
            raise error
        return Outcome(versions=3)

    await add(redis, queue, *(change(name, run="r1") for name in ("good", "gone", "slow")))
    await add(redis, queue, change("of-nobody"))
    assert await counts(redis, queue) == {"r1:open": 3}
    async with running(redis, queue, Observer(act)):
        await until(lambda: is_idle(redis, queue))
    assert await counts(redis, queue) == {"r1:succeeded": 2, "r1:versions": 6, "r1:failed": 1, "r1:open": 0}
    await assert_no_leak(redis, queue)
