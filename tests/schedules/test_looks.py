"""This tests feeds that are followed: a look every so often, once among all daemons, and a record only of what was
found.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial

import pytest

from securechain_ingest.ecosystem_settings import FollowSettings
from securechain_ingest.errors import Unavailable
from securechain_ingest.runs import LOOK, Run
from securechain_ingest.schedules.board import EmptyLooks, RunRequest
from securechain_ingest.schedules.timetable import Look, looks_of
from tests.schedules.conftest import JOB, Installation, ended, settings
from tests.waiting import Clock, Gate, until

NOON = datetime(2026, 3, 1, 12, 0, 10, tzinfo=UTC)
EVERY_FIVE_MINUTES = {"npm": Look(JOB, 300.0, {LOOK: "feed"})}


def by(clock: Clock) -> Callable[[], datetime]:
    return lambda: datetime.fromtimestamp(clock(), UTC)


async def nothing(_run: Run) -> None: ...


async def looked(installation: Installation, times: int) -> None:
    async def counted() -> bool:
        empty = (await installation.board.empty_looks()).get(JOB)
        return empty is not None and empty.count == times

    await until(counted, f"{times} empty looks")


async def test_an_empty_look_is_counted_and_leaves_no_record(installation: Installation) -> None:
    clock = Clock(NOON.timestamp())
    async with installation.scheduler(nothing, settings(), looks=EVERY_FIVE_MINUTES, now=by(clock)):
        await looked(installation, 1)
        clock.now += 300
        await looked(installation, 2)
    assert await installation.board.empty_looks() == {JOB: EmptyLooks(2, "2026-03-01T12:05:10Z")}
    assert await installation.runs.newest(10) == []


async def test_three_daemons_look_once_a_period(installation: Installation) -> None:
    runs: list[Run] = []

    async def looking(run: Run) -> None:
        runs.append(run)

    async with AsyncExitStack() as stack:
        for _ in range(3):
            scheduler = installation.scheduler(looking, settings(), looks=EVERY_FIVE_MINUTES, now=lambda: NOON)
            await stack.enter_async_context(scheduler)
        await looked(installation, 1)
        # Each of them looks at the board once more before it takes a request up, or sees that another has.
        for _ in range(3):
            before = len(await installation.runs.newest(10))
            await installation.board.request(JOB, RunRequest(f"probe-{before}", {}))
            await ended(installation, before + 1)
    assert [run.options for run in runs].count({LOOK: "feed"}) == 1


async def test_a_look_that_queues_something_has_a_record(installation: Installation) -> None:
    async def finding(run: Run) -> None:
        run.metrics["queued"] = 2

    async with installation.scheduler(finding, settings(), looks=EVERY_FIVE_MINUTES, now=lambda: NOON):
        [record] = await ended(installation)
    assert (record.trigger, record.outcome, record.metrics, record.options) == (
        "schedule",
        "succeeded",
        {"queued": 2},
        {LOOK: "feed"},
    )
    assert await installation.board.empty_looks() == {}


async def test_a_look_that_fails_has_a_record(installation: Installation) -> None:
    async def failing(_run: Run) -> None:
        raise Unavailable("the feed cannot be read", url="made")

    async with installation.scheduler(failing, settings(), looks=EVERY_FIVE_MINUTES, now=lambda: NOON):
        [record] = await ended(installation)
    assert (record.outcome, record.error_kind) == ("failed", "unavailable")


async def test_a_look_is_left_out_while_the_same_job_is_under_way(installation: Installation) -> None:
    gate = Gate(None)
    clock = Clock(NOON.timestamp())
    async with installation.scheduler(gate, settings(), now=by(clock)):
        await installation.board.request(JOB, RunRequest("first", {}))
        await gate.entered.wait()
        async with installation.scheduler(gate, settings(), looks=EVERY_FIVE_MINUTES, now=by(clock)):

            async def claimed() -> bool:
                return bool((await installation.board.state()).looks)

            await until(claimed, "a look that is claimed")
            assert [run.id for run in gate.calls] == ["first"]
            gate.opened.set()
            await ended(installation)
    assert len(gate.calls) == 1


async def test_a_look_leaves_a_run_to_the_daemon_that_can_resume_it(installation: Installation) -> None:
    async def left_to_the_first(_now: datetime) -> bool:
        return True

    gate = Gate(None)
    async with installation.scheduler(gate, settings()):
        await installation.board.request(JOB, RunRequest("0-first", {"reconcile": "true"}))
        await gate.entered.wait()
    async with installation.scheduler(
        nothing,
        settings(),
        jobs={JOB: nothing, "packages_refresh": nothing},
        looks=EVERY_FIVE_MINUTES,
        left_to_others={JOB: left_to_the_first},
    ):
        for probe in ("probe-1", "probe-2"):  # The poll that has begun the second one has been behind the looks.
            await installation.board.request("packages_refresh", RunRequest(probe, {}))
            await until(partial(installation.runs.get, probe))
    left = (await installation.board.state()).under_way.get(JOB)
    assert (left and left.id, left and left.outcome) == ("0-first", "interrupted")


async def test_a_reload_begins_to_follow(installation: Installation) -> None:
    async with installation.scheduler(nothing, settings(), now=lambda: NOON) as scheduler:
        await installation.board.request(JOB, RunRequest("probe", {}))
        await ended(installation)
        assert await installation.board.empty_looks() == {}
        scheduler.apply(settings(), EVERY_FIVE_MINUTES)
        await looked(installation, 1)


async def test_a_job_that_a_command_has_disabled_does_not_look_either(installation: Installation) -> None:
    await installation.board.override(JOB, enabled=False)
    async with installation.scheduler(nothing, settings(), looks=EVERY_FIVE_MINUTES, now=lambda: NOON):
        await installation.board.request(JOB, RunRequest("probe", {}))
        await ended(installation)
        assert (await installation.board.state()).looks == {}
        await installation.board.override(JOB, enabled=True)
        await looked(installation, 1)


def test_what_is_off_is_not_looked_at() -> None:
    assert looks_of(FollowSettings()) == {}


def test_a_feed_with_hints_has_looks_at_both() -> None:
    looks = looks_of(FollowSettings.model_validate({"pypi": 1800, "npm": 300}))
    assert {name: look.period_s for name, look in looks.items()} == {"pypi": 1800, "pypi-hints": 300, "npm": 300}
    assert [look.options[LOOK] for look in looks.values()] == ["feed", "hints", "feed"]


@pytest.mark.parametrize(("given", "period_s"), [("off", math.inf), (60, 60.0)])
def test_a_period_is_a_number_of_seconds_or_the_word_off(given: object, period_s: float) -> None:
    assert FollowSettings.model_validate({"npm": given})["npm"] == period_s
