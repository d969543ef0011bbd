"""What became of the packages that a run has queued: counted in Redis as they are settled, long after the run's end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from securechain_ingest.errors import StoreError
from securechain_ingest.queue.keys import Keys
from securechain_ingest.runs.records import RunRecord
from securechain_ingest.settings import INGESTION_JOBS


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of the packages that a run has queued."""

    succeeded: int = 0
    failed: int = 0
    versions: int = 0
    """Those of the packages that were served."""
    merged: int = 0
    """Said by a message that waited already."""
    cancelled: int = 0
    purged: int = 0
    open: int = 0
    """Still waiting, in work, or waiting for another try."""


NONE = Settled()
_WORDS = tuple(each.name for each in fields(Settled))


async def settled_counts(redis: Redis, stream: str) -> dict[str, Settled]:
    """The counts by run id. Raises StoreError."""
    try:
        held: Any = await redis.hgetall(Keys(stream).run_counts)
    except RedisError as error:
        raise StoreError(f"the counts of runs could not be read from Redis ({type(error).__name__})") from error
    counts: dict[str, dict[str, int]] = {}
    for field, value in held.items():
        run_id, _, name = field.decode().rpartition(":")
        if name in _WORDS:
            counts.setdefault(run_id, {})[name] = int(value)
    return {run_id: Settled(**found) for run_id, found in counts.items()}


async def forget_counts(redis: Redis, stream: str, run_id: str) -> None:
    """Drop the counts of a run. Raises RedisError."""
    await redis.hdel(Keys(stream).run_counts, *(f"{run_id}:{name}" for name in _WORDS))


def merged_metrics(record: RunRecord, counts: Settled) -> Mapping[str, float]:
    """The metrics of a run with those that follow from the packages settled so far; rates are percentages.

    Where nothing was processed there is no success rate.
    """
    if record.settled:
        return record.metrics
    processed = counts.succeeded + counts.failed
    if not processed and "queued" not in record.metrics:
        return record.metrics
    metrics = dict(record.metrics) | {
        "packages_processed": processed,
        "total_versions": counts.versions,
        "errors": record.metrics.get("errors", 0) + counts.failed,
    }
    for word in ("merged", "cancelled", "purged"):
        if count := getattr(counts, word):
            metrics[word] = count
    if processed:
        metrics["success_rate"] = round(100 * counts.succeeded / processed, 2)
    if record.job in INGESTION_JOBS:
        metrics["new_packages_ingested"] = counts.succeeded
        if total := record.metrics.get("total_in_registry"):
            metrics["ingestion_rate"] = round(100 * counts.succeeded / total, 2)
    return metrics


def all_settled(record: RunRecord, counts: Settled) -> bool:
    """Whether the run has ended and nothing that it has queued waits, is in work or will be tried again."""
    return record.outcome in {"succeeded", "failed"} and counts.open <= 0


def settled_at_once(record: RunRecord) -> RunRecord:
    """With its final counts, if the run has queued nothing that is still to come."""
    if record.metrics.get("queued", 0) or not all_settled(record, NONE):
        return record
    return replace(record, metrics=merged_metrics(record, NONE), settled=True)
