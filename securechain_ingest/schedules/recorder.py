"""Writes down what runs do. No record is worth a run: while MongoDB is away the work goes on.

Its progress is then lost until the next report, its end is kept in Redis until it can be stored.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from securechain_ingest.errors import StoreError
from securechain_ingest.runs.records import RunRecord, RunStore
from securechain_ingest.runs.settled import all_settled, forget_counts, merged_metrics, settled_counts
from securechain_ingest.schedules.board import Board

logger = structlog.get_logger(__name__)


class Recorder:
    """Between the scheduler and the collection of runs."""

    def __init__(self, redis: Redis, store: RunStore, board: Board, stream: str) -> None:
        self._redis = redis
        self._store = store
        self._board = board
        self._stream = stream

    async def progress(self, record: RunRecord) -> None:
        """Store what is known of a run under way. Raises nothing."""
        try:
            await self._store.save(record)
        except StoreError as error:
            logger.warning("run_not_recorded", job=record.job, run=record.id, reason=str(error))

    async def ended(self, record: RunRecord) -> None:
        """Store the end of a run. Raises nothing."""
        try:
            await self._store.save(record)
        except StoreError as error:
            logger.warning("run_not_recorded", job=record.job, run=record.id, reason=str(error))
            await self._keep(record)

    async def broken_off(self, mark: RunRecord, closed: RunRecord) -> None:
        """Store `closed` as the end of the run of `mark`, whose daemon can say nothing any more. Raises nothing."""
        if mark.outcome != "running":
            return  # It has said so itself.
        try:
            await self._store.close(closed)
        except StoreError as error:
            logger.warning("run_not_recorded", job=closed.job, run=closed.id, reason=str(error))
            await self._keep(closed)

    async def tidy(self, now: datetime, keep_days: int) -> None:
        """Store the ends that were kept, complete the counts, prune old records. Raises StoreError, RedisError."""
        for record in await self._board.kept():
            await self._store.save(record)
            await self._board.drop_kept(record)
        await self._settle()
        await self._store.prune(now - timedelta(days=keep_days))

    async def _settle(self) -> None:
        """Write the counts of runs all of whose packages are settled into their records."""
        for run_id, counts in (await settled_counts(self._redis, self._stream)).items():
            record = await self._store.get(run_id)
            if record is not None and not record.settled and all_settled(record, counts):
                await self._store.settle(run_id, merged_metrics(record, counts))
            elif (record is not None and not record.settled) or (record is None and counts.open > 0):
                continue
            # The record has them, or is gone.
            await forget_counts(self._redis, self._stream, run_id)

    async def _keep(self, record: RunRecord) -> None:
        try:
            await self._board.keep(record)
        except RedisError as error:
            logger.error("run_record_lost", job=record.job, run=record.id, reason=f"{type(error).__name__}: {error}")


def utc_now() -> datetime:
    """To the millisecond, as MongoDB keeps it."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
