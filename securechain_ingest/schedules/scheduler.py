"""This module runs jobs at their times, each once among all daemons on a Redis, and when a command asks for a run.

aiocron makes a timer of the event loop from each cron expression and its time zone, and follows every change of the
clock. A timer only notes that a time has come. What has to be done then is found by looking at the shared board again
and again. A time that comes while Redis is away, a run whose daemon has ended, an override and a request of the command
line are therefore all found in the same way, and no message has to arrive at the right moment.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

import aiocron
import anyio
import structlog
from anyio.abc import TaskGroup
from redis.exceptions import RedisError

from securechain_ingest.errors import StoreError
from securechain_ingest.runs import Job, Run, Trigger, new_run_id, utc_now
from securechain_ingest.schedules.board import Answer, Board, Claim, State
from securechain_ingest.schedules.execution import Execution
from securechain_ingest.schedules.looks import Look
from securechain_ingest.schedules.recorder import Recorder
from securechain_ingest.schedules.ticks import Schedule, latest_tick, schedules_of
from securechain_ingest.settings import ScheduleSettings

logger = structlog.get_logger(__name__)

MAX_BREAKDOWNS = 3
"""A run that has ended with its daemon is resumed so many times in a row; after that its next tick is waited for."""

_EARLY = timedelta(seconds=0.5)
"""Timers of the event loop may fire so much earlier than the system's clock says."""

_TIDY_EVERY_S = 10.0


