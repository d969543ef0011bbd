"""This module keeps how much all daemons together have done in each minute of the last hour and in each hour of the
last week, for the plots of the page.

What a process counts for Prometheus is looked at a few times a minute, and what has been added since is written to
Redis by one command. So neither a request nor a message pays for it, and an installation keeps at most 1 MB: one small
hash for each minute and each hour, which expires by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import anyio
from redis.asyncio import Redis

from securechain_ingest.advisories.endpoint import OSV
from securechain_ingest.drivers.redis_errors import store_errors
from securechain_ingest.metrics import MESSAGES, REQUESTS
from securechain_ingest.queue.backoff import Outage
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.script import NOW_MS, Script
from securechain_ingest.registries import DECLARATIONS

WRITE_EVERY_S: Final = 15.0
MINUTES: Final = 60
HOURS: Final = 168

ADVISORIES: Final = "osv"
"""What is asked of the source of the advisories is counted under this name, beside the ecosystems' names."""

_SOURCE_OF: Final = {endpoint.key: each.name for each in DECLARATIONS for endpoint in each.endpoints} | {
    OSV.key: ADVISORIES
}

_ADD: Final = Script(
    NOW_MS
    + """
local minute = math.floor(now_ms() / 60000)
for name, kept_s in pairs({[minutes_prefix .. minute] = 3900, [hours_prefix .. math.floor(minute / 60)] = 608400}) do
    for i, field in ipairs(fields) do redis.call('HINCRBY', name, field, counts[i]) end
    redis.call('EXPIRE', name, kept_s)
end
""",
    keys="minutes_prefix hours_prefix",
    arguments="fields* counts*",
)


@dataclass(frozen=True, slots=True)
class Slot:
    """This is what was done for one source within one minute or one hour."""

    starts_at: int
    """This is in seconds since the epoch."""
    requests: int = 0
    limited: int = 0
    """To so many of the requests the registry answered that they are too many (429)."""
    failed: int = 0
    """So many of the requests had no answer, or one that says that the registry is unwell (5xx)."""
    packages: int = 0
    """So many messages on packages have been served."""


@dataclass(frozen=True, slots=True)
class Activity:
    """This is what was done for one source lately. The oldest slot comes first; the newest is not over yet."""

    minutes: Sequence[Slot]
    hours: Sequence[Slot]

    def packages_a_minute(self, minutes: int = 5) -> float:
        """Return how many packages were served in each of the last minutes on average."""
        over = self.minutes[-minutes - 1 : -1]
        return sum(slot.packages for slot in over) / len(over)

    def requests_a_second(self, minutes: int = 5) -> float:
        """Return how many requests were made in each second of the last minutes on average."""
        over = self.minutes[-minutes - 1 : -1]
        return sum(slot.requests for slot in over) / len(over) / 60


class ActivityMeter:
    """This writes what this process does. It goes on after an outage of Redis, with what it could not write before."""

    def __init__(self, redis: Redis, stream: str) -> None:
        self._redis = redis
        self._keys = Keys(stream)
        self._written = counted()

    async def run(self) -> None:
        """Write every WRITE_EVERY_S seconds until it is cancelled."""
        outage = Outage("redis")
        while True:
            await anyio.sleep(WRITE_EVERY_S)
            await outage.insist(self.write)

    async def write(self) -> None:
        """Write what was done since the last time; if that is nothing, Redis is not asked. Raise RedisError.

        If it is repeated after an answer that was lost, it may count twice, which a plot can bear.
        """
        now = counted()
        added = {name: count for name, count in (now - self._written).items() if count > 0}
        if added:
            await _ADD.run(
                self._redis,
                minutes_prefix=self._keys.activity("minute", ""),
                hours_prefix=self._keys.activity("hour", ""),
                fields=list(added),
                counts=list(added.values()),
            )
        self._written = now


def counted() -> Counter[str]:
    """Return what this process has counted since its start, by `<source>:<word>`."""
    found: Counter[str] = Counter()
    for sample in _samples(REQUESTS):
        source, status = _SOURCE_OF.get(sample.labels["endpoint"]), sample.labels["status"]
        if source is None:
            continue
        found[f"{source}:requests"] += int(sample.value)
        if status == "429":
            found[f"{source}:limited"] += int(sample.value)
        elif status == "error" or status.startswith("5"):
            found[f"{source}:failed"] += int(sample.value)
    for sample in _samples(MESSAGES):
        if sample.labels["outcome"] == "done":
            found[f"{sample.labels['ecosystem']}:packages"] += int(sample.value)
    return found


async def activity_of(redis: Redis, stream: str) -> dict[str, Activity]:
    """Return what was done for each ecosystem, and for the advisories (ADVISORIES), by all daemons. Raise StoreError.

    Redis is asked twice: for its time, and for all slots.
    """
    keys = Keys(stream)
    with store_errors():
        seconds, _ = await redis.time()
        minute, hour = seconds // 60, seconds // 3600
        minutes = range(minute - MINUTES + 1, minute + 1)
        hours = range(hour - HOURS + 1, hour + 1)
        async with redis.pipeline(transaction=False) as pipeline:
            for each in minutes:
                pipeline.hgetall(keys.activity("minute", each))
            for each in hours:
                pipeline.hgetall(keys.activity("hour", each))
            held: Any = await pipeline.execute()
    of_minutes = list(zip((each * 60 for each in minutes), held[:MINUTES], strict=True))
    of_hours = list(zip((each * 3600 for each in hours), held[MINUTES:], strict=True))
    return {
        source: Activity(
            [_slot(source, at, fields) for at, fields in of_minutes],
            [_slot(source, at, fields) for at, fields in of_hours],
        )
        for source in dict.fromkeys(_SOURCE_OF.values())
    }


def _slot(source: str, at: int, fields: Mapping[bytes, bytes]) -> Slot:
    if not fields:
        return Slot(at)
    words = ("requests", "limited", "failed", "packages")
    return Slot(at, *(int(fields.get(f"{source}:{word}".encode(), 0)) for word in words))


def _samples(metric: Any) -> Any:
    return (sample for family in metric.collect() for sample in family.samples if sample.name.endswith("_total"))
