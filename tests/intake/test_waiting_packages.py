"""Bulk messages on one package become one while nobody has taken it, and each end of a message counts for its run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from redis.asyncio import Redis

from securechain_ingest.errors import IngestError, NotFound, StoreError
from securechain_ingest.intake.entries import MARK_FIELD
from securechain_ingest.intake.groups import ensure_groups
from securechain_ingest.intake.keys import Keys
from securechain_ingest.intake.messages import Message, parse
from securechain_ingest.intake.reader import Delivery, Outcome
from securechain_ingest.intake.submission import submit
from securechain_ingest.settings import QueueSettings
from tests.intake.running import Recorder, assert_no_leak, is_idle, running, until


def change(package: str = "six", **facts: Any) -> Message:
    return replace(Message("PyPIPackage", package, refresh=True, internal=True), **facts)


async def waiting(redis: Redis, queue: QueueSettings) -> list[Message]:
    rows: Any = await redis.xrange(Keys(queue.stream).bulk)
    return [parse(fields) for _, fields in rows]


async def test_a_package_that_waits_already_is_not_added_again(redis: Redis, queue: QueueSettings) -> None:
    assert await submit(redis, queue, [change("a"), change("b")], bulk=True) == 2
    assert await submit(redis, queue, [change("b"), change("c"), change("c")], bulk=True) == 1
    assert [message.package for message in await waiting(redis, queue)] == ["a", "b", "c"]


async def test_news_of_a_waiting_package_goes_into_its_message(redis: Redis, queue: QueueSettings) -> None:
    first = change(at_least="1", run="first")
    plain = change(refresh=False)
    assert await submit(redis, queue, [first, change(at_least="2", removed=True, run="second"), plain], bulk=True) == 1
    assert await waiting(redis, queue) == [change(at_least="2", removed=True, run="first")]


async def test_the_last_state_that_a_list_had_is_kept(redis: Redis, queue: QueueSettings) -> None:
    for message in (change(), change(listed="5"), change(at_least="6"), change(listed="7"), change()):
        await submit(redis, queue, [message], bulk=True)
    assert await waiting(redis, queue) == [change(at_least="6", listed="7")]


async def test_every_version_that_was_announced_for_maven_is_kept(redis: Redis, queue: QueueSettings) -> None:
    messages = [change("g:a", node_type="MavenPackage", at_least=version) for version in ("1.0", "1.1")]
    await submit(redis, queue, messages, bulk=True)
    assert [message.at_least for message in await waiting(redis, queue)] == ["1.0 1.1"]


async def test_messages_of_others_and_edges_are_never_joined(redis: Redis, queue: QueueSettings) -> None:
    messages = [change(parent_id="4:a:1"), change(parent_id="4:a:2"), change(internal=False), change(internal=False)]
    assert await submit(redis, queue, messages, bulk=True) == 4
    assert await waiting(redis, queue) == messages


async def test_a_package_that_changes_after_it_was_taken_is_added_again(redis: Redis, queue: QueueSettings) -> None:
    keys = Keys(queue.stream)
    await ensure_groups(redis, keys, queue.group)
    await submit(redis, queue, [change()], bulk=True)
    # Another consumer has it, and dies before anything else happens.
    await redis.xreadgroup(queue.group, "other", {keys.bulk: ">"}, count=1)
    assert await submit(redis, queue, [change()], bulk=True) == 1
    assert await submit(redis, queue, [change()], bulk=True) == 0


async def test_a_package_whose_entry_an_operator_deleted_is_added_again(redis: Redis, queue: QueueSettings) -> None:
    await submit(redis, queue, [change()], bulk=True)
    await redis.delete(Keys(queue.stream).bulk)
    assert await submit(redis, queue, [change()], bulk=True) == 1
    await redis.xtrim(Keys(queue.stream).bulk, maxlen=0, approximate=False)
    assert await submit(redis, queue, [change()], bulk=True) == 1


async def test_each_end_of_a_message_counts_once_for_its_run_and_takes_its_mark_off(
    redis: Redis, queue: QueueSettings
) -> None:
    async def act(delivery: Delivery) -> Outcome:
        error: IngestError | None = None
        if delivery.message.package == "gone":
            error = NotFound("not there", url="http://localhost/")
        if delivery.message.package == "slow" and not delivery.attempts:
            error = StoreError("not now")
        if error is not None:
            raise error
        return Outcome(versions=3)

    keys = Keys(queue.stream)
    await submit(redis, queue, [change(name, run="r1") for name in ("good", "gone", "slow")], bulk=True)
    await submit(redis, queue, [change("of-nobody")], bulk=True)
    rows: Any = await redis.xrange(keys.bulk)
    assert all(MARK_FIELD.encode() in fields for _, fields in rows)
    async with running(redis, queue, Recorder(act)):
        await until(lambda: is_idle(redis, queue))
    counts: Any = await redis.hgetall(keys.run_counts)
    assert {name.decode(): int(count) for name, count in counts.items()} == {
        "r1:succeeded": 2, "r1:versions": 6, "r1:failed": 1,
    }  # fmt: skip
    assert await redis.hlen(keys.waiting) == 0
    await assert_no_leak(redis, queue)
