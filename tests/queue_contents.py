"""This is what is in the queue, as a program beside the daemon sees it over a blocking client."""

from __future__ import annotations

from typing import Any

import redis

from securechain_ingest import registries
from securechain_ingest.queue.keys import Keys

ECOSYSTEMS = tuple(ecosystem.name for ecosystem in registries.ECOSYSTEMS)


def messages_waiting(queue: redis.Redis, stream: str) -> int:
    """Return messages that wait in the stream of submissions or a lane, or are in work."""
    keys = Keys(stream)
    streams = [keys.submissions, *(lane for name in ECOSYSTEMS for lane in keys.lanes(name))]
    return sum(int(_number(queue.xlen(each))) for each in streams)


def retries_waiting(queue: redis.Redis, stream: str) -> int:
    """Return messages that wait for another try."""
    keys = Keys(stream)
    return sum(int(_number(queue.zcard(each))) for name in ECOSYSTEMS for each in keys.all_retries(name))


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


def _number(answer: Any) -> int:
    return int(answer)
