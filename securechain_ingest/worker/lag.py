"""This module measures how long new versions take from their publication to the graph, and notes which packages were
active last.

A package that is read for the first time says nothing about that, since its versions are as old as they are. A note
costs a message no command of Redis: notes are written every few seconds, and those that a killed daemon had not written
are lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import quantiles
from typing import Any, Final

import anyio
from redis.asyncio import Redis

from securechain_ingest.drivers.redis_errors import store_errors
from securechain_ingest.model import KnownPackage, Package
from securechain_ingest.queue.backoff import Outage
from securechain_ingest.queue.keys import Keys
from securechain_ingest.times import iso

KEPT: Final = 1_000
"""So many lags are kept for each ecosystem; they are the latest ones."""

WRITE_EVERY_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Lag:
    """This summarizes the lags of one ecosystem's latest new versions, in seconds."""

    versions: int
    median_s: float
    most_s: float
    """Nine of ten versions took no longer than this."""
    last_at: str
    """The latest of the versions came into the graph at this time (ISO 8601, UTC)."""


class LagMeter:
    """This notes what is written to the graph. `watched` says for each ecosystem how many active packages are kept."""

    def __init__(self, redis: Redis, stream: str, watched: Mapping[str, int]) -> None:
        self._redis = redis
        self._keys = Keys(stream)
        self._watched = watched
        self._lags: dict[str, list[str]] = {}
        self._active: dict[str, dict[str, float]] = {}

    def note(self, package: Package, known: KnownPackage | None, now: datetime) -> None:
        """Note a package that has just been written. `known` is what the graph had of it before, or None."""
        ecosystem, at = package.ref.ecosystem.name, now.timestamp()
        released = {version.name: _seconds(version.release_date) for version in package.versions}
        dates = [date for date in released.values() if date is not None]
        if dates and self._watched.get(ecosystem):
            self._active.setdefault(ecosystem, {})[package.ref.registry_name] = max(dates)
        if known is None or not known.versions:
            return
        for name, date in released.items():
            if date is not None and name not in known.versions:
                self._lags.setdefault(ecosystem, []).append(f"{at:.0f} {max(0.0, at - date):.0f}")

    async def run(self) -> None:
        """Write the notes every few seconds until it is cancelled. It goes on after an outage of Redis."""
        outage = Outage("redis")
        while True:
            await anyio.sleep(WRITE_EVERY_S)
            await outage.insist(self.write)

    async def write(self) -> None:
        """Write what was noted since the last time. It raises RedisError, after which the notes are still there."""
        lags = {ecosystem: noted[-KEPT:] for ecosystem, noted in self._lags.items() if noted}
        active = {ecosystem: dict(noted) for ecosystem, noted in self._active.items() if noted}
        if not lags and not active:
            return
        counts = {ecosystem: len(noted) for ecosystem, noted in self._lags.items()}
        async with self._redis.pipeline(transaction=True) as pipeline:
            for ecosystem, noted in lags.items():
                pipeline.lpush(self._keys.lags(ecosystem), *noted)
                pipeline.ltrim(self._keys.lags(ecosystem), 0, KEPT - 1)
            for ecosystem, packages in active.items():
                key = self._keys.active(ecosystem)
                pipeline.zadd(key, packages)
                pipeline.zremrangebyrank(key, 0, -self._watched[ecosystem] - 1)
            await pipeline.execute()
        for ecosystem in lags:
            self._lags[ecosystem] = self._lags[ecosystem][counts[ecosystem] :]
        for ecosystem, packages in active.items():
            for name, date in packages.items():
                if self._active[ecosystem].get(name) == date:
                    del self._active[ecosystem][name]


async def lags_of(redis: Redis, stream: str, ecosystems: Iterable[str]) -> dict[str, Lag]:
    """Return the lags of the ecosystems that have any, by the ecosystem's name. It raises StoreError."""
    found: dict[str, Lag] = {}
    for ecosystem in ecosystems:
        with store_errors():
            noted: Any = await redis.lrange(Keys(stream).lags(ecosystem), 0, KEPT - 1)
        pairs = [line.decode().split(" ") for line in noted]
        if pairs:
            seconds = sorted(float(lag) for _, lag in pairs)
            tenths = quantiles(seconds, n=10, method="inclusive") if len(seconds) > 1 else seconds * 9
            last_at = iso(datetime.fromtimestamp(float(pairs[0][0]), UTC))
            found[ecosystem] = Lag(len(seconds), round(tenths[4], 1), round(tenths[8], 1), last_at)
    return found


def _seconds(moment: str | None) -> float | None:
    """Return a time in seconds since the epoch. It is None for a date without a time of day, which is too rough, and
    for text that is no time."""
    if moment is None or "T" not in moment:
        return None
    try:
        parsed = datetime.fromisoformat(moment)
    except ValueError:
        return None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
