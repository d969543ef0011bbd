"""The records of runs in MongoDB: one document a run, kept for a set time.

Another release may have written a record. Fields that this one does not know are kept and written again; words that it
does not know (a trigger, an outcome) are texts like any other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import orjson
import structlog
from bson.codec_options import CodecOptions
from motor.motor_asyncio import AsyncIOMotorCollection
from pydantic import TypeAdapter, ValidationError
from pymongo.errors import ConnectionFailure, DuplicateKeyError, PyMongoError

from securechain_ingest.errors import StoreAway, StoreError

logger = structlog.get_logger(__name__)

Trigger = Literal["schedule", "catch_up", "command", "resume"]
"""Those of this release."""
Outcome = Literal["running", "succeeded", "failed", "interrupted"]
"""Likewise."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run of a job; `interrupted` is one whose daemon was stopped or has died, and that another run resumes."""

    id: str
    """Sorts by the time of its making."""
    job: str
    trigger: str
    """A `Trigger`, or the word of another release."""
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
    outcome: str = "running"
    """An `Outcome`, or the word of another release."""
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
    more: Mapping[str, Any] = field(default_factory=dict)
    """Fields of another release, which this one only keeps."""


_ADAPTER = TypeAdapter(RunRecord)
_KNOWN = frozenset(each.name for each in dataclasses.fields(RunRecord)) - {"more"}


def as_json(record: RunRecord) -> str:
    return orjson.dumps(_plain(record)).decode()


def from_json(text: str | bytes) -> RunRecord:
    """What `as_json` of this or another release wrote. Raises ValueError for anything else."""
    document = orjson.loads(text)
    if not isinstance(document, dict):
        msg = "a record is a JSON object"
        raise ValueError(msg)  # noqa: TRY004  # of the kind that orjson and pydantic raise
    return _from_plain(document)


def _plain(record: RunRecord) -> dict[str, Any]:
    known = {name: getattr(record, name) for name in _KNOWN}
    return {**record.more, **known, "options": dict(record.options), "metrics": dict(record.metrics)}


def _from_plain(document: Mapping[str, Any]) -> RunRecord:
    known = {name: value for name, value in document.items() if name in _KNOWN}
    more = {name: value for name, value in document.items() if name not in _KNOWN}
    return _ADAPTER.validate_python({**known, "more": more})


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
        """None: there is none, or none that this release can read."""
        try:
            document = await self._collection.find_one({"_id": run_id})
        except PyMongoError as error:
            raise _store_error(error) from error
        return _record(document) if document is not None else None

    async def newest(self, limit: int, *, job: str | None = None) -> list[RunRecord]:
        """At most `limit` records, newest first, of one job if it is given; unreadable ones are left out and told."""
        try:
            found = self._collection.find({} if job is None else {"job": job}).sort("_id", -1).limit(limit)
            records = [_record(document) async for document in found]
        except PyMongoError as error:
            raise _store_error(error) from error
        return [record for record in records if record is not None]

    async def prune(self, before: datetime) -> int:
        """Delete the records of runs that started before that moment; returns how many."""
        try:
            return (await self._collection.delete_many({"started_at": {"$lt": before}})).deleted_count
        except PyMongoError as error:
            raise _store_error(error) from error


def _document(record: RunRecord) -> dict[str, Any]:
    fields = _plain(record)
    return {"_id": fields.pop("id"), **fields}


def _record(document: dict[str, Any]) -> RunRecord | None:
    run_id = document.pop("_id")
    try:
        return _from_plain({**document, "id": run_id})
    except ValidationError as error:
        logger.warning("run_record_unreadable", run=str(run_id), reason=first_line(error))
        return None


def first_line(error: Exception) -> str:
    """Which field is wrong and why, in one line."""
    if isinstance(error, ValidationError):
        wrong = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, wrong['loc'])) or 'the record'}: {wrong['msg']}"
    return str(error)


def _store_error(error: PyMongoError) -> StoreError:
    kind = StoreAway if isinstance(error, ConnectionFailure) else StoreError
    return kind(f"the records of runs could not be reached in MongoDB ({type(error).__name__})")
