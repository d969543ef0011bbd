"""One run of a job under its lease, from its first record to its last."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from time import monotonic

import anyio
import structlog
from redis.exceptions import RedisError

from securechain_ingest.errors import IngestError
from securechain_ingest.http.metering import Meter, metered
from securechain_ingest.runs import Job, Run
from securechain_ingest.runs.records import Outcome, RunRecord, Trigger
from securechain_ingest.runs.settled import settled_at_once
from securechain_ingest.schedules.board import Board
from securechain_ingest.schedules.recorder import Recorder

logger = structlog.get_logger(__name__)

_LAST_WORDS_S = 5.0
"""How long a run that is interrupted may take to say so."""


def new_run_id(now: datetime) -> str:
    """Unique, sorted by time, and free of colons."""
    return f"{now:%Y%m%dT%H%M%S}.{now.microsecond // 1000:03}-{secrets.token_hex(3)}"


def new_record(
    job: str,
    trigger: Trigger,
    now: datetime,
    *,
    run_id: str | None = None,
    scheduled_for: datetime | None = None,
    options: Mapping[str, str] | None = None,
    resumes: str | None = None,
    breakdowns: int = 0,
) -> RunRecord:
    """The record of a run of this process that begins now."""
    return RunRecord(
        id=run_id or new_run_id(now),
        job=job,
        trigger=trigger,
        host=socket.gethostname(),
        pid=os.getpid(),
        started_at=now,
        scheduled_for=scheduled_for,
        options=options or {},
        resumes=resumes,
        breakdowns=breakdowns,
    )


class Execution:
    """A run whose lease is held already. Losing the lease cancels the job, and so does cancelling `run`."""

    def __init__(
        self,
        job: Job,
        record: RunRecord,
        board: Board,
        recorder: Recorder,
        lease_s: float,
        now: Callable[[], datetime],
    ) -> None:
        self._job = job
        self._record = record
        self._board = board
        self._recorder = recorder
        self._lease_s = lease_s
        self._now = now
        self._run = Run(record.id, record.job, record.options, save=self._save)
        self._meter = Meter()
        self._over = False
        """Whether the end has been written down; nothing that comes after it changes that."""

    async def run(self) -> None:
        """Do the job. Raises nothing: how it ended stands in the log and in the record."""
        record = self._record
        logger.info("job_started", job=record.job, run=record.id, trigger=record.trigger)
        with anyio.CancelScope(deadline=anyio.current_time() + self._lease_s) as leased:
            try:
                async with anyio.create_task_group() as group:
                    group.start_soon(self._renew, leased, name=f"lease {record.job}")
                    await self._recorder.progress(record)
                    with metered() as self._meter:
                        ending = await self._outcome()
                    await self._end(ending)
                    group.cancel_scope.cancel()
            except anyio.get_cancelled_exc_class():
                if self._over:
                    raise
                with anyio.move_on_after(_LAST_WORDS_S, shield=True):
                    await self._interrupted(lost=leased.cancel_called or leased.deadline <= anyio.current_time())
                raise

    async def _outcome(self) -> RunRecord:
        started = monotonic()
        try:
            await self._job(self._run)
        except IngestError as error:
            logger.warning("job_failed", job=self._run.job, run=self._run.id, kind=error.kind, reason=str(error))
            return self._ending("failed", str(error), error.kind)
        except Exception as error:
            # A fault of one job must not end the daemon, which serves others.
            logger.exception("job_failed", job=self._run.job, run=self._run.id, kind="internal")
            return self._ending("failed", f"{type(error).__name__}: {error}", "internal")
        logger.info(
            "job_finished",
            job=self._run.job,
            run=self._run.id,
            seconds=round(monotonic() - started, 1),
            **self._run.metrics,
        )
        return self._ending("succeeded")

    async def _end(self, ending: RunRecord) -> None:
        """First the record, then the lease: a run without an end is one that somebody resumes."""
        self._over = True
        with anyio.move_on_after(max(_LAST_WORDS_S, self._lease_s), shield=True):
            await self._recorder.ended(ending)
            while True:
                try:
                    await self._board.end(self._record)
                except RedisError:
                    await anyio.sleep(min(1.0, self._lease_s / 10))
                else:
                    return

    async def _interrupted(self, *, lost: bool) -> None:
        reason = "the lease was lost" if lost else "the daemon was stopped"
        logger.warning("job_interrupted", job=self._run.job, run=self._run.id, reason=reason)
        # So that whoever resumes it does not count it as a breakdown.
        mark = replace(self._record, outcome="interrupted")
        try:
            await self._board.hand_over(self._record, mark)
        except RedisError as error:
            logger.warning("run_not_handed_over", run=self._run.id, reason=f"{type(error).__name__}: {error}")
        await self._recorder.ended(self._ending("interrupted", reason, "interrupted"))

    async def _renew(self, leased: anyio.CancelScope) -> None:
        """Move the deadline on with each renewal; without one the run ends before another daemon can take it up."""
        while True:
            await anyio.sleep(self._lease_s / 3)
            asked_at = anyio.current_time()
            try:
                held = await self._board.renew(self._record, self._lease_s)
            except RedisError:
                continue
            if not held:
                leased.cancel()
                return
            leased.deadline = asked_at + self._lease_s

    async def _save(self, _run: Run) -> None:
        await self._recorder.progress(self._so_far())

    def _so_far(self) -> RunRecord:
        run = self._run
        return replace(
            self._record,
            metrics=dict(run.metrics),
            cursor_before=run.cursor_before,
            cursor_after=run.cursor_after,
            requests=self._meter.requests,
            received_bytes=self._meter.received_bytes,
        )

    def _ending(self, outcome: Outcome, error: str | None = None, kind: str | None = None) -> RunRecord:
        ending = replace(self._so_far(), outcome=outcome, ended_at=self._now(), error=error, error_kind=kind)
        return settled_at_once(ending)
