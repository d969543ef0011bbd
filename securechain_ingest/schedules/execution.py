"""This module executes one run of a job under its lease, from its first record to its last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

import anyio
import structlog
from redis.exceptions import RedisError

from securechain_ingest.errors import IngestError
from securechain_ingest.http.metering import Meter, metered
from securechain_ingest.metrics import RUNS
from securechain_ingest.runs import Job, Run, RunOutcome, as_json
from securechain_ingest.runs.counts import settled_at_once
from securechain_ingest.schedules.board import Board
from securechain_ingest.schedules.recorder import Recorder

logger = structlog.get_logger(__name__)

SAVE_EVERY_S = 5.0
"""The progress of a run is saved every so many seconds, if there is any."""

_LAST_WORDS_S = 5.0
"""An interrupted run may take so many seconds to record its end."""


@dataclass
class Execution:
    """This is a run whose lease is already held. The job is cancelled if the lease is lost or if `perform` is
    cancelled."""

    run: Run
    job: Job
    board: Board
    recorder: Recorder
    lease_s: float
    now: Callable[[], datetime]
    _meter: Meter = field(default_factory=Meter)
    _has_ended: bool = False
    """This says whether the end has been recorded; nothing that comes later changes the record."""

    async def perform(self) -> None:
        """Do the job. No failure of the job is raised: the log and the record say how it ended."""
        run = self.run
        # A look that finds nothing leaves no line in the log either.
        log = logger.debug if run.is_look else logger.info
        log("job_started", job=run.job, run=run.id, trigger=run.trigger)
        with anyio.CancelScope(deadline=anyio.current_time() + self.lease_s) as leased:
            try:
                async with anyio.create_task_group() as group:
                    group.start_soon(self._renew, leased, name=f"lease {run.job}")
                    if run.is_worth_a_record:
                        await self.recorder.save(run)
                    group.start_soon(self._save_progress, name=f"progress {run.job}")
                    with metered() as self._meter:
                        ended = await self._outcome()
                    await self._end(ended)
                    group.cancel_scope.cancel()
            except anyio.get_cancelled_exc_class():
                if not self._has_ended:
                    with anyio.move_on_after(_LAST_WORDS_S, shield=True):
                        await self._interrupted(lost=leased.cancel_called or leased.deadline <= anyio.current_time())
                raise

    async def _outcome(self) -> Run:
        run, started_at = self.run, anyio.current_time()
        try:
            await self.job(run)
        except IngestError as error:
            logger.warning("job_failed", job=run.job, run=run.id, kind=error.kind, reason=str(error))
            return self._ended("failed", str(error), error.kind)
        except Exception as error:
            # A fault of one job must not end the daemon, which serves others.
            logger.exception("job_failed", job=run.job, run=run.id, kind="internal")
            return self._ended("failed", f"{type(error).__name__}: {error}", "internal")
        seconds = round(anyio.current_time() - started_at, 1)
        log = logger.info if run.is_worth_a_record else logger.debug
        log("job_finished", job=run.job, run=run.id, seconds=seconds, **run.metrics)
        return self._ended("succeeded")

    async def _end(self, ended: Run) -> None:
        """Store the record first and then give up the lease, because any daemon resumes a run that has no recorded
        end."""
        self._has_ended = True
        with anyio.move_on_after(max(_LAST_WORDS_S, self.lease_s), shield=True):
            if ended.is_worth_a_record:
                await self.recorder.save(ended)
            else:
                await self._count_empty_look()
            while True:
                try:
                    await self.board.end(self.run)
                except RedisError:
                    await anyio.sleep(min(1.0, self.lease_s / 10))
                else:
                    return

    async def _count_empty_look(self) -> None:
        try:
            await self.board.count_empty_look(self.run, self.now())
        except RedisError as error:
            logger.debug("look_not_counted", job=self.run.job, reason=f"{type(error).__name__}: {error}")

    async def _interrupted(self, *, lost: bool) -> None:
        reason = "the lease was lost" if lost else "the daemon was stopped"
        logger.warning("job_interrupted", job=self.run.job, run=self.run.id, reason=reason)
        try:
            # The outcome in the record says that the daemon did not break down.
            await self.board.end(self.run, record=as_json(replace(self.run, outcome="interrupted")))
        except RedisError as error:
            logger.warning("run_not_handed_over", run=self.run.id, reason=f"{type(error).__name__}: {error}")
        ended = self._ended("interrupted", reason, "interrupted")
        if ended.is_worth_a_record:
            await self.recorder.save(ended)

    async def _renew(self, leased: anyio.CancelScope) -> None:
        """Move the deadline on with each renewal. Without a renewal the run ends before another daemon can take it
        up."""
        while True:
            await anyio.sleep(self.lease_s / 3)
            asked_at = anyio.current_time()
            try:
                if not await self.board.renew(self.run, self.lease_s):
                    leased.cancel()
                    return
            except RedisError:
                continue
            leased.deadline = asked_at + self.lease_s

    async def _save_progress(self) -> None:
        saved = self._so_far()
        while True:
            await anyio.sleep(SAVE_EVERY_S)
            if (so_far := self._so_far()) != saved and so_far.is_worth_a_record:
                await self.recorder.save(so_far)
                saved = so_far

    def _so_far(self) -> Run:
        """Return a copy of the run as it is now, which does not change when the run does."""
        meter = self._meter
        return replace(
            self.run, metrics=dict(self.run.metrics), requests=meter.requests, received_bytes=meter.received_bytes
        )

    def _ended(self, outcome: RunOutcome, error: str | None = None, kind: str | None = None) -> Run:
        RUNS.labels(self.run.job, outcome).inc()
        return settled_at_once(
            replace(self._so_far(), outcome=outcome, ended_at=self.now(), error=error, error_kind=kind)
        )
