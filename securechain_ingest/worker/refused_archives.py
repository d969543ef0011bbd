"""Archives that took more than a parse may have, remembered so that no new validator has them parsed again.

A sorted set in Redis: a member for each archive and reason, its score the time at which it is forgotten. So it is
bounded in members as well as in time, and a question costs one command.
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
"""Some ten megabytes; beyond, those that would be forgotten first are."""

_REASONS: Final = tuple(sorted(LIMIT_REASONS))


class RefusedArchives:
    """Implements `archives.remote.Refusals`. Every error is a StoreError."""

    def __init__(self, redis: Redis, key: str, ttl_s: float, *, clock: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._key = key
        self._ttl_s = ttl_s
        self._clock = clock

    async def recall(self, archive: str) -> str | None:
        """The reason that is remembered of an archive."""
        members = [f"{archive}:{reason}" for reason in _REASONS]
        with store_errors():
            forgotten_at: list[float | None] = await self._redis.zmscore(self._key, members)
        now = self._clock()
        return next((reason for reason, at in zip(_REASONS, forgotten_at, strict=True) if at and at > now), None)

    async def remember(self, archive: str, refused: ArchiveRefused) -> None:
        """Its reason, if that is a limit of ours; any other is soon found again."""
        if refused.reason not in LIMIT_REASONS:
            return
        now = self._clock()
        with store_errors():
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.zadd(self._key, {f"{archive}:{refused.reason}": now + self._ttl_s})
                pipe.zremrangebyscore(self._key, "-inf", now)
                pipe.zremrangebyrank(self._key, 0, -MAX_REMEMBERED - 1)
                await pipe.execute()
