"""This module brings the records of runs from the board to MongoDB.

A run is more important than its record, so the work goes on while MongoDB is away; the board keeps the ends of runs
until they are stored.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta

import anyio
import structlog
from redis.asyncio import Redis

from securechain_ingest.errors import StoreRefused
from securechain_ingest.queue.run_counts import forget_counts, run_counts
from securechain_ingest.runs import Run
from securechain_ingest.runs.metrics import final_metrics
from securechain_ingest.runs.store import RunStore
from securechain_ingest.schedules.board import Board

logger = structlog.get_logger(__name__)

_TIDY_EVERY_S = 10.0


class Recorder:
    """A recorder stands between the board and the collection of runs. Its methods raise StoreError and RedisError,
    after which another call does the rest."""

    def __init__(self, redis: Redis, store: RunStore, board: Board, stream: str) -> None:
        self._redis = redis
        self._store = store
        self._board = board
        self._stream = stream
        self._progress: dict[str, Run] = {}
        self._tidy_at = -math.inf

    async def bring_up_to_date(self, now: datetime, keep_days: int) -> None:
        """Save, and tidy every so often."""
        await self.save()
        if anyio.current_time() >= self._tidy_at:
            await self.tidy(now, keep_days)
            self._tidy_at = anyio.current_time() + _TIDY_EVERY_S

    async def save(self) -> None:
        """Store how far the runs under way have come, and the ends that the board keeps."""
        under_way = await self._board.under_way()
        progress = {run.id: run for run in under_way.values() if run.is_worth_a_record and run.ended_at is None}
        for run_id, run in progress.items():
            if self._progress.get(run_id) != run:
                await self._save(run)
        self._progress = progress
        for run in await self._board.kept():
            await self._save(run)
            await self._board.drop_kept(run)

    async def _save(self, run: Run) -> None:
        """Store one record. One that MongoDB would refuse again does not hold up the others."""
        try:
            await self._store.save(run)
        except StoreRefused as error:
            logger.error("run_record_lost", job=run.job, run=run.id, reason=str(error))

    async def tidy(self, now: datetime, keep_days: int) -> None:
        """Complete the records of runs all of whose packages are settled, and delete old records."""
        counted = await run_counts(self._redis, self._stream)
        on_board = {run.id for run in (*(await self._board.under_way()).values(), *await self._board.kept())}
        for run_id in counted.keys() - on_board:
            run, counts = await self._store.get(run_id), counted[run_id]
            if run is None and counts.open > 0:
                continue  # The packages of a submission, which has no record, are still open.
            if run is not None and not run.settled:
                if final_metrics(run, counts) is None:
                    continue
                # These counts may be from before the run's end, or another daemon has settled it by now.
                latest = (await run_counts(self._redis, self._stream)).get(run_id)
                if latest is None or (final := final_metrics(run, latest)) is None:
                    continue
                await self._store.settle(run_id, final)
            await forget_counts(self._redis, self._stream, run_id)
        await self._store.prune(now - timedelta(days=keep_days))
