"""This tests stores that go away under the scheduler: nothing runs twice, nothing is left out, no record is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from securechain_ingest.drivers.mongodb import connected
from securechain_ingest.drivers.redis_connection import connect
from securechain_ingest.errors import StoreAway
from securechain_ingest.runs import Job, Run, new_run_id
from securechain_ingest.runs.store import RunStore
from securechain_ingest.schedules import execution
from securechain_ingest.schedules.board import Board, RunRequest
from securechain_ingest.schedules.recorder import Recorder
from tests.queue.cut_connection import Proxy
from tests.schedules.conftest import JOB, STREAM, Installation, settings
from tests.stores import AdvisoryTarget
from tests.waiting import until

EVERY_SECOND = "* * * * * *"


async def nothing(_run: Run) -> None: ...


@asynccontextmanager
async def with_redis_to_cut(installation: Installation, redis_url: str) -> AsyncIterator[tuple[Installation, Proxy]]:
    """Yield the same installation as a daemon sees it whose connection to Redis can be cut."""
    # The daemon's own client: the driver's takes an idle connection that was reset for a good one, and fails once more.
    async with Proxy(redis_url).listening() as proxy, connect(proxy.url, 60.0) as redis:
        yield replace(installation, redis=redis, board=Board(redis, STREAM)), proxy


@asynccontextmanager
async def with_records_to_cut(
    installation: Installation, target: AdvisoryTarget
) -> AsyncIterator[tuple[Installation, Proxy]]:
    """Yield the same installation as a daemon sees it whose connection to MongoDB can be cut."""
    async with Proxy(target.uri).listening() as proxy, connected(proxy.url, 0.5) as client:
        yield replace(installation, runs=RunStore(client[target.database]["ingest_runs"])), proxy


def begun_now() -> Run:
    now = datetime.now(UTC).replace(microsecond=0)
    return Run(id=new_run_id(now), job=JOB, started_at=now)


async def records(installation: Installation) -> list[Run]:
    return [record for record in await installation.runs.newest(100) if record.outcome != "running"]


async def test_ticks_that_come_while_redis_is_away_are_run_once_it_is_back_and_only_once(
    installation: Installation, redis_url: str
) -> None:
    async with with_redis_to_cut(installation, redis_url) as (cut_off, proxy):
        with capture_logs() as logs:
            async with cut_off.scheduler(nothing, settings(EVERY_SECOND, grace_s=60)):
                await until(lambda: records(installation))
                proxy.cut()
                cut_at = datetime.now(UTC)
                await until(lambda: "schedules_unavailable" in [log["event"] for log in logs])
                await until(lambda: datetime.now(UTC) > cut_at + timedelta(seconds=1))  # A tick has come.
                proxy.mend()

                async def one_of_the_outage() -> bool:
                    return any((run.scheduled_for or cut_at) > cut_at for run in await records(installation))

                await until(one_of_the_outage)
    ticks = [run.scheduled_for for run in await installation.runs.newest(100)]
    assert len(set(ticks)) == len(ticks)
    assert [log["event"] for log in logs].count("schedules_unavailable") == 1


async def test_a_run_that_cannot_renew_its_lease_ends_before_another_daemon_takes_it_up(
    installation: Installation, redis_url: str
) -> None:
    under_way: list[str] = []
    let_through = asyncio.Event()

    def job_of(runs: list[Run]) -> Job:
        async def job(run: Run) -> None:
            runs.append(run)
            under_way.append(run.id)
            assert len(under_way) == 1, "two at once"
            try:
                await let_through.wait()
            finally:
                under_way.remove(run.id)

        return job

    # A daemon that is slow may lose its lease earlier and resume its own run before it is cut off.
    of_the_first: list[Run] = []
    of_the_second: list[Run] = []
    async with (
        with_redis_to_cut(installation, redis_url) as (cut_off, proxy),
        cut_off.scheduler(job_of(of_the_first), settings(), lease_s=2.0),
    ):
        await installation.board.request(JOB, RunRequest("0-first", {}))
        await until(lambda: of_the_first)
        proxy.cut()
        async with installation.scheduler(job_of(of_the_second), settings()):
            await until(lambda: of_the_second)
            proxy.mend()
            let_through.set()

            async def both_ended() -> list[Run] | None:
                found = {record.id: record for record in await records(installation)}
                both = [found.get(run.id) for run in (of_the_first[-1], of_the_second[-1])]
                return [record for record in both if record] if all(both) else None

            first, second = await until(both_ended)
    assert len(of_the_second) == 1
    assert first.outcome == "interrupted"
    assert (second.resumes, second.outcome) == (first.id, "succeeded")


async def test_a_stop_does_not_wait_for_a_redis_that_is_away_longer_than_for_last_words(
    installation: Installation, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "LAST_WORDS_S", 0.05)
    has_begun, let_through = asyncio.Event(), asyncio.Event()

    async def job(_run: Run) -> None:
        has_begun.set()
        await let_through.wait()

    with capture_logs() as logs:
        async with (
            asyncio.timeout(60),
            with_redis_to_cut(installation, redis_url) as (cut_off, proxy),
            cut_off.scheduler(job, settings(), lease_s=120.0),
        ):
            await installation.board.request(JOB, RunRequest("the run", {}))
            await has_begun.wait()
            proxy.cut()
            let_through.set()
            await until(lambda: "job_finished" in [log["event"] for log in logs])
    assert [log["run"] for log in logs if log["event"] == "run_record_lost"] == ["the run"]


async def test_a_run_ends_while_mongodb_is_away_and_its_record_is_stored_later(
    installation: Installation, advisory_target: AdvisoryTarget
) -> None:
    async def counting(run: Run) -> None:
        run.metrics["advisories_read"] = 7

    async with with_records_to_cut(installation, advisory_target) as (cut_off, proxy):
        recorder = Recorder(cut_off.redis, cut_off.runs, cut_off.board, STREAM)
        proxy.cut()
        async with cut_off.scheduler(counting, settings()):
            await installation.board.request(JOB, RunRequest("unheard", {}))
            [kept] = await until(installation.board.kept)
        assert (kept.id, kept.outcome, kept.metrics) == ("unheard", "succeeded", {"advisories_read": 7})
        assert await installation.runs.newest(10) == []

        proxy.mend()

        async def stored() -> bool:
            try:
                await recorder.save()
            except StoreAway:
                return False  # The driver has not found the server again yet.
            return True

        await until(stored)
    assert await installation.runs.newest(10) == [kept]
    assert await installation.board.kept() == []


async def test_the_end_of_a_run_whose_daemon_has_died_is_kept_too(
    installation: Installation, advisory_target: AdvisoryTarget
) -> None:
    left = begun_now()
    assert await installation.board.start(left, ("ticks", JOB, 1), 0.05) == "started"

    async def both_kept() -> list[Run] | None:
        kept = await installation.board.kept()
        return kept if len(kept) == 2 else None

    async with with_records_to_cut(installation, advisory_target) as (cut_off, proxy):
        proxy.cut()
        async with cut_off.scheduler(nothing, settings()):
            found = {run.id: run for run in await until(both_kept)}
    closed = found.pop(left.id)
    [resumed] = found.values()
    assert (closed.outcome, closed.started_at) == ("interrupted", left.started_at)
    assert (resumed.resumes, resumed.outcome) == (left.id, "succeeded")


@pytest.mark.parametrize("times", [1, 2])
async def test_what_is_kept_is_stored_once_by_however_many_daemons(installation: Installation, times: int) -> None:
    now = begun_now()
    record = now.model_copy(update={"outcome": "succeeded", "ended_at": now.started_at})
    await installation.board.end(record)
    recorder = Recorder(installation.redis, installation.runs, installation.board, STREAM)
    await asyncio.gather(*(recorder.save() for _ in range(times)))
    assert await installation.runs.newest(10) == [record]
    assert await installation.board.kept() == []
