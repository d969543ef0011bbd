"""This module reads how many packages of each run have which outcome. Every script of this room that adds, settles or
takes away a message counts it in Redis; that may be long after the run has ended."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from redis.asyncio import Redis

from securechain_ingest.drivers.redis_errors import store_errors
from securechain_ingest.queue.keys import Keys


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
