"""A registry that wishes a pause, is unwell or was paused by an operator costs no message a try."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from securechain_ingest.errors import ArchivesAway, NotFound, RateLimited, Unavailable, Unreachable, UpstreamError
from securechain_ingest.queue.breakers import FAILURES, PROBE_MS, Breakers, pause, paused_since, resume
from securechain_ingest.queue.entries import Entry
from securechain_ingest.queue.groups import ensure_groups
from securechain_ingest.queue.handling import Outcome
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.taking import Taker
from securechain_ingest.settings import QueueSettings
from tests.queue.running import ECOSYSTEMS, Observer, add, assert_no_leak, data, dead_letters, is_idle, lane_of, running
from tests.waiting import until


def answer(error: UpstreamError, endpoint: str = "pypi") -> UpstreamError:
    error.endpoint = endpoint
    return error


def limited(delay_s: float | None = 3600.0) -> UpstreamError:
    return answer(RateLimited("slower", url="http://localhost/", delay_s=delay_s))


def unreachable() -> UpstreamError:
    return answer(Unreachable("no such name", url="http://localhost/"))


def broken() -> UpstreamError:
    return answer(Unavailable("status 500", url="http://localhost/"))


@pytest.fixture
def no_pause_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a slow machine the five seconds of a breaker could be over before a test has looked."""
    monkeypatch.setattr("securechain_ingest.queue.breakers.FIRST_WAIT_S", 1e6)
    monkeypatch.setattr("securechain_ingest.queue.breakers.LONGEST_WAIT_S", 1e9)


async def end_of_pause(redis: Redis, queue: QueueSettings) -> None:
    """Make it as if the time had come."""
    await redis.hset(Keys(queue.stream).breaker("pypi"), "open_until", 1)


async def breaker(redis: Redis, queue: QueueSettings) -> dict[str, str]:
    held: Any = await redis.hgetall(Keys(queue.stream).breaker("pypi"))
    return {name.decode(): value.decode() for name, value in held.items()}


async def is_open(redis: Redis, queue: QueueSettings) -> bool:
    return "open_until" in await breaker(redis, queue)


async def test_an_operators_pause_stops_the_lanes_of_one_ecosystem_until_resume(
    redis: Redis, queue: QueueSettings
) -> None:
    keys = Keys(queue.stream)
    assert await pause(redis, keys, "pypi")
    assert not await pause(redis, keys, "pypi")
    assert list(await paused_since(redis, keys)) == ["pypi"]
    handler = Observer()
    await add(redis, queue.stream, "six")
    await redis.xadd(queue.stream, {"data": data("left", node_type="NPMPackage")})
    async with running(redis, queue, handler):
        await until(lambda: handler.packages == ["left"])
        await until(lambda: redis.xlen(lane_of(queue)))
        assert await resume(redis, keys, "pypi")
        await until(lambda: is_idle(redis, queue))
    assert handler.packages == ["left", "six"]
    assert not await resume(redis, keys, "pypi")


@pytest.mark.usefixtures("no_pause_ends_by_itself")
@pytest.mark.parametrize("delay_s", [1800.0, None])
async def test_a_registry_that_asks_for_a_pause_gets_it_and_no_message_pays_with_a_try(
    redis: Redis, queue: QueueSettings, delay_s: float | None
) -> None:
    is_well = False

    async def act(entry: Entry) -> Outcome:
        if not is_well:
            raise limited(delay_s)
        return Outcome()

    handler = Observer(act)
    await add(redis, lane_of(queue, Lane.LISTED), *(f"p-{number}" for number in range(50)))
    async with running(redis, queue, handler, places=4):
        await until(lambda: is_open(redis, queue))
        await until(lambda: len(handler.entries) >= 1)
        for _ in range(2 * queue.max_deliveries):
            asked = len(handler.entries)
            await end_of_pause(redis, queue)

            async def probed(asked: int = asked) -> bool:
                return len(handler.entries) > asked and int((await breaker(redis, queue))["open_until"]) > 1

            await until(probed)
            assert len(handler.entries) == asked + 1
        is_well = True
        await end_of_pause(redis, queue)
        await until(lambda: is_idle(redis, queue))
    assert await dead_letters(redis, queue) == []
    assert {entry.attempts for entry in handler.entries} == {0}
    assert await breaker(redis, queue) == {}
    await assert_no_leak(redis, queue)


