"""The state of the queue at a glance."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from securechain_ingest.errors import StoreError
from securechain_ingest.queue.keys import Keys
from securechain_ingest.settings import QueueSettings

COUNTERS = ("total_processed", "successful", "failed", "validation_errors", "unsupported_types")


@dataclass(frozen=True, slots=True)
class StreamStatus:
    length: int
    """Messages that are not settled, postponed ones apart."""
    pending: int
    """Those of them that some consumer has in hand."""
    lag: int | None
    """Those that no consumer has taken yet; None if Redis cannot tell."""


@dataclass(frozen=True, slots=True)
class ConsumerStatus:
    name: str
    pending: int
    idle_s: float
    """Since it last asked for anything."""


@dataclass(frozen=True, slots=True)
class QueueStatus:
    on_demand: StreamStatus
    bulk: StreamStatus
    consumers: tuple[ConsumerStatus, ...]
    retrying: int
    next_retry_at: str | None
    """ISO 8601, UTC; None if nothing waits for another try."""
    dead_letters: int
    counters: dict[str, int]
    """`total_processed` is the sum of the other four."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data that JSON can hold."""
        plain = dataclasses.asdict(self)
        return {"in_flight": self.on_demand.pending + self.bulk.pending, **plain, "consumers": list(plain["consumers"])}


async def queue_status(redis: Redis, queue: QueueSettings) -> QueueStatus:
    """What is queued, in hand, postponed and put aside. Raises StoreError."""
    keys = Keys(queue.stream)
    try:
        next_retry: Any = await redis.zrange(keys.retries, 0, 0, withscores=True)
        counted: Any = await redis.hmget(keys.counters, list(COUNTERS))
        return QueueStatus(
            on_demand=await _stream(redis, keys.on_demand, queue.group),
            bulk=await _stream(redis, keys.bulk, queue.group),
            consumers=await _consumers(redis, keys, queue.group),
            retrying=await redis.zcard(keys.retries),
            next_retry_at=_iso(next_retry[0][1]) if next_retry else None,
            dead_letters=await redis.xlen(keys.dead_letters),
            counters={name: int(value or 0) for name, value in zip(COUNTERS, counted, strict=True)},
        )
    except RedisError as error:
        raise StoreError(f"the queue could not be read from Redis ({type(error).__name__}: {error})") from error


async def _stream(redis: Redis, stream: str, group: str) -> StreamStatus:
    length = await redis.xlen(stream)
    groups: Any = await redis.xinfo_groups(stream) if await redis.exists(stream) else []
    for found in groups:
        if found["name"].decode() == group:
            return StreamStatus(length, found["pending"], found["lag"])
    return StreamStatus(length, pending=0, lag=length)


async def _consumers(redis: Redis, keys: Keys, group: str) -> tuple[ConsumerStatus, ...]:
    """Each consumer once, with what it has in hand of both streams."""
    merged: dict[str, ConsumerStatus] = {}
    for stream in (keys.on_demand, keys.bulk):
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


def _iso(milliseconds: float) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
