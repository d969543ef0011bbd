"""This module remembers archives that took more than a parse may take, so that they are not parsed again.

A new validator of the package does not change that. The memory is a sorted set in Redis. It has one member for each
archive and reason, whose score is the time at which the member is forgotten. So both the number of members and the time
are bounded, and a look-up costs one command.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from redis.asyncio import Redis

from securechain_ingest.archives.faults import LIMIT_REASONS
from securechain_ingest.errors import ArchiveRefused
from securechain_ingest.redis_errors import store_errors

MAX_REMEMBERED: Final = 100_000
"""So many members take about ten megabytes. When there are more, those with the earliest end are removed."""

_REASONS: Final = tuple(sorted(LIMIT_REASONS))


class RefusedArchives:
    """This implements `archives.remote.Refusals`. Every error is a StoreError.

    An archive is remembered for `ttl_s` seconds. `clock` returns the time in seconds since the epoch.
    """

    def __init__(self, redis: Redis, key: str, ttl_s: float, *, clock: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._key = key
        self._ttl_s = ttl_s
        self._clock = clock

    async def recall(self, archive: str) -> str | None:
        """Return the reason that is remembered for an archive, or None if there is none."""
        members = [f"{archive}:{reason}" for reason in _REASONS]
        with store_errors():
            forgotten_at: list[float | None] = await self._redis.zmscore(self._key, members)
        now = self._clock()
        return next((reason for reason, at in zip(_REASONS, forgotten_at, strict=True) if at and at > now), None)

    async def remember(self, archive: str, refused: ArchiveRefused) -> None:
        """Remember the reason if it is one of LIMIT_REASONS. Any other reason is soon found again."""
        if refused.reason not in LIMIT_REASONS:
            return
        now = self._clock()
        with store_errors():
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.zadd(self._key, {f"{archive}:{refused.reason}": now + self._ttl_s})
                pipe.zremrangebyscore(self._key, "-inf", now)
                pipe.zremrangebyrank(self._key, 0, -MAX_REMEMBERED - 1)
                await pipe.execute()