async def test_the_pause_that_a_registry_asks_for_is_kept_to_its_second(redis: Redis, queue: QueueSettings) -> None:
    breakers = Breakers(redis, Keys(queue.stream))
    with capture_logs() as logs:
        assert await breakers.failed("pypi", "six", "slower", is_probe=False, pause_s=1800.0)
        assert await breakers.failed("pypi", "flask", "was in flight", is_probe=False)
    assert [(line["event"], line["pause_s"], line["reason"]) for line in logs] == [
        ("endpoint_paused", 1800.0, "slower")
    ]
    state = (await breakers.states(["pypi"]))["pypi"]
    assert 1700 < state.open_for_s <= 1800


async def test_only_the_pause_of_the_endpoint_that_every_message_needs_stops_the_lanes(
    redis: Redis, queue: QueueSettings
) -> None:
    async def act(entry: Entry) -> Outcome:
        if entry.message.package == "needs-files":
            raise answer(RateLimited("slower", url="http://localhost/", delay_s=3600), "pypi_files")
        return Outcome()

    handler = Observer(act)
    await add(redis, queue.stream, "needs-files", "other")
    async with running(redis, queue, handler):
        await until(lambda: sorted(handler.packages) == ["needs-files", "other"])
        await until(lambda: redis.zcard(Keys(queue.stream).retries("pypi", Lane.ASKED)))
    assert not await is_open(redis, queue)


@pytest.mark.usefixtures("no_pause_ends_by_itself")
@pytest.mark.parametrize("make", [unreachable, broken])
async def test_failures_of_several_packages_open_the_breaker_and_one_probe_closes_it(
    redis: Redis, queue: QueueSettings, make: Callable[[], UpstreamError]
) -> None:
    is_well = False

    async def act(entry: Entry) -> Outcome:
        if not is_well:
            raise make()
        return Outcome()

    handler = Observer(act)
    await add(redis, queue.stream, *(f"p-{number}" for number in range(30)))
    with capture_logs() as logs:
        async with running(redis, queue, handler, places=2):
            await until(lambda: is_open(redis, queue))
            is_well = True
            await end_of_pause(redis, queue)
            await until(lambda: is_idle(redis, queue))
    assert await dead_letters(redis, queue) == []
    assert max(entry.attempts for entry in handler.entries) <= 1
    events = [line["event"] for line in logs if line["event"].startswith("endpoint_")]
    assert events == ["endpoint_paused", "endpoint_resumed"]


async def test_one_package_that_always_fails_does_not_open_the_breaker(redis: Redis, queue: QueueSettings) -> None:
    async def act(entry: Entry) -> Outcome:
        if entry.message.package == "bad":
            raise broken()
        return Outcome()

    queue = queue.model_copy(update={"max_deliveries": 20})
    await add(redis, queue.stream, "bad")
    async with running(redis, queue, Observer(act)):
        await until(lambda: dead_letters(redis, queue))
    assert not await is_open(redis, queue)
    [letter] = await dead_letters(redis, queue)
    assert letter["attempts"] == "20"


async def test_one_package_that_many_ask_for_counts_once(redis: Redis, queue: QueueSettings) -> None:
    async def act(entry: Entry) -> Outcome:
        raise broken()

    await add(redis, queue.stream, *(["bad"] * 2 * FAILURES), *(["Bad"] * FAILURES))
    async with running(redis, queue, Observer(act)):
        await until(lambda: is_idle(redis, queue))
    assert not await is_open(redis, queue)


async def test_a_success_between_failures_keeps_the_breaker_closed(redis: Redis, queue: QueueSettings) -> None:
    breakers = Breakers(redis, Keys(queue.stream))
    for round_ in range(3):
        for number in range(FAILURES - 1):
            assert not await breakers.failed("pypi", f"p-{round_}-{number}", "status 500", is_probe=False)
        await breakers.succeeded("pypi", is_probe=False)
    assert await breakers.states(["pypi"]) == {}


async def test_an_absent_package_is_an_answer_that_closes_the_breaker(redis: Redis, queue: QueueSettings) -> None:
    async def act(entry: Entry) -> Outcome:
        raise answer(NotFound("not there", url="http://localhost/"))

    await Breakers(redis, Keys(queue.stream)).failed("pypi", "a", "slower", is_probe=False, pause_s=60)
    await end_of_pause(redis, queue)
    await add(redis, queue.stream, "gone")
    async with running(redis, queue, Observer(act)):
        await until(lambda: is_idle(redis, queue))
    assert await breaker(redis, queue) == {}


