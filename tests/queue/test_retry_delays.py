"""This tests the wait before the next try: growing, bounded, jittered, and never shorter than the registry asked
for.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from securechain_ingest.errors import Unavailable, Unreachable, UpstreamError
from securechain_ingest.queue.backoff import MAX_RETRY_AFTER_S, retry_delay_s
from securechain_ingest.queue.entries import Entry
from securechain_ingest.queue.handling import Outcome
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.settings import QueueSettings
from tests.queue.running import add, running
from tests.waiting import until

URL = "http://localhost/"


def upper(low: float, high: float) -> float:
    assert low == 0
    return high


def lower(low: float, high: float) -> float:
    assert high > 0
    return low


def test_the_ceiling_doubles_with_each_failure_up_to_the_maximum() -> None:
    delays = [retry_delay_s(failures, base_s=2, max_s=15, uniform=upper) for failures in range(1, 6)]
    assert delays == [2, 4, 8, 15, 15]


def test_the_pause_that_a_registry_asked_for_is_a_lower_bound_to_which_the_jitter_is_added() -> None:
    assert retry_delay_s(1, base_s=2, max_s=9, at_least_s=30, uniform=lower) == 30
    assert retry_delay_s(1, base_s=2, max_s=9, at_least_s=30, uniform=upper) == 32


def test_no_registry_can_make_a_message_wait_for_ever() -> None:
    assert retry_delay_s(1, base_s=2, max_s=9, at_least_s=1e12, uniform=lower) == MAX_RETRY_AFTER_S


@given(st.integers(1, 1000), st.floats(0.001, 3e7), st.floats(0.001, 3e7), st.floats(0, 1e9))
def test_any_delay_lies_between_its_bounds(failures: int, base_s: float, max_s: float, at_least_s: float) -> None:
    floor_s = min(at_least_s, MAX_RETRY_AFTER_S)
    delay_s = retry_delay_s(failures, base_s=base_s, max_s=max_s, at_least_s=at_least_s)
    assert floor_s <= delay_s <= floor_s + max_s


@pytest.mark.parametrize("error", [Unavailable("status 500", url=URL), Unreachable("no such name", url=URL)])
async def test_the_first_failure_of_either_kind_waits_no_longer_than_the_base(
    redis: Redis, queue: QueueSettings, error: UpstreamError
) -> None:
    async def fail(entry: Entry) -> Outcome:
        raise error

    # So much that chance gives no message a second try within the test.
    base_s = 1_000_000_000
    queue = queue.model_copy(update={"retry_base_s": base_s, "retry_max_s": 100 * base_s})
    await add(redis, queue.stream, *(f"package-{number}" for number in range(30)))
    retries = Keys(queue.stream).retries("pypi", Lane.ASKED)
    async with running(redis, queue, fail):
        await until(lambda: is_all_there(redis, retries, 30))
    seconds, _ = await redis.time()
    assert await redis.zcount(retries, "-inf", (seconds + base_s) * 1000) == 30


async def is_all_there(redis: Redis, key: str, count: int) -> bool:
    return int(await redis.zcard(key)) == count
