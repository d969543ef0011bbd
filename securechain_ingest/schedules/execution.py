"""This module executes one run of a job under its lease, from its first record to its last."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial

import anyio
import structlog
from redis.exceptions import RedisError

from securechain_ingest.errors import IngestError
from securechain_ingest.http.metering import Meter, metered
from securechain_ingest.metrics import RUNS
from securechain_ingest.queue.run_counts import NONE
from securechain_ingest.runs import Job, Run, RunOutcome
from securechain_ingest.runs.metrics import final_metrics
from securechain_ingest.schedules.board import Board

logger = structlog.get_logger(__name__)

SAVE_EVERY_S = 5.0
"""The progress of a run reaches the board, and from there its record, every so many seconds."""

LAST_WORDS_S = 5.0
"""What is interrupted may take so many seconds to record its end."""

_TRY_AGAIN_S = 0.5


async def execute(
    run: Run,
    job: Job,
    board: Board,
    paused: anyio.CancelScope,
    *,
    lease_s: float,
    leased_at: float,
    now: Callable[[], datetime],
) -> None:
    """Do the job of a run whose lease is held: it was asked for at `leased_at`, a time of the event loop's clock in
    seconds, for `lease_s` seconds. The job is cancelled if the lease is lost, if the scope `paused` is cancelled, or if
    this is cancelled.

    No failure of the job is raised: the log and the record say how it ended.
    """
    # A look that finds nothing leaves no line in the log either.
    log = logger.debug if run.is_look else logger.info
    log("job_started", job=run.job, run=run.id, trigger=run.trigger)
    with paused, anyio.CancelScope(deadline=leased_at + lease_s) as leased, metered() as meter:
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(partial(_renew, run, meter, board, leased, lease_s), name=f"lease {run.job}")
                outcome = await _do(run, job)
                _end(run, meter, outcome, now())
                # Any daemon resumes a run whose end is not recorded.
                await _hand_in(run, board, within_s=max(LAST_WORDS_S, lease_s))
                group.cancel_scope.cancel()
        except anyio.get_cancelled_exc_class():
            if run.ended_at is None:
                if leased.cancel_called or leased.deadline <= anyio.current_time():
                    run.error = "the lease was lost"
                else:
                    run.error = "its ecosystem was paused" if paused.cancel_called else "the daemon was stopped"
                run.error_kind = "interrupted"
                _end(run, meter, "interrupted", now())
                logger.warning("job_interrupted", job=run.job, run=run.id, reason=run.error)
                await _hand_in(run, board)
            raise


async def _do(run: Run, job: Job) -> RunOutcome:
    started_at = anyio.current_time()
    try:
        await job(run)
    except IngestError as error:
        # What another try can mend, the next run does; for the rest somebody must act.
        report = logger.warning if error.transient else logger.error
        report("job_failed", job=run.job, run=run.id, kind=error.kind, reason=str(error))
        run.error, run.error_kind = str(error), error.kind
        return "failed"
    except Exception as error:
        # A fault of one job must not end the daemon, which serves others.
        logger.exception("job_failed", job=run.job, run=run.id, kind="internal")
        run.error, run.error_kind = f"{type(error).__name__}: {error}", "internal"
        return "failed"
    log = logger.info if run.is_worth_a_record else logger.debug
    log("job_finished", job=run.job, run=run.id, seconds=round(anyio.current_time() - started_at, 1), **run.metrics)
    return "succeeded"


def _end(run: Run, meter: Meter, outcome: RunOutcome, now: datetime) -> None:
    RUNS.labels(run.job, outcome).inc()
    # The run starts at the end of the one before it, which a daemon whose clock is ahead may have written.
    run.outcome, run.ended_at = outcome, max(now, run.started_at)
    run.requests, run.received_bytes = meter.requests, meter.received_bytes
    if not run.metrics.get("queued") and (final := final_metrics(run, NONE)) is not None:
        run.metrics, run.settled = final, True


async def _hand_in(run: Run, board: Board, *, within_s: float = LAST_WORDS_S) -> None:
    """Record the end and give up the lease. If this is cancelled, it takes LAST_WORDS_S seconds more at most."""
    try:
        with anyio.move_on_after(within_s) as patience:
            await _record_end(run, board)
    except anyio.get_cancelled_exc_class():
        with anyio.move_on_after(LAST_WORDS_S, shield=True) as patience:
            await _record_end(run, board)
        raise
    finally:
        if patience.cancelled_caught:
            logger.warning(
                "run_not_handed_over" if run.outcome == "interrupted" else "run_record_lost",
                job=run.job,
                run=run.id,
                reason="Redis was away for too long",
            )


async def _record_end(run: Run, board: Board) -> None:
    while True:
        try:
            await board.end(run)
        except RedisError:
            await anyio.sleep(_TRY_AGAIN_S)
        else:
            return


async def _renew(run: Run, meter: Meter, board: Board, leased: anyio.CancelScope, lease_s: float) -> None:
    """Renew the lease, and move the deadline on with it. Without a renewal the run ends before another daemon can take
    it up."""
    written = run.model_dump_json()
    while True:
        await anyio.sleep(min(lease_s / 3, SAVE_EVERY_S))
        asked_at = anyio.current_time()
        run.requests, run.received_bytes = meter.requests, meter.received_bytes
        try:
            written = await board.renew(run, lease_s, written=written)
        except RedisError:
            continue
        if not written:
            leased.cancel()
            return
        leased.deadline = asked_at + lease_s
