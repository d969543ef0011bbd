"""This tests daemons on one Redis that differ: in one of them a job is disabled, or one is behind the others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from securechain_ingest.runs import Run
from securechain_ingest.schedules.board import Claim
from securechain_ingest.schedules.recorder import Recorder
from securechain_ingest.schedules.scheduler import Scheduler
from tests.schedules.conftest import JOB, STREAM, Installation, settings

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def nothing(_run: Run) -> None: ...


async def test_a_daemon_that_does_not_run_a_job_takes_no_tick_from_one_that_does(installation: Installation) -> None:
    now = NOON - timedelta(seconds=2)

    def daemon(*, enabled: bool) -> Scheduler:
        return Scheduler(
            {JOB: nothing},
            settings("0 12 * * *", enabled=enabled),
            installation.board,
            Recorder(installation.redis, installation.runs, installation.board, STREAM),
            lease_s=30.0,
            looks={},
            left_to_others={},
            ecosystem_of={},
            now=lambda: now,
        )

    running, other = daemon(enabled=True), daemon(enabled=False)
    await running._set_timers(await installation.board.state())
    now = NOON - timedelta(seconds=1)
    await other._set_timers(await installation.board.state())
    now = NOON + timedelta(milliseconds=5)

    await running._set_timers(await installation.board.state())
    tick = running._due(JOB, await installation.board.state())
    for schedule in running._timers.values():
        schedule[1].stop()

    assert tick == NOON


async def test_a_daemon_that_gives_up_an_old_tick_does_not_bring_back_a_later_one(installation: Installation) -> None:
    board = installation.board
    later = NOON + timedelta(hours=1)
    first, second = (Run(id=each, job=JOB, started_at=later) for each in ("first", "second"))
    claim: Claim = "ticks", JOB, int(later.timestamp())
    assert await board.start(first, claim, lease_s=30) == "started"
    await board.pass_over(JOB, NOON)
    assert await board.start(second, claim, lease_s=30) == "taken"


async def test_a_tick_that_is_given_up_is_not_looked_at_again(installation: Installation) -> None:
    await installation.board.first_seen(JOB, NOON - timedelta(hours=1))
    await installation.board.pass_over(JOB, NOON)
    assert (await installation.board.state()).ticks == {JOB: int(NOON.timestamp())}
