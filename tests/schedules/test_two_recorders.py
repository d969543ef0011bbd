"""This tests daemons that bring the records of runs to MongoDB at the same time, one of them slowly."""

from __future__ import annotations

import asyncio

from securechain_ingest.queue.run_counts import run_counts
from securechain_ingest.runs import Run
from securechain_ingest.runs.store import RunStore
from securechain_ingest.schedules.board import Board
from securechain_ingest.schedules.recorder import Recorder
from tests.schedules.conftest import STREAM, Installation
from tests.schedules.test_run_records import NOW, count, ended, stored, tidy
from tests.waiting import Gate


class SlowStore(RunStore):
    """MongoDB is slow for the daemon that has this."""

    def __init__(self, runs: RunStore) -> None:
        super().__init__(runs._collection)
        self.gate = Gate(None)

    async def save(self, run: Run) -> None:
        await self.gate(run)
        await super().save(run)


class SlowBoard(Board):
    """Redis is slow for the daemon that has this, when it asks for the runs under way."""

    def __init__(self, installation: Installation) -> None:
        super().__init__(installation.redis, STREAM)
        self.gate = Gate(None)

    async def under_way(self) -> dict[str, Run]:
        await self.gate(None)
        return await super().under_way()


def recorder(installation: Installation, board: Board | None = None, runs: RunStore | None = None) -> Recorder:
    return Recorder(installation.redis, runs or installation.runs, board or installation.board, STREAM)


async def test_a_record_that_is_saved_late_keeps_the_final_counts_of_another_daemon(installation: Installation) -> None:
    record, slow = ended(), SlowStore(installation.runs)
    await count(installation, record, succeeded=3, versions=4)
    await installation.board.end(record)
    late = asyncio.create_task(recorder(installation, runs=slow).save())
    await slow.gate.entered.wait()
    await recorder(installation).save()
    await tidy(installation)
    assert (await stored(installation, record)).metrics["packages_processed"] == 3

    slow.gate.opened.set()
    await late

    found = await stored(installation, record)
    assert (found.settled, found.metrics.get("packages_processed")) == (True, 3)


async def test_counts_that_were_read_before_the_end_of_a_run_are_not_its_final_ones(installation: Installation) -> None:
    run, slow = Run(id=ended().id, job=ended().job, started_at=NOW), SlowBoard(installation)
    assert await installation.board.start(run, ("ticks", run.job, 1), 30.0) == "started"
    await count(installation, run, succeeded=1, versions=1, open=0)
    tidying = asyncio.create_task(recorder(installation, board=slow).tidy(NOW, 90))
    await slow.gate.entered.wait()
    await count(installation, run, open=2)
    await installation.board.end(ended().model_copy(update={"id": run.id}))
    await recorder(installation).save()

    slow.gate.opened.set()
    await tidying
    assert not (await stored(installation, run)).settled
    await count(installation, run, succeeded=2, versions=2, open=-2)
    await tidy(installation)

    found = await stored(installation, run)
    assert (found.settled, found.metrics["packages_processed"]) == (True, 3)
    assert await run_counts(installation.redis, STREAM) == {}
