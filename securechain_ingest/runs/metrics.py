"""This module adds to the metrics of a run what follows from the packages that it has queued."""

from __future__ import annotations

from securechain_ingest.ecosystem_settings import INGESTION_JOBS
from securechain_ingest.queue.run_counts import RunCounts
from securechain_ingest.runs import Run


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
