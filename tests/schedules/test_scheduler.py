"""Jobs run at their times and on demand, once among all daemons, and go on after a daemon that broke off."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from functools import partial

import anyio
import pytest

from securechain_ingest.errors import StoreError
from securechain_ingest.queue.breakers import pause, resume
from securechain_ingest.queue.keys import Keys
from securechain_ingest.runs import LOOK, Run, new_run_id, utc_now
from securechain_ingest.schedules.board import Board, RunRequest
from securechain_ingest.schedules.scheduler import MAX_BREAKDOWNS
from securechain_ingest.schedules.timetable import Look
from tests.schedules.conftest import JOB, STREAM, Installation, ended, next_runs, settings
from tests.waiting import Gate, until

EVERY_SECOND = "* * * * * *"
HOURLY = "0 * * * *"
NOON = datetime(2026, 3, 1, 12, 0, 10, tzinfo=UTC)


async def nothing(_run: Run) -> None: ...


async def last_seen(installation: Installation, moment: datetime) -> None:
    await installation.board.first_seen(JOB, moment)


async def looked(installation: Installation) -> None:
    """A request is served in the same look as everything else that a scheduler has found by then."""
    probe = new_run_id(utc_now())
    await installation.board.request(JOB, RunRequest(probe, {}))
    await until(lambda: installation.runs.get(probe))


async def test_three_daemons_fire_each_tick_once(installation: Installation) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(installation.scheduler(nothing, settings(EVERY_SECOND)))
        records = await ended(installation, 3)
    ticks = [record.scheduled_for for record in records]
    assert len(set(ticks)) == len(ticks) >= 3
    assert {record.trigger for record in records} <= {"schedule", "catch_up"}


async def test_a_missed_tick_is_caught_up_once(installation: Installation) -> None:
    await last_seen(installation, NOON - timedelta(hours=5))
    async with installation.scheduler(nothing, settings(HOURLY, grace_s=60), now=lambda: NOON):
        [record] = await ended(installation)
    assert (record.trigger, record.outcome) == ("catch_up", "succeeded")
    assert record.scheduled_for == NOON.replace(second=0)
    async with installation.scheduler(nothing, settings(HOURLY, grace_s=60), now=lambda: NOON):
        await looked(installation)
    assert {record.trigger for record in await installation.runs.newest(10)} == {"catch_up", "command"}


async def test_a_tick_missed_for_longer_than_the_grace_time_is_left_out(installation: Installation) -> None:
    await last_seen(installation, NOON - timedelta(hours=5))
    async with installation.scheduler(nothing, settings(HOURLY, grace_s=5), now=lambda: NOON):
        await looked(installation)
    assert [record.trigger for record in await installation.runs.newest(10)] == ["command"]


async def test_a_new_installation_catches_nothing_up(installation: Installation) -> None:
    async with installation.scheduler(nothing, settings(HOURLY), now=lambda: NOON):
        await looked(installation)
    assert [record.trigger for record in await installation.runs.newest(10)] == ["command"]


async def test_two_runs_of_one_job_never_overlap_in_several_daemons(installation: Installation) -> None:
    gate = Gate(None)
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(installation.scheduler(gate, settings(EVERY_SECOND)))
        await until(gate.entered.is_set)
        first_tick = (await installation.board.state()).ticks[JOB]

        async def later_ticks_are_claimed() -> bool:
            return (await installation.board.state()).ticks[JOB] > first_tick

        await until(later_ticks_are_claimed)
        assert len(gate.calls) == 1


async def test_a_request_is_taken_by_one_daemon_with_its_options_even_if_the_job_is_disabled(
    installation: Installation,
) -> None:
    gate = Gate(None)
    gate.opened.set()
    async with AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(installation.scheduler(gate, settings(enabled=False)))
        await installation.board.request(JOB, RunRequest("asked", {"reconcile": "true"}))
        [record] = await ended(installation)
    assert (record.id, record.trigger, record.options) == ("asked", "command", {"reconcile": "true"})
    assert [run.options for run in gate.calls] == [{"reconcile": "true"}]


async def test_runs_that_are_asked_for_before_one_has_begun_are_one_run(installation: Installation) -> None:
    asked = [
        await installation.board.request(JOB, RunRequest(run_id, options))
        for run_id, options in (("first", {}), ("second", {"reconcile": "true"}), ("third", {}))
    ]
    async with installation.scheduler(nothing, settings()):
        [record] = await ended(installation)
        await looked(installation)
    assert asked == ["first"] * 3
    assert (record.id, record.options) == ("first", {"reconcile": "true"})


async def test_a_request_waits_for_the_run_under_way(installation: Installation) -> None:
    gate = Gate(None)
    async with installation.scheduler(gate, settings()):
        await installation.board.request(JOB, RunRequest("first", {}))
        await until(gate.entered.is_set)
        await installation.board.request(JOB, RunRequest("second", {}))
        gate.opened.set()
        records = await ended(installation, 2)
    assert {record.id for record in records} == {"first", "second"}
    assert [run.id for run in gate.calls] == ["first", "second"]


async def test_an_override_outlives_the_daemon_and_goes_when_it_says_what_the_configuration_says(
    installation: Installation,
) -> None:
    await installation.board.override(JOB, enabled=False)
    for _ in range(2):
        async with installation.scheduler(nothing, settings(EVERY_SECOND)) as scheduler:
            await looked(installation)
            assert not next_runs(scheduler)
    await installation.board.override(JOB, enabled=True)
    async with installation.scheduler(nothing, settings(EVERY_SECOND)) as scheduler:

        async def dropped() -> bool:
            return not (await installation.board.state()).overrides

        await until(dropped)
        await until(lambda: set(next_runs(scheduler)) == {JOB})


async def test_disabling_does_not_end_a_run_under_way(installation: Installation) -> None:
    gate = Gate(None)
    async with installation.scheduler(gate, settings(EVERY_SECOND)) as scheduler:
        await until(gate.entered.is_set)
        await installation.board.override(JOB, enabled=False)

        async def off() -> bool:
            return not next_runs(scheduler)

        await until(off)
        gate.opened.set()
        [record] = await ended(installation)
    assert record.outcome == "succeeded"


async def test_a_reload_takes_new_times_and_an_unchanged_schedule_keeps_its_next_run(
    installation: Installation,
) -> None:
    async with installation.scheduler(nothing, settings()) as scheduler:
        await looked(installation)
        before = next_runs(scheduler)
        scheduler.apply(settings(grace_s=1), {})
        await installation.board.request(JOB, RunRequest("again", {}))
        assert not [record for record in await ended(installation, 2) if record.scheduled_for]
        assert next_runs(scheduler) == before
        scheduler.apply(settings(EVERY_SECOND), {})
        records = await ended(installation, 3)
    assert [record for record in records if record.scheduled_for]


async def test_a_job_that_fails_is_recorded_with_its_reason_and_the_scheduler_goes_on(
    installation: Installation,
) -> None:
    async def failing(run: Run) -> None:
        run.metrics["total_in_registry"] = 3
        run.cursor_before, run.cursor_after = "1", "2"
        raise StoreError("the store is away")

    async with installation.scheduler(failing, settings()):
        await installation.board.request(JOB, RunRequest("first", {}))
        [record] = await ended(installation)
        await installation.board.request(JOB, RunRequest("second", {}))
        await ended(installation, 2)
    assert (record.outcome, record.error, record.error_kind) == ("failed", "the store is away", "store_unavailable")
    assert (record.metrics, record.cursor_before, record.cursor_after) == ({"total_in_registry": 3}, "1", "2")


async def test_a_run_that_is_stopped_says_so_and_is_resumed_by_another_daemon(installation: Installation) -> None:
    first, second = Gate(None), Gate(None)
    second.opened.set()
    async with installation.scheduler(first, settings()) as scheduler:
        await installation.board.request(JOB, RunRequest("0-first", {"reconcile": "true"}))
        await until(first.entered.is_set)
        scheduler.stop()
        [interrupted] = await ended(installation)
    assert (interrupted.outcome, interrupted.error) == ("interrupted", "the daemon was stopped")
    async with installation.scheduler(second, settings()):
        records = await ended(installation, 2)
    resumed = next(record for record in records if record.id != "0-first")
    assert (resumed.trigger, resumed.resumes, resumed.breakdowns) == ("resume", "0-first", 0)
    assert resumed.options == {"reconcile": "true"}
    assert (await installation.board.state()).under_way == {}


async def test_while_an_ecosystem_is_paused_no_run_of_it_begins_and_others_do(installation: Installation) -> None:
    keys, paused, others = Keys(STREAM), Gate(None), Gate(None)
    paused.opened.set()
    others.opened.set()
    jobs = {JOB: paused, "packages_refresh": others}
    await last_seen(installation, NOON - timedelta(minutes=15))
    await pause(installation.redis, keys, "npm")
    async with installation.scheduler(
        paused,
        settings(HOURLY),
        jobs=jobs,
        ecosystem_of={JOB: "npm"},
        looks={"npm": Look(JOB, 300.0, {LOOK: "feed"})},
        now=lambda: NOON,
    ):
        for probe in ("one look", "another"):
            await installation.board.request("packages_refresh", RunRequest(probe, {}))
            await until(partial(installation.runs.get, probe))
        assert paused.calls == []
        await resume(installation.redis, keys, "npm")
        await until(lambda: len(paused.calls) == 2)
    assert {run.is_look for run in paused.calls} == {True, False}


async def test_a_pause_interrupts_the_run_under_way_which_is_resumed_when_it_ends(installation: Installation) -> None:
    keys, gate = Keys(STREAM), Gate(None)
    async with installation.scheduler(gate, settings(), ecosystem_of={JOB: "npm"}):
        await installation.board.request(JOB, RunRequest("0-first", {"reconcile": "true"}))
        await until(gate.entered.is_set)
        await pause(installation.redis, keys, "npm")
        [interrupted] = await ended(installation)
        assert (interrupted.outcome, interrupted.error) == ("interrupted", "its ecosystem was paused")
        gate.opened.set()
        await resume(installation.redis, keys, "npm")
        records = await ended(installation, 2)
    resumed = next(record for record in records if record.id != "0-first")
    assert (resumed.trigger, resumed.resumes, resumed.outcome) == ("resume", "0-first", "succeeded")
    assert (resumed.options, resumed.breakdowns) == ({"reconcile": "true"}, 0)


async def test_a_run_that_begins_before_the_last_one_has_left_is_known_as_under_way(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, left, may_leave = Gate(None), anyio.Event(), anyio.Event()
    end = Board.end

    async def first_lingers(self: Board, run: Run, **options: bool) -> bool:
        is_ended = await end(self, run, **options)
        if run.id == "0-first":
            await may_leave.wait()
            left.set()
        return is_ended

    async def job(run: Run) -> None:
        if run.id != "0-first":
            await gate(run)

    monkeypatch.setattr(Board, "end", first_lingers)
    async with installation.scheduler(job, settings(), ecosystem_of={JOB: "npm"}):
        await installation.board.request(JOB, RunRequest("0-first", {}))
        await ended(installation)
        await installation.board.request(JOB, RunRequest("1-second", {}))
        await until(gate.entered.is_set)
        may_leave.set()
        await left.wait()
        await anyio.wait_all_tasks_blocked()
        await pause(installation.redis, Keys(STREAM), "npm")
        ends = await ended(installation, 2)
    assert {run.id: run.outcome for run in ends} == {"0-first": "succeeded", "1-second": "interrupted"}


async def leave_behind(installation: Installation, breakdowns: int) -> Run:
    """Leave behind, and return, a run whose daemon has died: its lease runs out, its mark and its record stay."""
    now = utc_now()
    run = Run(id=new_run_id(now), job=JOB, trigger="schedule", started_at=now, breakdowns=breakdowns)
    assert await installation.board.start(run, ("requests", JOB, "of somebody else"), 0.05) == "taken"
    await installation.board.request(JOB, RunRequest("x", {}))
    request = (await installation.board.state()).requests[JOB]
    assert await installation.board.start(run, ("requests", JOB, request.text), 0.05) == "started"
    await installation.runs.save(run)
    return run


async def test_a_run_whose_daemon_has_died_is_closed_and_resumed(installation: Installation) -> None:
    left = await leave_behind(installation, 0)
    async with installation.scheduler(nothing, settings()):
        records = await ended(installation, 2)
    closed, resumed = sorted(records, key=lambda record: record.trigger == "resume")
    assert (closed.id, closed.outcome) == (left.id, "interrupted")
    assert (resumed.resumes, resumed.breakdowns, resumed.outcome) == (left.id, 1, "succeeded")


async def test_a_job_that_kills_its_daemon_again_and_again_is_not_resumed_for_ever(
    installation: Installation,
) -> None:
    left = await leave_behind(installation, MAX_BREAKDOWNS)
    async with installation.scheduler(nothing, settings()):
        [closed] = await ended(installation)
        await looked(installation)
    assert (closed.id, closed.outcome) == (left.id, "interrupted")
    assert [record.trigger for record in await installation.runs.newest(10)].count("resume") == 0


@pytest.mark.usefixtures("renewals_at_once")
async def test_a_run_that_loses_its_lease_is_cancelled(installation: Installation) -> None:
    gate = Gate(None)
    async with installation.scheduler(gate, settings()):
        await installation.board.request(JOB, RunRequest("first", {}))
        await until(gate.entered.is_set)
        await installation.redis.set(f"package-extraction-schedules-lease:{JOB}", "another run", px=60_000)
        [record] = await ended(installation)
    assert (record.id, record.outcome, record.error) == ("first", "interrupted", "the lease was lost")


@pytest.mark.usefixtures("renewals_at_once")
async def test_a_run_renews_its_lease_as_long_as_it_goes(installation: Installation) -> None:
    gate = Gate(None)
    lease = f"package-extraction-schedules-lease:{JOB}"
    async with installation.scheduler(gate, settings()):
        await installation.board.request(JOB, RunRequest("first", {}))
        await until(gate.entered.is_set)
        for _ in range(3):
            await installation.redis.pexpire(lease, 20_000)

            async def renewed() -> bool:
                return int(await installation.redis.pttl(lease)) > 20_000

            await until(renewed)
        gate.opened.set()
        [record] = await ended(installation)
    assert record.outcome == "succeeded"