class Scheduler:
    """A scheduler looks at the board every `poll_s` seconds and at every tick, and calls `turned` before each look.

    `jobs` are those that this daemon can do; `now` returns the time in UTC; a run has a lease of `lease_s` seconds.
    While `left_to_others` answers True for a job at a moment, other daemons may begin its runs and this one does not;
    only its looks are begun. It raises StoreError.
    """

    def __init__(
        self,
        jobs: Mapping[str, Job],
        settings: ScheduleSettings,
        board: Board,
        recorder: Recorder,
        *,
        lease_s: float,
        looks: Mapping[str, Look] = MappingProxyType({}),
        left_to_others: Mapping[str, Callable[[datetime], Awaitable[bool]]] = MappingProxyType({}),
        poll_s: float = 1.0,
        now: Callable[[], datetime] = utc_now,
        turned: Callable[[], None] = lambda: None,
    ) -> None:
        self._turned = turned
        self._jobs = dict(jobs)
        self._settings = settings
        self._looks = looks
        self._left_to_others = left_to_others
        self._board = board
        self._recorder = recorder
        self._lease_s = lease_s
        self._poll_s = poll_s
        self._now = now
        self._overrides: Mapping[str, bool] = {}
        self._schedules: dict[str, Schedule] = {}
        self._crons: dict[str, aiocron.Cron] = {}
        self._due: dict[str, tuple[datetime, Trigger]] = {}
        self._running: set[str] = set()
        self._wake = anyio.Event()
        self._runs = anyio.CancelScope()

    async def run(self) -> None:
        """Run until cancelled or stopped. Both interrupt the runs under way in an orderly way."""
        try:
            with self._runs:
                async with anyio.create_task_group() as group:
                    group.start_soon(self._tidy, name="run records")
                    await self._look_again_and_again(group)
        finally:
            for cron in self._crons.values():
                cron.stop()
            self._crons.clear()

    def stop(self) -> None:
        """Begin nothing more and interrupt the runs under way. Another daemon, or the next one, resumes them."""
        self._runs.cancel()

    def apply(self, settings: ScheduleSettings, looks: Mapping[str, Look] = MappingProxyType({})) -> None:
        """Apply new times. An unchanged schedule keeps its next run, and a run under way is finished in any case."""
        self._settings = settings
        self._looks = looks
        self._wake.set()

    def next_runs(self) -> dict[str, float]:
        """Return when each enabled job is due next, as a time of the event loop's clock in seconds."""
        return {job: cron.handle.when() for job, cron in self._crons.items() if cron.handle is not None}

    async def _look_again_and_again(self, group: TaskGroup) -> None:
        away = False
        while True:
            self._wake = anyio.Event()
            self._turned()
            try:
                await self._look(group)
            except (RedisError, StoreError) as error:
                if not away:
                    logger.warning("schedules_unavailable", reason=f"{type(error).__name__}: {error}")
                away = True
            else:
                away = False
            with anyio.move_on_after(self._poll_s):
                await self._wake.wait()

    async def _look(self, group: TaskGroup) -> None:
        """Begin the runs that are due, asked for or interrupted. It raises RedisError or StoreError, after which
        another look does the rest."""
        state = await self._board.state()
        await self._take_over(state)
        for job in self._jobs:
            left, request = state.under_way.get(job), state.requests.get(job)
            if (left or request or job in self._due) and await self._is_left_to_others(job):
                continue
            if left is not None and job not in self._running:
                await self._resume(group, left)
            await self._run_if_due(group, job, state)
            if request is not None:
                run = Run(request.run_id, job, started_at=self._now(), options=request.options)
                await self._start(group, run, ("request", request.text))
        for name, look in self._looks.items():
            if not state.overrides.get(look.job, True):
                continue  # A command has disabled the job, and so all that it does by itself.
            due_at = look.due_at(self._now())
            if look.job in self._jobs and look.job not in self._running and due_at > state.looks.get(name, 0):
                run = self._new_run(look.job, "schedule")
                run.options = look.options
                await self._start(group, run, ("look", f"{name} {due_at}"))

    async def _is_left_to_others(self, job: str) -> bool:
        is_left = self._left_to_others.get(job)
        return is_left is not None and await is_left(self._now())

    async def _take_over(self, state: State) -> None:
        """Use the schedules of the configuration, as the overrides of the command line change them."""
        for job, schedule in schedules_of(self._settings).items():
            if job not in self._jobs:
                continue
            enabled = state.overrides.get(job, schedule.enabled)
            if job in state.overrides and enabled == schedule.enabled:
                await self._board.drop_override(job, enabled=enabled)
            if not enabled and job in state.ticks:
                await self._board.forget_ticks(job)
            elif enabled and job not in state.ticks:
                await self._board.first_seen(job, self._now())
            self._set(job, replace(schedule, enabled=enabled))

    def _set(self, job: str, schedule: Schedule) -> None:
        if self._schedules.get(job) == schedule:
            return
        self._schedules[job] = schedule
        if cron := self._crons.pop(job, None):
            cron.stop()
        self._due.pop(job, None)
        if schedule.enabled:
            # This tick may have been missed; the board says whether it was.
            self._due[job] = latest_tick(schedule, self._now()), "catch_up"
            zone = ZoneInfo(schedule.timezone)
            cron = aiocron.crontab(schedule.cron, func=self._time_has_come, args=(job,), start=False, tz=zone)
            cron.start()
            self._crons[job] = cron

    def _time_has_come(self, job: str) -> None:
        self._due[job] = latest_tick(self._schedules[job], self._now() + _EARLY), "schedule"
        self._wake.set()

    async def _run_if_due(self, group: TaskGroup, job: str, state: State) -> None:
        if job not in self._due or job not in state.ticks:
            return
        tick, trigger = self._due[job]
        if tick.timestamp() > state.ticks[job]:
            if (self._now() - tick).total_seconds() > self._settings.grace_s:
                logger.warning("job_skipped", job=job, reason="its time is over", scheduled_for=tick.isoformat())
            else:
                run = self._new_run(job, trigger, scheduled_for=tick)
                if await self._start(group, run, ("tick", int(tick.timestamp()))) == "busy":
                    logger.info("job_skipped", job=job, reason="the last run is still under way")
        # A newer tick may have come meanwhile; that one stays.
        if self._due.get(job) == (tick, trigger):
            del self._due[job]

    async def _resume(self, group: TaskGroup, left: Run) -> None:
        """Continue a run if its daemon has gone. A run that has lost its daemon too often is given up."""
        breakdowns = left.breakdowns + (left.outcome == "running")
        if breakdowns <= MAX_BREAKDOWNS:
            run = self._new_run(left.job, "resume", scheduled_for=left.scheduled_for)
            run.options, run.resumes, run.breakdowns = left.options, left.id, breakdowns
            await self._start(group, run, ("resume", left.id))
        elif await self._board.end(left, only_if_gone=True):
            logger.error("job_given_up", job=left.job, run=left.id, breakdowns=breakdowns)
            await self._close(left)

    def _new_run(self, job: str, trigger: Trigger, *, scheduled_for: datetime | None = None) -> Run:
        now = self._now()
        return Run(new_run_id(now), job, trigger, started_at=now, scheduled_for=scheduled_for)

    async def _start(self, group: TaskGroup, run: Run, claim: Claim) -> Answer:
        """Begin a run if the board gives it to this daemon."""
        answer, left = await self._board.start(run, claim, self._lease_s)
        if answer == "started":
            self._running.add(run.job)
            group.start_soon(self._execute, run, left, name=f"job {run.job}")
        return answer

    async def _execute(self, run: Run, left: Run | None) -> None:
        try:
            if left is not None:
                await self._close(left)
            execution = Execution(run, self._jobs[run.job], self._board, self._recorder, self._lease_s, self._now)
            await execution.perform()
        finally:
            self._running.discard(run.job)
            self._wake.set()

    async def _close(self, left: Run) -> None:
        """Record the end of a run whose daemon has gone, unless that daemon has recorded it itself."""
        if left.outcome == "running":
            reason = f"its daemon (pid {left.pid} on {left.host}) has gone"
            ended = replace(left, outcome="interrupted", ended_at=self._now(), error=reason, error_kind="interrupted")
            await self._recorder.close(ended)

    async def _tidy(self) -> None:
        while True:
            await anyio.sleep(_TIDY_EVERY_S)
            try:
                await self._recorder.tidy(self._now(), self._settings.keep_runs_days)
            except (StoreError, RedisError) as error:
                logger.debug("run_records_not_tidied", reason=f"{type(error).__name__}: {error}")
