"""What is queued can be looked at message by message, and taken out again; what is in work is finished."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis

from securechain_ingest.errors import StoreError
from securechain_ingest.queue.entries import Entry
from securechain_ingest.queue.handling import Outcome
from securechain_ingest.queue.inspection import RETRYING, Queued, queued_messages, remove_messages
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import LANES, Lane
from securechain_ingest.queue.messages import Message
from securechain_ingest.queue.submission import enqueue
from securechain_ingest.settings import QueueSettings
from tests.queue.running import Observer, add, assert_no_leak, is_idle, lane_of, running
from tests.waiting import Gate, until


async def listed(redis: Redis, queue: QueueSettings) -> list[dict[str, Any]]:
    names = ("pypi", "npm")
    return [message.as_dict() async for message in queued_messages(redis, queue.stream, queue.group, names)]


async def remove(redis: Redis, queue: QueueSettings, *, package: str | None = None, **more: Any) -> list[str]:
    def wanted(queued: Queued) -> bool:
        return package is None or (queued.message is not None and queued.message.package == package)

    options = {"word": "cancelled", "ecosystems": ("pypi", "npm"), "lanes": LANES} | more
    removed = await remove_messages(redis, queue.stream, queue.group, wanted=wanted, **options)
    return [each.message.package for each in removed if each.message]


async def test_each_message_is_listed_with_its_lane_state_tries_and_reason(redis: Redis, queue: QueueSettings) -> None:
    gate = Gate(Outcome())

    async def act(entry: Entry) -> Outcome:
        if entry.message.package == "later":
            raise StoreError("the graph refuses")
        return await gate(entry)

    queue = queue.model_copy(update={"retry_base_s": 1e8, "retry_max_s": 1e8})
    await add(redis, queue.stream, "later")
    async with running(redis, queue, Observer(act), places=1) as reader:
        await until(lambda: redis.zcard(Keys(queue.stream).retries("pypi", Lane.ASKED)))
        await add(redis, queue.stream, "working")
        await until(lambda: reader.in_flight == 1)
        await add(redis, lane_of(queue, Lane.LISTED), "waiting")
        found = {row["package"]: row for row in await listed(redis, queue)}
        gate.opened.set()
        await until(lambda: redis.xlen(lane_of(queue, Lane.LISTED)))
        await remove(redis, queue, package="later")
    states = {name: (row["lane"], row["state"], row["tries"]) for name, row in found.items()}
    assert states == {
        "later": ("asked", "retrying", 1),
        "working": ("asked", "in work", 0),
        "waiting": ("listed", "waiting", 0),
    }
    assert found["later"]["reason"] == "the graph refuses"
    assert found["later"]["next_try_at"] is not None


async def test_more_messages_than_a_page_are_all_listed_and_all_removed(redis: Redis, queue: QueueSettings) -> None:
    await add(redis, lane_of(queue, Lane.LISTED), *(f"p-{number}" for number in range(1200)))
    assert [row["package"] for row in await listed(redis, queue)] == [f"p-{number}" for number in range(1200)]
    assert len(await remove(redis, queue)) == 1200
    assert await listed(redis, queue) == []


async def test_all_that_wait_for_another_try_are_listed_and_removed(redis: Redis, queue: QueueSettings) -> None:
    async def act(entry: Entry) -> Outcome:
        raise StoreError("the graph refuses")

    queue = queue.model_copy(update={"retry_base_s": 1e8, "retry_max_s": 1e8})
    packages = {f"p-{number}" for number in range(3)}
    await add(redis, queue.stream, *packages)
    async with running(redis, queue, Observer(act)) as reader:
        await until(lambda: redis.zcard(Keys(queue.stream).retries("pypi", Lane.ASKED)))
        await until(lambda: is_idle_but_for_retries(redis, queue))
        reader.stop()
    assert {row["package"] for row in await listed(redis, queue)} == packages
    assert set(await remove(redis, queue)) == packages
    assert await listed(redis, queue) == []


async def is_idle_but_for_retries(redis: Redis, queue: QueueSettings) -> bool:
    return await redis.xlen(queue.stream) + await redis.xlen(lane_of(queue)) == 0


async def test_what_is_in_work_is_not_removed(redis: Redis, queue: QueueSettings) -> None:
    gate = Gate(Outcome())
    await add(redis, queue.stream, "six")
    async with running(redis, queue, gate) as reader:
        await until(lambda: reader.in_flight == 1)
        assert await remove(redis, queue) == []
        gate.opened.set()


async def test_a_removed_message_counts_for_its_run_and_may_be_added_again(redis: Redis, queue: QueueSettings) -> None:
    message = Message("PyPIPackage", "six", internal=True, run="r1")
    await enqueue(redis, queue, "pypi", Lane.LISTED, [message])
    assert await remove(redis, queue, word="purged", lanes=[Lane.CHANGED]) == []
    assert await remove(redis, queue, word="purged", lanes=[Lane.LISTED]) == ["six"]
    counts: Any = await redis.hgetall(Keys(queue.stream).run_counts)
    assert counts == {b"r1:open": b"0", b"r1:purged": b"1"}
    assert (await enqueue(redis, queue, "pypi", Lane.LISTED, [message])).added == 1


async def test_a_package_waits_no_more_once_its_message_is_removed_unless_it_waits_in_another_lane(
    redis: Redis, queue: QueueSettings
) -> None:
    waiting = Keys(queue.stream).waiting("pypi")
    messages = [Message("PyPIPackage", package, internal=True) for package in ("six", "flask")]
    await enqueue(redis, queue, "pypi", Lane.LISTED, messages)
    elsewhere = await add(redis, lane_of(queue, Lane.CHANGED), "flask")
    await redis.hset(waiting, "flask", f"changed:{elsewhere[0]}")
    assert await remove(redis, queue, lanes=[Lane.LISTED]) == ["six", "flask"]
    assert await redis.hkeys(waiting) == [b"flask"]


async def test_a_package_that_waits_anew_is_found_still_once_its_earlier_message_is_removed_from_the_retries(
    redis: Redis, queue: QueueSettings
) -> None:
    async def act(entry: Entry) -> Outcome:
        raise StoreError("the graph refuses")

    queue = queue.model_copy(update={"retry_base_s": 1e8, "retry_max_s": 1e8})
    message = Message("PyPIPackage", "six", internal=True)
    await enqueue(redis, queue, "pypi", Lane.LISTED, [message])
    async with running(redis, queue, Observer(act)) as reader:
        await until(lambda: redis.zcard(Keys(queue.stream).retries("pypi", Lane.LISTED)))
        reader.stop()
    assert (await enqueue(redis, queue, "pypi", Lane.LISTED, [message])).added == 1
    removed = await remove_messages(
        redis,
        queue.stream,
        queue.group,
        wanted=lambda queued: queued.state == RETRYING,
        word="cancelled",
        ecosystems=("pypi",),
        lanes=LANES,
    )
    assert [each.state for each in removed] == [RETRYING]
    assert (await enqueue(redis, queue, "pypi", Lane.LISTED, [message])).added == 0


async def test_a_message_that_was_handed_back_can_be_removed(redis: Redis, queue: QueueSettings) -> None:
    gate = Gate(Outcome())
    await add(redis, queue.stream, "six")
    async with running(redis, queue, gate) as reader:
        await until(lambda: reader.in_flight == 1)
        reader.stop()
        await reader.release()
        assert [row["state"] for row in await listed(redis, queue)] == ["waiting"]
        assert await remove(redis, queue) == ["six"]
        gate.opened.set()
    assert await is_idle(redis, queue)
    await assert_no_leak(redis, queue)
