"""The records of runs in MongoDB: one document a run, kept for a set time."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from bson.codec_options import CodecOptions
from motor.motor_asyncio import AsyncIOMotorCollection
from pydantic import TypeAdapter
from pymongo.errors import ConnectionFailure, DuplicateKeyError, PyMongoError

from securechain_ingest.errors import StoreAway, StoreError

Trigger = Literal["schedule", "catch_up", "command", "resume"]
Outcome = Literal["running", "succeeded", "failed", "interrupted"]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run of a job; `interrupted` is one whose daemon was stopped or has died, and that another run resumes."""

    id: str
    """Sorts by the time of its making."""
    job: str
    trigger: Trigger
    host: str
    """With `pid`: the daemon."""
    pid: int
    started_at: datetime
    scheduled_for: datetime | None = None
    """When it was due; None for one that a command asked for."""
    resumes: str | None = None
    """The id of the interrupted run that this one goes on with."""
    breakdowns: int = 0
    """How often in a row its predecessors lost their daemon."""
    ended_at: datetime | None = None
    outcome: Outcome = "running"
    error: str | None = None
    error_kind: str | None = None
    requests: int = 0
    """To registries, of the job itself: the packages that it queued are read later."""
    received_bytes: int = 0
    cursor_before: str | None = None
    cursor_after: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    settled: bool = False
    """Whether the metrics hold the final counts of the packages that the run queued."""


_ADAPTER = TypeAdapter(RunRecord)


def as_json(record: RunRecord) -> str:
    return _ADAPTER.dump_json(record).decode()


def from_json(text: str | bytes) -> RunRecord:
    return _ADAPTER.validate_json(text)


class RunStore:
    """The collection. Every error is a StoreError."""

    def __init__(self, collection: AsyncIOMotorCollection[dict[str, Any]]) -> None:
        self._collection = collection.with_options(codec_options=CodecOptions(tz_aware=True))

    async def ensure_indexes(self) -> None:
        """The runs of one job, newest first; `_id` sorts all of them by time."""
        try:
            await self._collection.create_index([("job", 1), ("_id", -1)])
        except PyMongoError as error:
            raise _store_error(error) from error

    async def save(self, record: RunRecord) -> None:
        """Store the record in place of what was stored of it."""
        document = _document(record)
        try:
            await self._collection.replace_one({"_id": record.id}, document, upsert=True)
        except PyMongoError as error:
            raise _store_error(error) from error

    async def close(self, record: RunRecord) -> None:
        """Store the end of a run that could not say itself how it ended, unless it has said so after all.

        What the run has saved of its progress stays.
        """
        ending = {key: getattr(record, key) for key in ("outcome", "ended_at", "error", "error_kind")}
        try:
            found = await self._collection.update_one({"_id": record.id, "outcome": "running"}, {"$set": ending})
            if found.matched_count == 0:
                await self._collection.insert_one(_document(record))
        except DuplicateKeyError:
            return
        except PyMongoError as error:
            raise _store_error(error) from error

    async def settle(self, run_id: str, metrics: Mapping[str, float]) -> None:
        """Store the final metrics of a run all of whose packages are settled."""
        changes = {"settled": True} | {f"metrics.{name}": value for name, value in metrics.items()}
        try:
            await self._collection.update_one({"_id": run_id}, {"$set": changes})
        except PyMongoError as error:
            raise _store_error(error) from error

    async def get(self, run_id: str) -> RunRecord | None:
        try:
            document = await self._collection.find_one({"_id": run_id})
        except PyMongoError as error:
            raise _store_error(error) from error
        return _record(document) if document is not None else None

    async def newest(self, limit: int, *, job: str | None = None) -> list[RunRecord]:
        """At most `limit` records, newest first, of one job if it is given."""
        try:
            found = self._collection.find({} if job is None else {"job": job}).sort("_id", -1).limit(limit)
            return [_record(document) async for document in found]
        except PyMongoError as error:
            raise _store_error(error) from error

    async def prune(self, before: datetime) -> int:
        """Delete the records of runs that started before that moment; returns how many."""
        try:
            return (await self._collection.delete_many({"started_at": {"$lt": before}})).deleted_count
        except PyMongoError as error:
            raise _store_error(error) from error


def _document(record: RunRecord) -> dict[str, Any]:
    fields = {each.name: getattr(record, each.name) for each in dataclasses.fields(record)}
    return {"_id": fields.pop("id"), **fields, "options": dict(record.options), "metrics": dict(record.metrics)}


def _record(document: dict[str, Any]) -> RunRecord:
    return _ADAPTER.validate_python({"id": document.pop("_id"), **document})


def _store_error(error: PyMongoError) -> StoreError:
    kind = StoreAway if isinstance(error, ConnectionFailure) else StoreError
    return kind(f"the records of runs could not be reached in MongoDB ({type(error).__name__})")
