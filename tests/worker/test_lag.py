"""The lag from publication to the graph is noted of new versions alone, and kept for whoever asks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from securechain_ingest.model import KnownPackage, Package
from securechain_ingest.queue.keys import Keys
from securechain_ingest.worker.lag import KEPT, Lag, LagMeter, lags_of
from tests.graph.builders import pypi, version

STREAM = "package-extraction"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def meter(redis: Redis) -> LagMeter:
    return LagMeter(redis, STREAM, {"pypi": 2})


def package(name: str = "six", **released: timedelta | None) -> Package:
    """Return a package with versions by name, published so long before NOW."""
    ref = pypi(name)
    versions = [
        replace(version(ref, number), release_date=(NOW - age).isoformat() if age is not None else None)
        for number, age in released.items()
    ]
    return Package(ref, None, None, tuple(versions), (), None)


def known(*versions: str) -> KnownPackage:
    return KnownPackage("pkg:pypi/six", "six", frozenset(versions), NOW, None)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


async def test_new_versions_of_known_packages_are_measured(redis: Redis, meter: LagMeter) -> None:
    meter.note(package(a=seconds(9_999), b=seconds(100)), known("a"), NOW)
    meter.note(package(c=seconds(300), d=None), known("a"), NOW)
    await meter.write()
    assert await lags_of(redis, STREAM, ["pypi", "npm"]) == {"pypi": Lag(2, 200.0, 280.0, "2026-03-01T12:00:00Z")}


async def test_one_new_version_is_its_own_median_and_its_own_most(redis: Redis, meter: LagMeter) -> None:
    meter.note(package(b=seconds(7)), known("a"), NOW)
    await meter.write()
    assert await lags_of(redis, STREAM, ["pypi"]) == {"pypi": Lag(1, 7.0, 7.0, "2026-03-01T12:00:00Z")}


async def test_figures_have_tenths_of_a_second_and_the_time_of_the_latest_version(
    redis: Redis, meter: LagMeter
) -> None:
    meter.note(package(b=seconds(1)), known("a"), NOW - seconds(600))
    meter.note(package(b=seconds(10)), known("a"), NOW)
    await meter.write()
    # The first was noted ten minutes earlier, when its version was not out yet.
    assert await lags_of(redis, STREAM, ["pypi"]) == {"pypi": Lag(2, 5.0, 9.0, "2026-03-01T12:00:00Z")}
    meter.note(package(c=seconds(3)), known("a"), NOW + seconds(60))
    meter.note(package(c=seconds(6)), known("a"), NOW + seconds(120))
    await meter.write()
    assert (await lags_of(redis, STREAM, ["pypi"]))["pypi"] == Lag(4, 36.5, 107.1, "2026-03-01T12:02:00Z")


async def test_a_first_reading_says_nothing_of_the_lag(redis: Redis, meter: LagMeter) -> None:
    meter.note(package(a=seconds(5)), None, NOW)
    meter.note(package(a=seconds(5)), known(), NOW)
    await meter.write()
    assert await lags_of(redis, STREAM, ["pypi"]) == {}


async def test_a_date_without_a_time_of_day_is_too_rough(redis: Redis, meter: LagMeter) -> None:
    dated = package(b=seconds(5))
    dated = replace(dated, versions=tuple(replace(each, release_date="2026-03-01") for each in dated.versions))
    meter.note(dated, known("a"), NOW)
    await meter.write()
    assert await lags_of(redis, STREAM, ["pypi"]) == {}


async def test_the_latest_lags_are_kept_and_nothing_is_written_twice(redis: Redis, meter: LagMeter) -> None:
    for number in range(KEPT + 5):
        meter.note(package(b=seconds(number)), known("a"), NOW)
    await meter.write()
    await meter.write()
    found = (await lags_of(redis, STREAM, ["pypi"]))["pypi"]
    assert found.versions == KEPT
    assert await redis.llen(Keys(STREAM).lags("pypi")) == KEPT
    meter.note(package(b=seconds(1)), known("a"), NOW)
    await meter.write()
    assert await redis.llen(Keys(STREAM).lags("pypi")) == KEPT


async def test_more_lags_than_are_kept_do_not_count(redis: Redis) -> None:
    """A release that keeps more may have written to the same Redis."""
    await redis.rpush(Keys(STREAM).lags("pypi"), *["1772366400 5"] * (KEPT + 5))
    assert (await lags_of(redis, STREAM, ["pypi"]))["pypi"].versions == KEPT


async def test_the_packages_that_were_active_last_are_kept_where_they_are_watched(
    redis: Redis, meter: LagMeter
) -> None:
    for name, age_s in (("old", 900), ("new", 10), ("middle", 100)):
        meter.note(package(name, a=seconds(age_s)), None, NOW)
    await meter.write()
    assert await redis.zrevrange(Keys(STREAM).active("pypi"), 0, -1) == [b"new", b"middle"]


async def test_an_active_package_is_written_once_and_again_when_it_is_active_again(
    redis: Redis, meter: LagMeter
) -> None:
    active = Keys(STREAM).active("pypi")
    meter.note(package("six", a=seconds(100)), None, NOW)
    await meter.write()
    await redis.delete(active)
    await meter.write()
    assert not await redis.exists(active)
    meter.note(package("six", b=seconds(10)), None, NOW)
    await meter.write()
    assert await redis.zrevrange(active, 0, -1) == [b"six"]
