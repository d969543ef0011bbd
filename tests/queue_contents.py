"""This is what is in the queue, as a program beside the daemon sees it over a blocking client."""

from __future__ import annotations

from typing import Any

import redis

from securechain_ingest import registries
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.settlement import HANDED_BACK_IDLE_MS

ECOSYSTEMS = tuple(ecosystem.name for ecosystem in registries.ECOSYSTEMS)


def messages_waiting(queue: redis.Redis, stream: str) -> int:
    """Return messages that wait in the stream of submissions or a lane, or are in work."""
    return _counts(queue, stream)[0]


def retries_waiting(queue: redis.Redis, stream: str) -> int:
    """Return messages that wait for another try."""
    return _counts(queue, stream)[1]


def is_settled(queue: redis.Redis, stream: str) -> bool:
    """Return whether nothing is queued, in hand or waiting for another try."""
    return not any(_counts(queue, stream))


def let_leases_run_out(queue: redis.Redis, stream: str, group: str = "extractors") -> None:
    """Make it as if whoever has messages in hand had been silent for longer than any lease.

    A lease that is short enough to wait for is also too short for a busy machine to renew.
    """
    keys = Keys(stream)
    for each in (keys.submissions, *(lane for name in ECOSYSTEMS for lane in keys.lanes(name))):
        if queue.exists(each):
            pending: Any = queue.xpending_range(each, group, "-", "+", 10_000)
            for row in pending:
                whose: Any = row["consumer"]
                queue.xclaim(each, group, whose, 0, [row["message_id"]], idle=HANDED_BACK_IDLE_MS, justid=True)


def _counts(queue: redis.Redis, stream: str) -> tuple[int, int]:
    """Count all at one moment: one after the other, a message that moves meanwhile could be met in no place."""
    keys = Keys(stream)
    streams = [keys.submissions, *(lane for name in ECOSYSTEMS for lane in keys.lanes(name))]
    retries = [each for name in ECOSYSTEMS for each in keys.all_retries(name)]
    with queue.pipeline(transaction=True) as pipeline:
        for each in streams:
            pipeline.xlen(each)
        for each in retries:
            pipeline.zcard(each)
        counts: list[int] = pipeline.execute()
    return sum(counts[: len(streams)]), sum(counts[len(streams) :])


def left(queue: redis.Redis, stream: str, group: str = "extractors") -> list[str]:
    """Return what is still there, for people: each message with its stream and who has it since when."""
    keys = Keys(stream)
    found = []
    for each in [keys.submissions, *(lane for name in ECOSYSTEMS for lane in keys.lanes(name))]:
        entries: Any = queue.xrange(each, count=20)
        pending: Any = queue.xpending_range(each, group, "-", "+", 20) if entries else []
        found += [f"{each} {entry_id} {fields}" for entry_id, fields in entries]
        found += [f"{each} pending {row}" for row in pending]
    for name in ECOSYSTEMS:
        for each in keys.all_retries(name):
            waiting: Any = queue.zrange(each, 0, 20, withscores=True)
            found += [f"{each} {row}" for row in waiting]
    return found


def messages_pending(queue: redis.Redis, stream: str, group: str = "extractors") -> int:
    """Return messages that some consumer has in hand."""
    keys = Keys(stream)
    found = 0
    for each in [keys.submissions, *(lane for name in ECOSYSTEMS for lane in keys.lanes(name))]:
        if queue.exists(each):
            summary: Any = queue.xpending(each, group)
            found += int(summary["pending"])
    return found
