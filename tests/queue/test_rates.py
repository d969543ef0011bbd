"""All daemons of an installation together keep the rate of an endpoint, and a refusal slows down all of them."""

from __future__ import annotations

import math
import time
from typing import Any

import anyio
import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from securechain_ingest.http.pace import Pace
from securechain_ingest.queue import rates
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.rates import EndpointTurns
from securechain_ingest.queue.script import NOW_MS
from tests.waiting import Clock

STREAM = "package-extraction"


@pytest.fixture
def redis_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time passes in Redis, however long the test takes."""
    still = f"\nlocal function now_ms() return {time.time_ns() // 1_000_000} end\n"
    assert NOW_MS in rates._NEXT_BLOCK._text
    monkeypatch.setattr(rates._NEXT_BLOCK, "_text", rates._NEXT_BLOCK._text.replace(NOW_MS, still))
    # It is loaded anew from the changed text, and at the end from the old one.
    monkeypatch.setattr(rates._NEXT_BLOCK, "_async", None)


def turns(redis: Redis) -> EndpointTurns:
    return EndpointTurns(redis, STREAM, "npm_registry")


async def block(redis: Redis, rate: float, *, successes: int = 0, overloaded: bool = False) -> Any:
    return await turns(redis).block(rate, successes=successes, overloaded=overloaded)


async def test_the_turns_of_an_endpoint_that_nobody_asks_any_more_are_forgotten(redis: Redis) -> None:
    await block(redis, 10)
    assert 3500 < await redis.ttl(Keys(STREAM).rate("npm_registry")) <= 3600


@pytest.mark.usefixtures("redis_stands_still")
async def test_blocks_of_several_daemons_follow_each_other_at_the_rate(redis: Redis) -> None:
    blocks = [await block(redis, 10) for _ in range(6)]
    assert {each.turns for each in blocks} == {5}
    assert [each.delay_s for each in blocks] == pytest.approx([number * 0.5 for number in range(6)])


@pytest.mark.usefixtures("redis_stands_still")
@pytest.mark.parametrize("rate", [0.2, 1, 2, 7, 15, 100])
async def test_three_daemons_together_make_at_most_the_rate_and_a_block_each(redis: Redis, rate: float) -> None:
    sent: list[float] = []
    clock = Clock()

    async def ask() -> None:
        pace = Pace(rate, math.inf, clock, turns(redis))
        waited = 0.0
        while waited < 10:
            # Every wait is told from the same moment on.
            waited = await pace.turn()
            if waited < 10:
                sent.append(waited)

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(ask)
    most = 10 * rate + 3 * max(1, rate / 2)
    assert rate * 8 - 3 <= len(sent) <= most


@pytest.mark.usefixtures("redis_stands_still")
async def test_a_refusal_halves_the_rate_of_all_daemons_once_and_successes_restore_it(redis: Redis) -> None:
    assert (await block(redis, 8)).rate == 8
    assert (await block(redis, 8, overloaded=True)).rate == 4
    assert (await block(redis, 8, overloaded=True)).rate == 4
    assert (await block(redis, 8)).rate == 4
    assert (await block(redis, 8, successes=10)).rate == pytest.approx(5.6)
    assert (await block(redis, 8, successes=1000)).rate == 8


async def test_the_rate_never_falls_below_a_64th(redis: Redis) -> None:
    for _ in range(10):
        await redis.hset(Keys(STREAM).rate("npm_registry"), "halved_at", 0)
        slowest = await block(redis, 64, overloaded=True)
    assert (slowest.rate, slowest.turns) == (1, 1)


async def test_while_redis_is_away_a_daemon_goes_on_at_its_share_of_the_rate(redis: Redis, redis_url: str) -> None:
    for name in ("one", "two", "three"):
        now: Any = (await redis.time())[0] * 1000
        await redis.hset(Keys(STREAM).daemons, name, f"{now} {{}}")
    shared = turns(redis)
    await shared.block(9, successes=0, overloaded=False)
    async with Redis.from_url("redis://127.0.0.1:1/0", retry=None) as away:
        shared._redis = away
        alone = await shared.block(9, successes=0, overloaded=False)
    assert (alone.turns, alone.rate) == (1, 3.0)
    assert alone.delay_s == pytest.approx(1 / 3)


async def test_each_outage_is_told_once(redis: Redis) -> None:
    shared = turns(redis)
    async with Redis.from_url("redis://127.0.0.1:1/0", retry=None) as away:
        with capture_logs() as logs:
            for client in (away, away, redis, away, away):
                shared._redis = client
                await shared.block(9, successes=0, overloaded=False)
    assert [line["event"] for line in logs] == ["rate_not_shared"] * 2


async def test_without_a_limit_redis_is_not_asked(redis: Redis) -> None:
    pace = Pace(math.inf, math.inf, Clock(), turns(redis))
    assert [await pace.turn() for _ in range(10)] == [0.0] * 10
    assert await redis.exists(Keys(STREAM).rate("npm_registry")) == 0
