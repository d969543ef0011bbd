"""This tests daemons on one Redis whose configurations differ: in one of them a job is disabled."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from securechain_ingest.runs import Run
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
