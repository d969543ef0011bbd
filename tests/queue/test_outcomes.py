"""Whoever waits for a submission hears how each of its packages ends, and leaves nothing behind."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest
from redis.asyncio import Redis

from securechain_ingest.errors import NotFound, NothingKept
from securechain_ingest.queue import outcomes as outcomes_module
from securechain_ingest.queue.entries import Entry
from securechain_ingest.queue.handling import Outcome
from securechain_ingest.queue.inspection import remove_messages
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import LANES
from securechain_ingest.queue.messages import Message
from securechain_ingest.queue.outcomes import Outcomes, PackageOutcome
from securechain_ingest.queue.submission import submit
from securechain_ingest.settings import QueueSettings
from tests.queue.running import Observer, running
from tests.waiting import PATIENCE_S, until

RUN = "submission-1"


def asked(*packages: str) -> list[Message]:
    return [replace(Message("PyPIPackage", package), run=RUN) for package in packages]


async def act(entry: Entry) -> Outcome:
    if entry.message.package == "gone":
        raise NotFound("not there", url="http://localhost/")
    return Outcome()


async def test_each_package_is_told_as_it_ends(redis: Redis, queue: QueueSettings) -> None:
    async def link(entries: object) -> list[Outcome | None]:
        assert isinstance(entries, list)
        return [Outcome() if each.message.package == "known" else None for each in entries]

    async with Outcomes(redis, queue.stream, RUN, wait=True) as outcomes:
        await submit(redis, queue, asked("known", "new", "gone"))
        async with running(redis, queue, Observer(act), link=link):
            found = [outcome async for outcome in outcomes.follow(3)]
    assert sorted(found, key=lambda outcome: outcome.package) == [
        PackageOutcome("PyPIPackage", "gone", "not_found", "not there"),
        PackageOutcome("PyPIPackage", "known", "", ""),
        PackageOutcome("PyPIPackage", "new", "", ""),
    ]
    assert not await redis.exists(Keys(queue.stream).outcomes(RUN))


async def test_a_message_that_is_cancelled_is_told_too(redis: Redis, queue: QueueSettings) -> None:
    never = Observer()
    await redis.hset(Keys(queue.stream).pauses, "pypi", "now")
    async with Outcomes(redis, queue.stream, RUN, wait=True) as outcomes:
        await submit(redis, queue, asked("six"))
        async with running(redis, queue, never):
            await until(lambda: redis.xlen(Keys(queue.stream).lanes("pypi")[0]))
            options = {"word": "cancelled", "ecosystems": ["pypi"], "lanes": LANES}
            await remove_messages(redis, queue.stream, queue.group, **options)  # type: ignore[arg-type]
            with anyio.fail_after(PATIENCE_S):
                [outcome] = [outcome async for outcome in outcomes.follow(1)]
    assert (outcome.kind, outcome.package, never.packages) == ("cancelled", "six", [])


async def test_what_a_killed_reader_leaves_is_gone_after_a_day(redis: Redis, queue: QueueSettings) -> None:
    async with Outcomes(redis, queue.stream, RUN, wait=True):
        assert 86_000 < await redis.ttl(Keys(queue.stream).outcomes(RUN)) <= 86_400


async def test_they_are_kept_for_as_long_as_somebody_waits(redis: Redis, queue: QueueSettings) -> None:
    """A load or a pause may take longer than a day."""
    key = Keys(queue.stream).outcomes(RUN)
    async with Outcomes(redis, queue.stream, RUN, wait=True) as outcomes:
        await redis.expire(key, 1000)
        await submit(redis, queue, asked("new"))
        async with running(redis, queue, Observer(act)):
            assert [outcome.package async for outcome in outcomes.follow(1)] == ["new"]
        assert await redis.ttl(key) > 80_000


async def test_they_are_kept_for_as_long_as_a_submission_waits_for_room(
    redis: Redis, queue: QueueSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcomes_module, "_RENEWED_S", 0.001)
    key = Keys(queue.stream).outcomes(RUN)
    outcomes = Outcomes(redis, queue.stream, RUN, wait=True)

    async def are_renewed() -> bool:
        return bool(await redis.ttl(key) > 3_600)

    async with outcomes, outcomes.renewed():
        await redis.expire(key, 3_600)
        await until(are_renewed)
    assert not await redis.exists(key)


async def test_who_waits_is_told_when_redis_has_lost_them(
    redis: Redis, queue: QueueSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("securechain_ingest.queue.outcomes._RENEWED_S", 0.0)
    async with Outcomes(redis, queue.stream, RUN, wait=True) as outcomes:
        await redis.flushdb()
        with pytest.raises(NothingKept, match="is not kept any more"), anyio.fail_after(PATIENCE_S):
            _ = [outcome async for outcome in outcomes.follow(1)]


async def test_without_anybody_who_waits_nothing_is_kept(redis: Redis, queue: QueueSettings) -> None:
    async with Outcomes(redis, queue.stream, RUN, wait=False) as outcomes:
        await submit(redis, queue, asked("new"))
        assert [outcome async for outcome in outcomes.follow(1)] == []
    async with running(redis, queue, Observer(act)) as reader:
        await until(lambda: reader.settled_at)
    assert not await redis.exists(Keys(queue.stream).outcomes(RUN))
