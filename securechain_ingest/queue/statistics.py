"""This module shows the state of the queue at a glance."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from securechain_ingest.queue.breakers import Breakers, BreakerState, paused_since
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import LANES
from securechain_ingest.redis_errors import store_errors
from securechain_ingest.settings import QueueSettings
from securechain_ingest.times import iso

_RETRIES_LOOKED_AT: Final = 1_000

COUNTERS = ("total_processed", "successful", "failed", "validation_errors", "unsupported_types")


@dataclass(frozen=True, slots=True)
class LaneStatus:
    """This is the state of one lane of one ecosystem, or of the stream of submissions."""

    waiting: int
    """This many messages wait, because no consumer has taken them yet."""
    pending: int
    """A consumer has taken this many messages and has not settled them yet."""
    retrying: int = 0
    """This many messages wait for another attempt."""
    oldest_s: float = 0.0
    """The oldest message of the lane has this age, in seconds."""


@dataclass(frozen=True, slots=True)
class ConsumerStatus:
    name: str
    pending: int
    idle_s: float
    """The consumer last asked for anything this many seconds ago."""


@dataclass(frozen=True, slots=True)
class QueueStatus:
    submissions: LaneStatus
    lanes: dict[str, dict[str, LaneStatus]]
    """This maps each ecosystem to its lanes, and each lane to its state."""
    paused: dict[str, str]
    """This maps each ecosystem that an operator has paused to the time of the pause (ISO 8601, UTC)."""
    breakers: dict[str, BreakerState]
    """This maps each endpoint that is not asked for a while to the state of its breaker."""
    consumers: tuple[ConsumerStatus, ...]
    next_retry_at: str | None
    """This time is written in ISO 8601, UTC. It is None if no message waits for another attempt."""
    dead_letters: int
    counters: dict[str, int]
    """`total_processed` is the sum of the other four."""

    def as_dict(self) -> dict[str, Any]:
        """Return the state as plain data that JSON can hold."""
        plain = dataclasses.asdict(self)
        every = [status for lanes in self.lanes.values() for status in lanes.values()]
        sums = {
            "waiting": sum(status.waiting for status in every) + self.submissions.waiting,
            "in_flight": sum(status.pending for status in every) + self.submissions.pending,
            "retrying": sum(status.retrying for status in every),
        }
        return {**sums, **plain, "consumers": list(plain["consumers"])}


async def queue_status(
    redis: Redis, queue: QueueSettings, ecosystems: Sequence[str], endpoints: Sequence[str] = ()
) -> QueueStatus:
    """Return how many messages are waiting, pending, postponed or put aside, and what is paused.

    This raises StoreError.
    """
    keys = Keys(queue.stream)
    with store_errors():
        seconds, microseconds = await redis.time()
        now_ms = seconds * 1000 + microseconds // 1000
        lanes = {name: await _lanes(redis, keys, queue.group, name, now_ms) for name in ecosystems}
        next_retries = []
        for name in ecosystems:
            for retries in keys.all_retries(name):
                first: Any = await redis.zrange(retries, 0, 0, withscores=True)
                next_retries += [score for _, score in first]
        counted: Any = await redis.hmget(keys.counters, list(COUNTERS))
        streams = [keys.submissions, *(stream for name in ecosystems for stream in keys.lanes(name))]
        return QueueStatus(
            submissions=await _stream(redis, keys.submissions, queue.group, now_ms, 0),
            lanes=lanes,
            paused=dict(await paused_since(redis, keys)),
            breakers=await Breakers(redis, keys).states(endpoints),
            consumers=await _consumers(redis, streams, queue.group),
            next_retry_at=_due(min(next_retries)) if next_retries else None,
            dead_letters=await redis.xlen(keys.dead_letters),
            counters={name: int(value or 0) for name, value in zip(COUNTERS, counted, strict=True)},
        )


async def _lanes(redis: Redis, keys: Keys, group: str, ecosystem: str, now_ms: int) -> dict[str, LaneStatus]:
    found = {}
    for lane in LANES:
        retrying = await redis.zcard(keys.retries(ecosystem, lane))
        status = await _stream(redis, keys.lane(ecosystem, lane), group, now_ms, retrying)
        if retrying:
            oldest_s = await _oldest_retry_s(redis, keys.retries(ecosystem, lane), now_ms)
            status = dataclasses.replace(status, oldest_s=max(status.oldest_s, oldest_s))
        found[str(lane)] = status
    return found


async def _oldest_retry_s(redis: Redis, retries: str, now_ms: int) -> float:
    """Return the age of the oldest of the messages whose next attempts are due first, in seconds.

    A message that has waited long comes among those again and again, so that it is not overlooked for long.
    """
    tokens: Any = await redis.zrange(retries, 0, _RETRIES_LOOKED_AT - 1)
    added_ms = [int(token.split(b"-")[0]) for token in tokens if token.split(b"-")[0].isdigit()]
    return round(max(0.0, (now_ms - min(added_ms)) / 1000), 1) if added_ms else 0.0


async def _stream(redis: Redis, stream: str, group: str, now_ms: int, retrying: int) -> LaneStatus:
    length = await redis.xlen(stream)
    first: Any = await redis.xrange(stream, count=1)
    oldest_s = max(0.0, (now_ms - int(first[0][0].split(b"-")[0])) / 1000) if first else 0.0
    groups: Any = await redis.xinfo_groups(stream) if await redis.exists(stream) else []
    pending = next((found["pending"] for found in groups if found["name"].decode() == group), 0)
    return LaneStatus(length - pending, pending, retrying, round(oldest_s, 1))


async def _consumers(redis: Redis, streams: Sequence[str], group: str) -> tuple[ConsumerStatus, ...]:
    """Return each consumer once, with the number of its pending entries in all streams."""
    merged: dict[str, ConsumerStatus] = {}
    for stream in streams:
        try:
            found: Any = await redis.xinfo_consumers(stream, group)
        except ResponseError as error:
            if "NOGROUP" not in str(error) and "no such key" not in str(error):
                raise
            continue
        for consumer in found:
            name, pending, idle_s = consumer["name"].decode(), consumer["pending"], consumer["idle"] / 1000
            if (other := merged.get(name)) is not None:
                pending, idle_s = pending + other.pending, min(idle_s, other.idle_s)
            merged[name] = ConsumerStatus(name, pending, idle_s)
    return tuple(merged[name] for name in sorted(merged))


def _due(milliseconds: float) -> str:
    return iso(datetime.fromtimestamp(milliseconds / 1000, UTC), "milliseconds")
