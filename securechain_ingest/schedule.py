"""The in-process cron scheduler: named jobs on cron expressions, changeable while the daemon runs (aiocron)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import aiocron
import anyio
import structlog
from anyio.abc import TaskGroup

from securechain_ingest.errors import IngestError

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a job runs: a cron expression in a time zone of the IANA database."""

    cron: str
    timezone: str
    enabled: bool


Job = Callable[[], Awaitable[object]]
"""Periodic work; raises IngestError when it could not be done, and is tried again at its next time."""


class Scheduler:
    """Runs each named job at its times; while a run is under way its next one is skipped."""

    def __init__(self, jobs: Mapping[str, Job], schedules: Mapping[str, Schedule]) -> None:
        self._jobs = dict(jobs)
        self._schedules = dict(schedules)
        self._crons: dict[str, aiocron.Cron] = {}
        self._running: set[str] = set()
        self._group: TaskGroup | None = None

    async def run(self) -> None:
        """Until cancelled, which also cancels the jobs under way."""
        try:
            async with anyio.create_task_group() as self._group:
                for name in self._jobs:
                    self._start(name)
                await anyio.sleep_forever()
        finally:
            for cron in self._crons.values():
                cron.stop()
            self._group = None

    def apply(self, schedules: Mapping[str, Schedule]) -> None:
        """Take new times; an unchanged schedule keeps its next run, and a run under way is finished in any case."""
        for name in self._jobs:
            if schedules[name] == self._schedules[name]:
                continue
            self._schedules[name] = schedules[name]
            if cron := self._crons.pop(name, None):
                cron.stop()
            if self._group is not None:
                self._start(name)

    def trigger(self, name: str) -> None:
        """Run a job now, unless it is under way."""
        if self._group is None:
            return
        if name in self._running:
            logger.info("job_skipped", job=name, reason="the last run is still under way")
            return
        self._running.add(name)
        self._group.start_soon(self._run, name, name=f"job {name}")

    def next_runs(self) -> dict[str, float]:
        """When each enabled job is due next, as a time of the event loop's clock in seconds."""
        return {name: cron.handle.when() for name, cron in self._crons.items() if cron.handle is not None}

    def _start(self, name: str) -> None:
        schedule = self._schedules[name]
        if schedule.enabled:
            zone = ZoneInfo(schedule.timezone)
            cron = aiocron.crontab(schedule.cron, func=self.trigger, args=(name,), start=False, tz=zone)
            cron.start()
            self._crons[name] = cron

    async def _run(self, name: str) -> None:
        logger.info("job_started", job=name)
        try:
            await self._jobs[name]()
        except IngestError as error:
            logger.warning("job_failed", job=name, kind=error.kind, reason=str(error))
        else:
            logger.info("job_finished", job=name)
        finally:
            self._running.discard(name)