async def test_the_wait_of_a_breaker_doubles_with_each_failed_probe_up_to_a_quarter_of_an_hour(
    redis: Redis, queue: QueueSettings
) -> None:
    tried = Breakers(redis, Keys(queue.stream))

    async def now_ms() -> int:
        seconds, microseconds = await redis.time()
        return int(seconds) * 1000 + int(microseconds) // 1000

    for number, wait_s in enumerate((5, 10, 20, 40, 80, 160, 320, 640, 900, 900)):
        before_ms = await now_ms()
        await tried.failed("pypi", "a", "slower", is_probe=number > 0, pause_s=0)
        opens_ms = int((await breaker(redis, queue))["open_until"]) - wait_s * 1000
        assert before_ms <= opens_ms <= await now_ms()


async def test_a_probe_that_died_with_its_daemon_is_followed_by_another(redis: Redis, queue: QueueSettings) -> None:
    keys = Keys(queue.stream)
    await Breakers(redis, keys).failed("pypi", "a", "slower", is_probe=False, pause_s=60)
    await end_of_pause(redis, queue)
    await add(redis, lane_of(queue), "a", "b", "c")
    await ensure_groups(redis, keys.lanes("pypi"), queue.group)
    dead = Taker(redis, keys, ECOSYSTEMS[0], queue.group, "dead")
    [probe] = (await dead.take(any_places=8, other_places=6, claims=True, lease_s=60)).entries
    assert (probe.is_probe, probe.data) == (True, data("a").encode())
    assert (await dead.take(any_places=8, other_places=6, claims=True, lease_s=60)).stopped == "breaker"
    assert 0 < (await Breakers(redis, keys).states(["pypi"]))["pypi"].open_for_s <= PROBE_MS / 1000
    await end_of_pause(redis, queue)
    handler = Observer()
    async with running(redis, queue, handler):
        await until(lambda: sorted(handler.packages) == ["b", "c"])


@pytest.mark.usefixtures("no_pause_ends_by_itself")
async def test_packages_that_always_fail_do_not_take_every_probe_from_those_that_are_well(
    redis: Redis, queue: QueueSettings
) -> None:
    """Once they have opened the breaker among themselves, whoever comes later is the next probe, and closes it."""

    async def act(entry: Entry) -> Outcome:
        if entry.message.package.startswith("bad"):
            raise broken()
        return Outcome()

    queue = queue.model_copy(update={"max_deliveries": 100})
    handler = Observer(act)
    bad = [f"bad-{number}" for number in range(2 * FAILURES)]
    await add(redis, lane_of(queue, Lane.CHANGED), *bad)
    async with running(redis, queue, handler) as reader:
        await until(lambda: is_open(redis, queue))
        for number in range(3):
            await until(lambda: reader.in_flight == 0)
            asked = len(handler.entries)
            await add(redis, queue.stream, f"well-{number}")
            await until(lambda: is_waiting_in_its_lane(redis, queue))
            await end_of_pause(redis, queue)
            await until(partial(has_handled, handler, asked + 1))
            assert handler.packages[asked] == f"well-{number}"
            # The probe closes the breaker, and the others open it again.
            await until(partial(has_handled, handler, asked + 1 + FAILURES))
            await until(lambda: is_open(redis, queue))


@pytest.mark.usefixtures("no_pause_ends_by_itself")
async def test_what_needs_no_registry_does_not_speak_for_it(redis: Redis, queue: QueueSettings) -> None:
    is_well = False

    async def act(entry: Entry) -> Outcome:
        if entry.message.package.startswith("known"):
            return Outcome(asked_registry=False)
        if not is_well:
            raise broken()
        return Outcome()

    queue = queue.model_copy(update={"max_deliveries": 100})
    handler = Observer(act)
    packages = [f"{kind}-{number}" for number in range(2 * FAILURES) for kind in ("known", "unknown")]
    await add(redis, lane_of(queue), *packages)
    async with running(redis, queue, handler, places=1) as reader:
        await until(lambda: is_open(redis, queue))
        await until(lambda: reader.in_flight == 0)
        await add(redis, lane_of(queue), "known-probe")
        asked = len(handler.entries)
        await end_of_pause(redis, queue)
        await until(partial(has_handled, handler, asked + 2))
        assert is_probe_behind_a_known_one(handler.entries[asked:])
        assert await is_open(redis, queue)
        is_well = True
        await end_of_pause(redis, queue)
        await until(lambda: is_idle(redis, queue))
    assert await breaker(redis, queue) == {}


