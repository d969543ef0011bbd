"""What daemons have done lately is kept in Redis, small, for the page's plots."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from securechain_ingest.metrics import MESSAGES, REQUESTS
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.web.activity import HOURS, MINUTES, ActivityMeter, activity_of

STREAM = "tests-of-activity"


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


async def test_what_is_done_is_shown_by_the_minute_and_by_the_hour(redis: Redis) -> None:
    meter = ActivityMeter(redis, STREAM)
    for status in ("200", "200", "429", "503", "error"):
        REQUESTS.labels("npm_registry", status).inc()
    MESSAGES.labels("npm", str(Lane.LISTED), "done").inc(3)
    MESSAGES.labels("npm", str(Lane.LISTED), "failed").inc()
    await meter.write()
    found = (await activity_of(redis, STREAM))["npm"]
    assert (len(found.minutes), len(found.hours)) == (MINUTES, HOURS)
    for slots in (found.minutes, found.hours):
        # The minute may have passed meanwhile.
        slot = max(slots[-2:], key=lambda each: each.requests)
        assert (slot.requests, slot.limited, slot.failed, slot.packages) == (5, 1, 2, 3)


async def test_several_daemons_add_to_one_another_and_nothing_counts_twice(redis: Redis) -> None:
    meters = [ActivityMeter(redis, STREAM) for _ in range(2)]
    REQUESTS.labels("npm_registry", "200").inc()
    for meter in meters * 2:
        await meter.write()
    found = (await activity_of(redis, STREAM))["npm"]
    assert sum(slot.requests for slot in found.minutes) == 2


async def test_a_daemon_that_does_nothing_asks_redis_for_nothing(redis: Redis) -> None:
    meter = ActivityMeter(redis, STREAM)
    before: Any = await redis.info("commandstats")
    await meter.write()
    after: Any = await redis.info("commandstats")
    assert {name: each["calls"] for name, each in after.items() if "eval" in name} == {
        name: each["calls"] for name, each in before.items() if "eval" in name
    }


async def test_a_full_installation_takes_less_than_a_megabyte_and_expires(redis: Redis) -> None:
    keys = Keys(STREAM)
    words = ("requests", "limited", "failed", "packages")
    sources = list(await activity_of(redis, STREAM))
    fields = {f"{source}:{word}": 1_234_567 for source in sources for word in words}
    names = [keys.activity("minute", number) for number in range(MINUTES + 5)]
    names += [keys.activity("hour", number) for number in range(HOURS + 1)]
    for name in names:
        await redis.hset(name, mapping=fields)  # type: ignore[arg-type]
    assert sum([await redis.memory_usage(name) or 0 for name in names]) < 1_000_000
    await redis.delete(*names)
    meter = ActivityMeter(redis, STREAM)
    REQUESTS.labels("npm_registry", "200").inc()
    await meter.write()
    made = [name async for name in redis.scan_iter(f"{STREAM}-activity:*")]
    assert len(made) == 2
    assert all([0 < await redis.ttl(name) <= 8 * 86_400 for name in made])
