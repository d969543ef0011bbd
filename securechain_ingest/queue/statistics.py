"""This module shows the state of the queue at a glance."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from securechain_ingest.drivers.redis_errors import store_errors
from securechain_ingest.queue.breakers import Breakers, BreakerState, paused_since
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import LANES
from securechain_ingest.queue.settlement import HANDED_BACK_IDLE_MS
from securechain_ingest.settings import QueueSettings
from securechain_ingest.times import iso

_RETRIES_LOOKED_AT: Final = 1_000
_HANDED_BACK_COUNTED: Final = 10_000
"""More of a lane are not handed back at once: a daemon has at most 1,000 messages in work."""

COUNTERS = ("total_processed", "successful", "failed", "validation_errors", "unsupported_types")


@dataclass(frozen=True, slots=True)
class LaneStatus:
    """This is the state of one lane of one ecosystem, or of the stream of submissions."""

    waiting: int
    """This many messages wait, because no consumer has taken them yet or the one that had taken them has handed them
    back."""
    pending: int
    """This many other messages were taken by a consumer that has not settled them yet."""
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
    pairs = [(name, lane) for name in ecosystems for lane in LANES]
    streams = [keys.submissions, *(keys.lane(name, lane) for name, lane in pairs)]
    with store_errors():
        # One pipeline asks for everything: an installation has some thirty lanes, and each round trip costs.
        async with redis.pipeline(transaction=False) as pipeline:
            pipeline.time()
            pipeline.hmget(keys.counters, list(COUNTERS))
            pipeline.xlen(keys.dead_letters)
            for stream in streams:
                pipeline.xlen(stream)
                pipeline.xrange(stream, count=1)
                pipeline.xinfo_groups(stream)
                pipeline.xinfo_consumers(stream, queue.group)
                pipeline.xpending_range(stream, queue.group, "-", "+", _HANDED_BACK_COUNTED, idle=HANDED_BACK_IDLE_MS)
            for name, lane in pairs:
                pipeline.zcard(keys.retries(name, lane))
                pipeline.zrange(keys.retries(name, lane), 0, _RETRIES_LOOKED_AT - 1, withscores=True)
            answers = [_known(each) for each in await pipeline.execute(raise_on_error=False)]
        paused = dict(await paused_since(redis, keys))
        breakers = await Breakers(redis, keys).states(endpoints)
    (seconds, microseconds), counted, dead_letters = answers[:3]
    now_ms = seconds * 1000 + microseconds // 1000
    of_streams = _rows(answers[3 : 3 + 5 * len(streams)], 5)
    of_retries = _rows(answers[3 + 5 * len(streams) :], 2)
    found = [
        _status(queue.group, now_ms, row, *retries)
        for row, retries in zip(of_streams, [(0, []), *of_retries], strict=True)
    ]
    next_retries = [due[0][1] for _, due in of_retries if due]
    lanes: dict[str, dict[str, LaneStatus]] = {name: {} for name in ecosystems}
    for (name, lane), status in zip(pairs, found[1:], strict=True):
        lanes[name][str(lane)] = status
    return QueueStatus(
        submissions=found[0],
        lanes=lanes,
        paused=paused,
        breakers=breakers,
        consumers=_consumers(row[3] for row in of_streams),
        next_retry_at=_due(min(next_retries)) if next_retries else None,
        dead_letters=dead_letters,
        counters={name: int(value or 0) for name, value in zip(COUNTERS, counted, strict=True)},
    )


def _known(answer: Any) -> Any:
    """Return an answer, which is empty if its stream or its group does not exist yet. Raise any other error."""
    if not isinstance(answer, Exception):
        return answer
    if isinstance(answer, ResponseError) and ("no such key" in str(answer) or "NOGROUP" in str(answer)):
        return []
    raise answer


def _rows(answers: Sequence[Any], length: int) -> list[Sequence[Any]]:
    return [answers[start : start + length] for start in range(0, len(answers), length)]


def _status(group: str, now_ms: int, row: Sequence[Any], retrying: int, due: Any) -> LaneStatus:
    length, first, groups, _, handed_back = row
    oldest_s = max(0.0, (now_ms - int(first[0][0].split(b"-")[0])) / 1000) if first else 0.0
    taken = next((found["pending"] for found in groups if found["name"].decode() == group), 0)
    # Other clients may come between the two questions.
    pending = max(0, taken - len(handed_back))
    return LaneStatus(length - pending, pending, retrying, round(max(oldest_s, _oldest_s(due, now_ms)), 1))


def _oldest_s(due: Any, now_ms: int) -> float:
    """Return the age of the oldest of the messages whose next attempts are due first, in seconds.

    A message that has waited long comes among those again and again, so that it is not overlooked for long.
    """
    added_ms = [int(token.split(b"-")[0]) for token, _ in due if token.split(b"-")[0].isdigit()]
    return max(0.0, (now_ms - min(added_ms)) / 1000) if added_ms else 0.0


def _consumers(of_streams: Iterable[Any]) -> tuple[ConsumerStatus, ...]:
    """Return each consumer once, with the number of its pending entries in all streams."""
    merged: dict[str, ConsumerStatus] = {}
    for found in of_streams:
        for consumer in found:
            name, pending, idle_s = consumer["name"].decode(), consumer["pending"], consumer["idle"] / 1000
            if (other := merged.get(name)) is not None:
                pending, idle_s = pending + other.pending, min(idle_s, other.idle_s)
            merged[name] = ConsumerStatus(name, pending, idle_s)
    return tuple(merged[name] for name in sorted(merged))


def _due(milliseconds: float) -> str:
    return iso(datetime.fromtimestamp(milliseconds / 1000, UTC), "milliseconds")
