"""This module runs jobs at their times, each once among all daemons on a Redis, and when a command asks for a run.

aiocron makes a timer of the event loop from each cron expression and its time zone, and follows every change of the
clock. A timer only wakes the scheduler. What has to be done then is found by polling the shared board again and
again. A time that comes while Redis is away, a run whose daemon has ended, an override and a request of the command
line are therefore all found in the same way, and no message has to arrive at the right moment.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Literal
from zoneinfo import ZoneInfo

import aiocron
import anyio
import structlog
from anyio.abc import TaskGroup
from redis.exceptions import RedisError

from securechain_ingest.ecosystem_settings import ScheduleSettings
from securechain_ingest.errors import StoreError
from securechain_ingest.runs import Job, Run, Trigger, new_run_id, utc_now
from securechain_ingest.schedules.board import Answer, Board, Claim, State
from securechain_ingest.schedules.execution import LAST_WORDS_S, execute
from securechain_ingest.schedules.recorder import Recorder
from securechain_ingest.schedules.timetable import Look, Schedule, latest_tick, schedules_of

logger = structlog.get_logger(__name__)

MAX_BREAKDOWNS = 3
"""A run that has ended with its daemon is resumed so many times in a row; after that its next tick is waited for."""


class Scheduler:
    """A scheduler polls the board every `poll_s` seconds and at every tick, and calls `turned` before each poll.

    `jobs` are those that this daemon can do; `now` returns the time in UTC; a run has a lease of `lease_s` seconds.
    While `left_to_others` answers True for a job at a moment, other daemons may begin its runs and this one does not;
    only its looks are begun. It raises StoreError.

    `ecosystem_of` says of a job whose registry it asks. While an operator has paused that ecosystem, no run of the job
    is begun, and one under way is interrupted, to be resumed when the pause ends.
    """

    def __init__(
        self,
        jobs: Mapping[str, Job],
        settings: ScheduleSettings,
        board: Board,
        recorder: Recorder,
        *,
        lease_s: float,
        looks: Mapping[str, Look],
        left_to_others: Mapping[str, Callable[[datetime], Awaitable[bool]]],
        ecosystem_of: Mapping[str, str],
        poll_s: float = 1.0,
        now: Callable[[], datetime] = utc_now,
        turned: Callable[[], None] = lambda: None,
    ) -> None:
        self._jobs = dict(jobs)
        self._settings = settings
        self._looks = looks
        self._left_to_others = left_to_others
        self._ecosystem_of = ecosystem_of
        self._board = board
        self._recorder = recorder
        self._lease_s = lease_s
        self._poll_s = poll_s
        self._now = now
        self._turned = turned
        self._timers: dict[str, tuple[Schedule, aiocron.Cron, datetime]] = {}
        """This has the timer of each enabled job, with its schedule and the time at which it was made."""
        self._running: dict[str, anyio.CancelScope] = {}
        """This maps the job of each run under way here to what interrupts the run."""
        self._failing: set[str] = set()
        """These steps fail, and the log has said so."""
        self._wake = anyio.Event()
        self._runs = anyio.CancelScope()

    async def run(self) -> None:
        """Run until cancelled or stopped. Both interrupt the runs under way in an orderly way."""
        try:
            with self._runs:
                async with anyio.create_task_group() as group:
                    group.start_soon(self._keep_records, name="run records")
                    await self._poll_again_and_again(group)
        finally:
            for _, timer, _ in self._timers.values():
                timer.stop()
            with anyio.move_on_after(LAST_WORDS_S, shield=True):
                await self._try("record", self._record)

    def stop(self) -> None:
        """Begin nothing more and interrupt the runs under way. Another daemon, or the next one, resumes them."""
        self._runs.cancel()

    def apply(self, settings: ScheduleSettings, looks: Mapping[str, Look]) -> None:
        """Apply new times. An unchanged schedule keeps its next run, and a run under way is finished in any case."""
        self._settings = settings
        self._looks = looks
        self._poll_now()

    def _poll_now(self) -> None:
        self._wake.set()

    async def _poll_again_and_again(self, group: TaskGroup) -> None:
        while True:
            self._wake = anyio.Event()
            self._turned()
            await self._try("poll", partial(self._poll, group))
            with anyio.move_on_after(self._poll_s):
                await self._wake.wait()

    async def _keep_records(self) -> None:
        while True:
            await self._try("record", self._record)
            await anyio.sleep(self._poll_s)

    async def _record(self) -> None:
        await self._recorder.bring_up_to_date(self._now(), self._settings.keep_runs_days)

    async def _try(self, name: Literal["poll", "record"], step: Callable[[], Awaitable[None]]) -> None:
        """Do a step that the next one completes if a store is away. The log names the first failure only."""
        try:
            await step()
        except (RedisError, StoreError) as error:
            if name not in self._failing:
                reason = f"{type(error).__name__}: {error}"
                logger.warning("schedules_unavailable" if name == "poll" else "run_not_recorded", reason=reason)
            self._failing.add(name)
        else:
            self._failing.discard(name)

    async def _poll(self, group: TaskGroup) -> None:
        """Begin the runs that are due, asked for or interrupted. It raises RedisError or StoreError."""
        state = await self._board.state()
        await self._set_timers(state)
        paused = {job for job in self._jobs if self._ecosystem_of.get(job) in state.paused}
        for job in paused & self._running.keys():
            self._running[job].cancel()
        for job in self._jobs:
            if job in paused:
                continue
            left, tick, request = state.under_way.get(job), self._due(job, state), state.requests.get(job)
            if (left or tick or request) and await self._is_left_to_others(job):
                continue
            if left is not None and job not in self._running:
                await self._resume(group, left)
            if tick is not None:
                await self._run_at(group, job, tick, left)
            if request is not None:
                asked = {"id": request.run_id, "options": request.options}
                await self._start(group, job, ("requests", job, request.text), left, "command", **asked)
        for name, look in self._looks.items():
            # A command that disables the job disables all that it does by itself.
            is_free = look.job in self._jobs.keys() - self._running.keys() - paused
            may_run = is_free and state.overrides.get(look.job, True)
            if may_run and (due_at := look.due_at(self._now())) > state.looks.get(name, 0):
                left = state.under_way.get(look.job)
                if left and not left.is_look and await self._is_left_to_others(look.job):
                    continue  # It would take the place of a run that another daemon goes on with.
                await self._start(group, look.job, ("looks", name, due_at), left, "schedule", options=look.options)

    async def _is_left_to_others(self, job: str) -> bool:
        ask = self._left_to_others.get(job)
        return ask is not None and await ask(self._now())

    def _due(self, job: str, state: State) -> datetime | None:
        """Return the tick that nobody has claimed yet, if the job is enabled and has one."""
        if job not in self._timers or job not in state.ticks:
            return None
        tick = latest_tick(self._timers[job][0], self._now())
        return tick if tick.timestamp() > state.ticks[job] else None

    async def _set_timers(self, state: State) -> None:
        """Use the schedules of the configuration, as the overrides of the command line change them."""
        schedules = schedules_of(self._settings)
        for job in self._jobs:
            schedule = schedules[job]
            enabled = state.overrides.get(job, schedule.enabled)
            if job in state.overrides and enabled == schedule.enabled:
                await self._board.drop_override(job, enabled=enabled)
            # The configuration of this daemon alone says nothing about the others, which share the ticks.
            if state.overrides.get(job) is False and job in state.ticks:
                await self._board.forget_ticks(job)
            elif enabled and job not in state.ticks:
                await self._board.first_seen(job, self._now())
            if job in self._timers and not (enabled and self._timers[job][0] == schedule):
                self._timers.pop(job)[1].stop()
            if enabled and job not in self._timers:
                zone = ZoneInfo(schedule.timezone)
                timer = aiocron.crontab(schedule.cron, func=self._poll_now, start=False, tz=zone)
                timer.start()
                self._timers[job] = schedule, timer, self._now()

    async def _run_at(self, group: TaskGroup, job: str, tick: datetime, left: Run | None) -> None:
        if (self._now() - tick).total_seconds() > self._settings.grace_s:
            logger.warning("job_skipped", job=job, reason="its time is over", scheduled_for=tick.isoformat())
            await self._board.pass_over(job, tick)
            return
        trigger: Trigger = "schedule" if tick > self._timers[job][2] else "catch_up"
        claim: Claim = "ticks", job, int(tick.timestamp())
        if await self._start(group, job, claim, left, trigger, scheduled_for=tick) == "busy":
            logger.info("job_skipped", job=job, reason="the last run is still under way")

    async def _resume(self, group: TaskGroup, left: Run) -> None:
        """Continue a run if its daemon has gone. A run that has lost its daemon too often is given up."""
        breakdowns = left.breakdowns + (left.outcome == "running")
        if breakdowns <= MAX_BREAKDOWNS:
            kept = {"scheduled_for": left.scheduled_for, "options": left.options}
            claim: Claim = "marks", left.job, left.id
            await self._start(group, left.job, claim, left, "resume", **kept, resumes=left.id, breakdowns=breakdowns)
        elif await self._board.end(left.lost(max(self._now(), left.started_at)), is_given_up=True):
            logger.error("job_given_up", job=left.job, run=left.id, breakdowns=breakdowns)

    async def _start(
        self, group: TaskGroup, job: str, claim: Claim, left: Run | None, trigger: Trigger, **about: Any
    ) -> Answer:
        """Begin a run with the fields `about` if the board gives it to this daemon. It follows the run that is `left`
        on the board."""
        leased_at, now = anyio.current_time(), self._now()
        run = Run.model_validate({"id": new_run_id(now), "job": job, "trigger": trigger, "started_at": now} | about)
        answer = await self._board.start(run, claim, self._lease_s, left)
        if answer == "started":
            paused = self._running[job] = anyio.CancelScope()
            group.start_soon(self._execute, run, paused, leased_at, name=f"job {job}")
        return answer

    async def _execute(self, run: Run, paused: anyio.CancelScope, leased_at: float) -> None:
        job = self._jobs[run.job]
        try:
            await execute(run, job, self._board, paused, lease_s=self._lease_s, leased_at=leased_at, now=self._now)
        finally:
            # The next run of the job may have begun as soon as the board had the end of this one.
            if self._running.get(run.job) is paused:
                del self._running[run.job]
            self._poll_now()
