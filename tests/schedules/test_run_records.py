"""This tests what a record says of the packages that its run has queued, and how long records are kept."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import anyio
import pytest
from structlog.testing import capture_logs

from securechain_ingest.errors import StoreError
from securechain_ingest.queue.run_counts import NONE, RunCounts, run_counts
from securechain_ingest.runs import Job, Run, RunOutcome, new_run_id
from securechain_ingest.runs.metrics import completed_metrics, final_metrics
from securechain_ingest.schedules.execution import execute
from securechain_ingest.schedules.recorder import Recorder
from tests.schedules.conftest import STREAM, Installation

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
UPDATES, INGESTION = "npm_packages_updates", "npm_package_ingestion"


def ended(job: str = UPDATES, queued: int = 3, outcome: RunOutcome = "succeeded") -> Run:
    metrics = {"queued": queued, "errors": 0.0}
    return Run(id=new_run_id(NOW), job=job, started_at=NOW, outcome=outcome, ended_at=NOW, metrics=metrics)


async def count(installation: Installation, record: Run, **counts: int) -> None:
    """Count packages as messages are settled."""
    for name, number in counts.items():
        await installation.redis.hincrby(f"{STREAM}-run-counts", f"{record.id}:{name}", number)


async def tidy(installation: Installation, now: datetime = NOW, keep_days: int = 90) -> None:
    await Recorder(installation.redis, installation.runs, installation.board, STREAM).tidy(now, keep_days)


async def stored(installation: Installation, record: Run) -> Run:
    found = await installation.runs.get(record.id)
    assert found is not None
    return found


async def test_a_record_is_completed_once_all_that_its_run_has_queued_is_settled(installation: Installation) -> None:
    record = ended()
    await installation.runs.save(record)
    await count(installation, record, succeeded=1, versions=4, open=2)
    await tidy(installation)
    assert not (await stored(installation, record)).settled

    await count(installation, record, succeeded=1, failed=1, versions=3, open=-2, merged=2)
    await tidy(installation)
    found = await stored(installation, record)
    assert found.settled
    assert found.metrics == {
        "queued": 3,
        "packages_processed": 3,
        "total_versions": 7,
        "errors": 1,
        "success_rate": 66.67,
        "merged": 2,
    }
    assert await run_counts(installation.redis, STREAM) == {}


async def test_progress_that_is_saved_late_does_not_replace_the_end_of_a_run(installation: Installation) -> None:
    run = ended()
    progress = run.model_copy(update={"outcome": "running", "ended_at": None, "metrics": {"queued": 1}})
    for each in (progress, run, progress):
        await installation.runs.save(each)
    assert await stored(installation, run) == run


async def test_an_ingestion_also_tells_how_much_of_the_registry_it_brought(installation: Installation) -> None:
    record = ended(INGESTION)
    record.metrics |= {"total_in_registry": 12, "skipped_existing": 9}
    await installation.runs.save(record)
    await count(installation, record, succeeded=3, versions=5)
    await tidy(installation)
    metrics = (await stored(installation, record)).metrics
    assert (metrics["new_packages_ingested"], metrics["ingestion_rate"]) == (3, 25.0)
    assert (metrics["total_in_registry"], metrics["skipped_existing"]) == (12, 9)


async def test_two_daemons_that_tidy_at_once_count_nothing_twice(installation: Installation) -> None:
    record = ended()
    await installation.runs.save(record)
    await count(installation, record, succeeded=3, versions=3)
    await asyncio.gather(*(tidy(installation) for _ in range(4)))
    assert (await stored(installation, record)).metrics["packages_processed"] == 3


async def test_packages_that_wait_are_waited_for_however_long_that_takes(installation: Installation) -> None:
    record = ended()
    await installation.runs.save(record)
    await count(installation, record, succeeded=1, open=1)
    await tidy(installation, NOW + timedelta(days=80))
    assert not (await stored(installation, record)).settled
    await count(installation, record, cancelled=1, open=-1)
    await tidy(installation, NOW + timedelta(days=81))
    found = await stored(installation, record)
    assert (found.settled, found.metrics["packages_processed"], found.metrics["cancelled"]) == (True, 1, 1)
    assert await run_counts(installation.redis, STREAM) == {}


async def test_counts_of_a_submission_that_waits_are_kept(installation: Installation) -> None:
    await count(installation, ended(), succeeded=1, open=1)
    await tidy(installation)
    assert len(await run_counts(installation.redis, STREAM)) == 1


async def test_counts_of_a_run_whose_record_is_gone_go_too(installation: Installation) -> None:
    await count(installation, ended(), succeeded=1)
    await tidy(installation)
    assert await run_counts(installation.redis, STREAM) == {}


async def test_records_are_kept_for_the_days_that_the_configuration_says(installation: Installation) -> None:
    old = ended().model_copy(update={"started_at": NOW - timedelta(days=31)})
    young = ended().model_copy(update={"started_at": NOW - timedelta(days=29)})
    for record in (old, young):
        await installation.runs.save(record)
    await tidy(installation, keep_days=30)
    assert [record.id for record in await installation.runs.newest(10)] == [young.id]


@pytest.mark.parametrize("outcome", ["succeeded", "failed"])
async def test_a_run_that_has_queued_nothing_is_settled_at_its_end(
    installation: Installation, outcome: RunOutcome
) -> None:
    async def job(run: Run) -> None:
        run.metrics |= {"queued": 0, "errors": 0.0}
        if outcome == "failed":
            raise StoreError("the store is away")

    record = await performed(installation, job)
    assert (record.outcome, record.settled) == (outcome, True)
    assert record.metrics["packages_processed"] == 0
    assert "success_rate" not in record.metrics


async def test_a_run_that_has_queued_something_is_not_settled_at_its_end(installation: Installation) -> None:
    async def job(run: Run) -> None:
        run.metrics["queued"] = 1

    record = await performed(installation, job)
    assert (record.outcome, record.settled, record.metrics) == ("succeeded", False, {"queued": 1})


async def performed(installation: Installation, job: Job) -> Run:
    """Return the record of a run of the job, from beginning to end."""
    run = ended()
    begun = Run(id=run.id, job=UPDATES, started_at=NOW)
    assert await installation.board.start(begun, ("ticks", UPDATES, 1), 30.0) == "started"
    await execute(
        begun,
        job,
        installation.board,
        anyio.CancelScope(),
        lease_s=30.0,
        leased_at=anyio.current_time(),
        now=lambda: NOW,
    )
    await Recorder(installation.redis, installation.runs, installation.board, STREAM).save()
    return await stored(installation, run)


async def test_a_record_that_mongodb_refuses_does_not_hold_up_the_others(installation: Installation) -> None:
    too_large = ended().model_copy(update={"id": "0-first", "error": "x" * 17_000_000})
    other = ended()
    for each in (too_large, other):
        await installation.board.end(each)
    with capture_logs() as logs:
        await Recorder(installation.redis, installation.runs, installation.board, STREAM).save()
    assert [(line["event"], line["run"]) for line in logs] == [("run_record_lost", too_large.id)]
    assert (await stored(installation, other)).outcome == "succeeded"
    assert await installation.board.kept() == []


async def test_counts_outlast_the_time_in_which_the_record_is_on_its_way(installation: Installation) -> None:
    record = ended()
    await count(installation, record, succeeded=3, versions=3)
    await installation.board.end(record)
    await tidy(installation)
    recorder = Recorder(installation.redis, installation.runs, installation.board, STREAM)
    await recorder.save()
    await recorder.tidy(NOW, 90)
    assert (await stored(installation, record)).metrics["packages_processed"] == 3


def test_a_run_that_has_queued_no_packages_by_its_kind_has_no_such_metrics() -> None:
    record = ended("advisory_sync").model_copy(update={"metrics": {"advisories_read": 5}})
    assert completed_metrics(record, NONE) == {"advisories_read": 5}


@pytest.mark.parametrize(
    "record", [ended(outcome="interrupted"), ended(outcome="running")], ids=lambda run: run.outcome
)
def test_a_run_that_goes_on_has_no_final_metrics(record: Run) -> None:
    assert final_metrics(record, NONE) is None


def test_counts_that_are_final_are_not_counted_again() -> None:
    record = ended().model_copy(update={"settled": True})
    assert completed_metrics(record, RunCounts(succeeded=2)) == record.metrics
