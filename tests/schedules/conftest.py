"""These are daemons' schedulers on one Redis and one MongoDB, without the rest of the daemons."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import anyio
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from securechain_ingest.drivers.mongodb import connected
from securechain_ingest.ecosystem_settings import JOBS, ScheduleSettings
from securechain_ingest.runs import Job, Run, utc_now
from securechain_ingest.runs.store import RunStore
from securechain_ingest.schedules import execution
from securechain_ingest.schedules.board import Board
from securechain_ingest.schedules.recorder import Recorder
from securechain_ingest.schedules.scheduler import Scheduler
from securechain_ingest.schedules.timetable import Look
from tests.stores import AdvisoryTarget
from tests.waiting import until

STREAM = "package-extraction"
JOB = "advisory_sync"


def settings(cron: str = "0 0 1 1 *", *, enabled: bool = True, **others: Any) -> ScheduleSettings:
    """Return the settings of JOB; all other schedules are off."""
    disabled = tuple(name for name in JOBS if name != JOB or not enabled)
    return ScheduleSettings.model_validate({"disabled": disabled, JOB: cron, **others})


@dataclass(frozen=True, slots=True)
class Installation:
    """These are the stores that schedulers share."""

    redis: Redis
    board: Board
    runs: RunStore

    @asynccontextmanager
    async def scheduler(
        self,
        job: Job,
        schedules: ScheduleSettings,
        *,
        lease_s: float = 30.0,
        now: Callable[[], datetime] = utc_now,
        jobs: Mapping[str, Job] | None = None,
        looks: Mapping[str, Look] | None = None,
        left_to_others: Mapping[str, Callable[[datetime], Awaitable[bool]]] | None = None,
        ecosystem_of: Mapping[str, str] | None = None,
    ) -> AsyncIterator[Scheduler]:
        """Yield a running scheduler, which is cancelled at the end as a daemon cancels it."""
        recorder = Recorder(self.redis, self.runs, self.board, STREAM)
        scheduler = Scheduler(
            jobs or {JOB: job},
            schedules,
            self.board,
            recorder,
            lease_s=lease_s,
            looks=looks or {},
            left_to_others=left_to_others or {},
            ecosystem_of=ecosystem_of or {},
            poll_s=0.02,
            now=now,
        )
        async with anyio.create_task_group() as group:
            group.start_soon(scheduler.run)
            yield scheduler
            group.cancel_scope.cancel()


def next_runs(scheduler: Scheduler) -> dict[str, float]:
    """Return when each enabled job is due next, as a time of the event loop's clock in seconds."""
    return {job: timer.handle.when() for job, (_, timer, _) in scheduler._timers.items()}


async def ended(installation: Installation, count: int = 1) -> list[Run]:
    """Return the records, newest first, once that many runs have ended."""

    async def enough() -> list[Run] | None:
        records = await installation.runs.newest(50)
        return records if sum(record.outcome != "running" for record in records) >= count else None

    found: list[Run] = await until(enough, f"{count} ended runs")
    return found


@pytest.fixture
def renewals_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases are renewed again and again, however long they last."""
    monkeypatch.setattr(execution, "SAVE_EVERY_S", 0.02)


@pytest_asyncio.fixture
async def installation(redis_url: str, advisory_target: AdvisoryTarget) -> AsyncIterator[Installation]:
    async with connected(advisory_target.uri) as client, Redis.from_url(redis_url, socket_timeout=60) as redis:
        runs = RunStore(client[advisory_target.database]["ingest_runs"])
        await runs.ensure_indexes()
        yield Installation(redis, Board(redis, STREAM), runs)
