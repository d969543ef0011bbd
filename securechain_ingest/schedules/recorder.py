"""This module records what runs do. A run is more important than its record, so the work goes on while MongoDB is away.

The progress of a run is then lost until it is saved again; its end is kept in Redis until it can be stored.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from securechain_ingest.errors import StoreError
from securechain_ingest.runs import Run
from securechain_ingest.runs.counts import completed_metrics, forget_counts, is_settled, run_counts
from securechain_ingest.runs.store import RunStore
from securechain_ingest.schedules.board import Board

logger = structlog.get_logger(__name__)


class Recorder:
    """A recorder stands between the scheduler and the collection of runs."""

    def __init__(self, redis: Redis, store: RunStore, board: Board, stream: str) -> None:
        self._redis = redis
        self._store = store
        self._board = board
        self._stream = stream

    async def save(self, run: Run) -> None:
        """Store what is known of a run. Nothing is raised."""
        await self._store_or_keep(run, self._store.save)

    async def close(self, run: Run) -> None:
        """Store the end of a run whose daemon has gone and cannot store it. Nothing is raised."""
        await self._store_or_keep(run, self._store.close)

    async def _store_or_keep(self, run: Run, store: Callable[[Run], Awaitable[None]]) -> None:
        try:
            await store(run)
        except StoreError as error:
            logger.warning("run_not_recorded", job=run.job, run=run.id, reason=str(error))
            if run.ended_at is None:
                return
            try:
                await self._board.keep(run)
            except RedisError as lost:
                logger.error("run_record_lost", job=run.job, run=run.id, reason=f"{type(lost).__name__}: {lost}")

    async def tidy(self, now: datetime, keep_days: int) -> None:
        """Store the ends that were kept, complete the counts, and prune old records. Raise StoreError or RedisError."""
        for run in await self._board.kept():
            await self._store.save(run)
            await self._board.drop_kept(run)
        await self._settle()
        await self._store.prune(now - timedelta(days=keep_days))

    async def _settle(self) -> None:
        """Write the counts of runs all of whose packages are settled into their records."""
        for run_id, counts in (await run_counts(self._redis, self._stream)).items():
            run = await self._store.get(run_id)
            if run is not None and not run.settled:
                if not is_settled(run, counts):
                    continue
                await self._store.settle(run_id, completed_metrics(run, counts))
            elif run is None and counts.open > 0:
                continue
            # The record has the counts by now, or there is no record any more.
            await forget_counts(self._redis, self._stream, run_id)