def is_probe_behind_a_known_one(entries: Sequence[Entry]) -> bool:
    """The known ones are passed over, and the first that is asked of the registry is the probe."""
    packages = [entry.message.package for entry in entries]
    return packages[0].startswith("known") and packages[-1].startswith("unknown") and entries[-1].is_probe


@pytest.mark.usefixtures("no_pause_ends_by_itself")
async def test_each_probe_that_fails_is_followed_by_another_message(redis: Redis, queue: QueueSettings) -> None:
    async def act(entry: Entry) -> Outcome:
        raise unreachable()

    handler = Observer(act)
    packages = [f"p-{number}" for number in range(20)]
    await add(redis, lane_of(queue), *packages)
    async with running(redis, queue, handler, places=FAILURES) as reader:
        await until(lambda: is_open(redis, queue))
        await until(lambda: reader.in_flight == 0)
        began = len(handler.entries)
        for number in range(1, 9):
            await end_of_pause(redis, queue)
            await until(partial(has_handled, handler, began + number))
            await until(lambda: reader.in_flight == 0)
    probes = handler.packages[began:]
    assert len(set(probes)) == len(probes)


def has_handled(handler: Observer, count: int) -> bool:
    return len(handler.entries) >= count


async def is_waiting_in_its_lane(redis: Redis, queue: QueueSettings) -> bool:
    [group] = await redis.xinfo_groups(lane_of(queue))
    return bool(group["lag"])


async def test_a_success_ends_a_row_of_failures_that_other_daemons_have_counted(
    redis: Redis, queue: QueueSettings
) -> None:
    others = Breakers(redis, Keys(queue.stream))
    for number in range(FAILURES - 1):
        assert not await others.failed("pypi", f"package-{number}", "status 500", is_probe=False)
    await add(redis, queue.stream, "six")
    async with running(redis, queue, Observer()):
        await until(lambda: is_idle(redis, queue))
    assert await breaker(redis, queue) == {}
    assert not await others.failed("pypi", "another", "status 500", is_probe=False)


async def test_only_completed_waits_for_archives_that_are_away_and_goes_on_with_one_message(
    redis: Redis, queue: QueueSettings
) -> None:
    keys, archives = Keys(queue.stream), ECOSYSTEMS[0].archives
    breakers = Breakers(redis, keys)
    assert archives != ECOSYSTEMS[0].endpoint
    await breakers.failed(archives, "a", "slower", is_probe=False, pause_s=3600)
    for lane in Lane:
        await add(redis, lane_of(queue, lane), f"{lane}-1", f"{lane}-2", f"{lane}-3")
    others = sorted(f"{lane}-{number}" for lane in Lane if lane is not Lane.COMPLETED for number in (1, 2, 3))
    failing = True

    async def act(entry: Entry) -> Outcome:
        if entry.lane is Lane.COMPLETED:
            if failing:
                await breakers.failed(archives, "a", "slower", is_probe=True, pause_s=3600)
                raise ArchivesAway("the archives are away", url="")
            await breakers.succeeded(archives, is_probe=True)
        return Outcome()

    handler = Observer(act)
    async with running(redis, queue, handler):
        await until(lambda: sorted(handler.packages) == others)
        for asked in (1, 2):
            expected = len(others) + asked
            await redis.hset(keys.breaker(archives), "open_until", 1)
            await until(lambda: len(handler.entries) == expected)  # noqa: B023 - awaited within the round
        failing = False
        await redis.hset(keys.breaker(archives), "open_until", 1)
        await until(lambda: is_idle(redis, queue))
    completed = [entry for entry in handler.entries if entry.lane is Lane.COMPLETED]
    assert [entry.message.package for entry in completed[:2]] == ["completed-1", "completed-2"], "each time another one"
    assert len(completed) == 5
    assert {entry.attempts for entry in completed} == {0}
    assert await dead_letters(redis, queue) == []
    await assert_no_leak(redis, queue)
