"""The cron scheduler: due jobs run, never twice at once, and times change while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from securechain_ingest.errors import StoreError
from securechain_ingest.schedule import Job, Schedule, Scheduler

EVERY_SECOND = Schedule("* * * * * *", "UTC", enabled=True)
YEARLY = Schedule("0 0 1 1 *", "UTC", enabled=True)
OFF = Schedule("* * * * * *", "UTC", enabled=False)


@asynccontextmanager
async def running(jobs: dict[str, Job], schedule: Schedule) -> AsyncIterator[Scheduler]:
    scheduler = Scheduler(jobs, dict.fromkeys(jobs, schedule))
    task = asyncio.create_task(scheduler.run())
    await asyncio.sleep(0)
    yield scheduler
    task.cancel()
    await asyncio.wait([task])


async def test_a_job_runs_when_its_time_has_come() -> None:
    ran = asyncio.Event()

    async def job() -> None:
        ran.set()

    async with running({"job": job}, EVERY_SECOND):
        await asyncio.wait_for(ran.wait(), 10)


async def test_a_job_whose_schedule_changes_runs_at_the_new_time() -> None:
    ran = asyncio.Event()

    async def job() -> None:
        ran.set()

    async with running({"job": job}, YEARLY) as scheduler:
        scheduler.apply({"job": EVERY_SECOND})
        await asyncio.wait_for(ran.wait(), 10)


async def test_a_disabled_job_runs_only_on_demand() -> None:
    runs: list[str] = []
    ran = asyncio.Event()

    async def job() -> None:
        runs.append("run")
        ran.set()

    async with running({"job": job}, OFF) as scheduler:
        assert not scheduler.next_runs()
        scheduler.trigger("job")
        await asyncio.wait_for(ran.wait(), 10)
    assert runs == ["run"]


async def test_two_runs_of_one_job_never_overlap() -> None:
    started = 0
    finish = asyncio.Event()

    async def job() -> None:
        nonlocal started
        started += 1
        await finish.wait()

    async with running({"job": job}, YEARLY) as scheduler:
        scheduler.trigger("job")
        scheduler.trigger("job")
        finish.set()
        await asyncio.sleep(0)
    assert started == 1


async def test_a_job_that_fails_leaves_the_scheduler_running() -> None:
    ran = asyncio.Event()

    async def failing() -> None:
        raise StoreError("the store is away")

    async def job() -> None:
        ran.set()

    async with running({"failing": failing, "job": job}, YEARLY) as scheduler:
        scheduler.trigger("failing")
        scheduler.trigger("job")
        await asyncio.wait_for(ran.wait(), 10)


async def test_an_unchanged_schedule_keeps_its_next_run() -> None:
    async def job() -> None: ...

    async with running({"job": job}, YEARLY) as scheduler:
        before = scheduler.next_runs()
        scheduler.apply({"job": YEARLY})
        assert scheduler.next_runs() == before
