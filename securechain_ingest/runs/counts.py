"""This module counts what became of the packages that a run has queued. Redis counts them as they are settled, which
may be long after the run has ended."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from redis.asyncio import Redis

from securechain_ingest.drivers.redis_errors import store_errors
from securechain_ingest.queue.keys import Keys
from securechain_ingest.runs import Run
from securechain_ingest.settings import INGESTION_JOBS


@dataclass(frozen=True, slots=True)
class RunCounts:
    """These are the numbers of a run's packages by their outcome. A package is settled when it is no longer open."""

    succeeded: int = 0
    failed: int = 0
    versions: int = 0
    """This is the number of versions of the packages that succeeded."""
    merged: int = 0
    """So many messages said nothing that a waiting message did not say already."""
    cancelled: int = 0
    purged: int = 0
    open: int = 0
    """So many packages wait, are in work, or wait for another attempt."""


NONE = RunCounts()
_WORDS = tuple(each.name for each in fields(RunCounts))


async def run_counts(redis: Redis, stream: str) -> dict[str, RunCounts]:
    """Return the counts by the id of their run. Raise StoreError."""
    with store_errors():
        held: Any = await redis.hgetall(Keys(stream).run_counts)
    counts: dict[str, dict[str, int]] = {}
    for key, value in held.items():
        run_id, _, name = key.decode().rpartition(":")
        if name in _WORDS:
            counts.setdefault(run_id, {})[name] = int(value)
    return {run_id: RunCounts(**found) for run_id, found in counts.items()}


async def forget_counts(redis: Redis, stream: str, run_id: str) -> None:
    """Delete the counts of a run. Raise StoreError."""
    with store_errors():
        await redis.hdel(Keys(stream).run_counts, *(f"{run_id}:{name}" for name in _WORDS))


def completed_metrics(run: Run, counts: RunCounts) -> dict[str, float]:
    """Return the metrics of a run together with those that follow from the packages settled so far. Rates are
    percentages.

    If nothing was processed, there is no success rate.
    """
    processed = counts.succeeded + counts.failed
    if run.settled or not (processed or "queued" in run.metrics):
        return run.metrics
    metrics = run.metrics | {
        "packages_processed": processed,
        "total_versions": counts.versions,
        "errors": run.metrics.get("errors", 0) + counts.failed,
    }
    metrics |= {word: count for word in ("merged", "cancelled", "purged") if (count := getattr(counts, word))}
    if processed:
        metrics["success_rate"] = round(100 * counts.succeeded / processed, 2)
    if run.job in INGESTION_JOBS:
        metrics["new_packages_ingested"] = counts.succeeded
        if total := run.metrics.get("total_in_registry"):
            metrics["ingestion_rate"] = round(100 * counts.succeeded / total, 2)
    return metrics


def final_metrics(run: Run, counts: RunCounts) -> dict[str, float] | None:
    """Return the metrics of a run that has ended, when none of the packages that it queued waits, is in work or will
    be tried again. Until then the result is None."""
    has_ended = run.outcome in {"succeeded", "failed"}
    return completed_metrics(run, counts) if has_ended and counts.open <= 0 else None
