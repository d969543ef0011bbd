"""This module keeps the records of runs in MongoDB. Each run has one document, which is kept for a set time."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

import structlog
from bson.codec_options import CodecOptions
from pymongo.errors import DuplicateKeyError

from securechain_ingest.drivers.mongodb import Collection
from securechain_ingest.drivers.mongodb_errors import store_errors
from securechain_ingest.runs import Run, first_line

logger = structlog.get_logger(__name__)


class RunStore:
    """This is the collection of records. Every method raises StoreError if MongoDB does not do what it is asked to
    do."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection.with_options(codec_options=CodecOptions(tz_aware=True))

    async def ensure_indexes(self) -> None:
        """Make the index that finds the runs of one job, newest first. `_id` sorts all runs by time."""
        with store_errors():
            await self._collection.create_index([("job", 1), ("_id", -1)])

    async def save(self, run: Run) -> None:
        """Store the record in place of what was stored of the run. What is saved late never replaces more: progress no
        end, and an end no final metrics."""
        last = {"settled": {"$ne": True}} if run.ended_at is not None else {"outcome": "running"}
        seen = {"_id": run.id, **last}
        with store_errors(), suppress(DuplicateKeyError):
            await self._collection.replace_one(seen, _document(run), upsert=True)

    async def settle(self, run_id: str, metrics: Mapping[str, float]) -> None:
        """Store the final metrics of a run all of whose packages are settled."""
        changes = {"settled": True} | {f"metrics.{name}": value for name, value in metrics.items()}
        with store_errors():
            await self._collection.update_one({"_id": run_id}, {"$set": changes})

    async def get(self, run_id: str) -> Run | None:
        """Return the record of a run. It is None if there is none, or none that this release can read."""
        with store_errors():
            document = await self._collection.find_one({"_id": run_id})
        return _run(document) if document is not None else None

    async def newest(self, limit: int, *, job: str | None = None) -> list[Run]:
        """Return at most `limit` records, newest first, of one job if it is given. Unreadable records are logged and
        left out."""
        with store_errors():
            found = self._collection.find({} if job is None else {"job": job}).sort("_id", -1).limit(limit)
            runs = [_run(document) async for document in found]
        return [run for run in runs if run is not None]

    async def prune(self, before: datetime) -> int:
        """Delete the records of runs that started before that moment, and return how many there were."""
        with store_errors():
            return (await self._collection.delete_many({"started_at": {"$lt": before}})).deleted_count


def _document(run: Run) -> dict[str, Any]:
    fields = run.model_dump()
    return {"_id": fields.pop("id"), **fields}


def _run(document: dict[str, Any]) -> Run | None:
    run_id = document.pop("_id")
    try:
        return Run.model_validate({**document, "id": run_id})
    except ValueError as error:
        logger.warning("run_record_unreadable", run=str(run_id), reason=first_line(error))
        return None
