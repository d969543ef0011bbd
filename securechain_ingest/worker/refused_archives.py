"""This module remembers archives that took more than a parse may take, so that they are not parsed again.

A new validator of the package does not change that. The memory is a sorted set in Redis. It has one member for each
archive and reason, whose score is the time at which the member is forgotten. So both the number of members and the time
are bounded. Each daemon has a copy, so that a look-up costs no command.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from typing import Any, Final

from redis.asyncio import Redis

from securechain_ingest.archives.faults import LIMIT_REASONS
from securechain_ingest.drivers.redis_errors import store_errors
from securechain_ingest.errors import ArchiveRefused

MAX_REMEMBERED: Final = 100_000
"""So many members take about ten megabytes. When there are more, those with the earliest end are removed."""

_REASONS: Final = tuple(sorted(LIMIT_REASONS))
_COPY_GOOD_FOR_S: Final = 10.0
_CLOCKS_DIFFER_S: Final = 60.0
"""The copy is brought up to date by the members with the latest end. Another host's clock may be this much behind."""


class RefusedArchives:
    """This implements `archives.remote.Refusals`. Every error is a StoreError.

    An archive is remembered for `ttl_s` seconds. `clock` returns the time in seconds since the epoch.
    """

    def __init__(self, redis: Redis, key: str, ttl_s: float, *, clock: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._key = key
        self._ttl_s = ttl_s
        self._clock = clock
        self._copy: dict[str, float] = {}
        self._copied_at = float("-inf")

    async def recall(self, archive: str) -> str | None:
        """Return the reason that is remembered for an archive, or None if there is none.

        What another daemon has remembered less than ten seconds ago may be missing.
        """
        now = self._clock()
        if now - self._copied_at >= _COPY_GOOD_FOR_S:
            await self._bring_up_to_date(now)
        return next((reason for reason in _REASONS if self._copy.get(f"{archive}:{reason}", now) > now), None)

    async def remember(self, archive: str, refused: ArchiveRefused) -> None:
        """Remember the reason if it is one of LIMIT_REASONS. Any other reason is soon found again."""
        if refused.reason not in LIMIT_REASONS:
            return
        now = self._clock()
        member, end = f"{archive}:{refused.reason}", now + self._ttl_s
        with store_errors():
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.zadd(self._key, {member: end})
                pipe.zremrangebyscore(self._key, "-inf", now)
                pipe.zremrangebyrank(self._key, 0, -MAX_REMEMBERED - 1)
                await pipe.execute()
        self._keep({member: end}, now)

    async def _bring_up_to_date(self, now: float) -> None:
        known_until = max(self._copy.values(), default=float("-inf")) - _CLOCKS_DIFFER_S
        with store_errors():
            rows: Any = await self._redis.zrangebyscore(self._key, known_until, "+inf", withscores=True)
        self._keep({member.decode(): float(end) for member, end in rows}, now)
        self._copied_at = now

    def _keep(self, members: dict[str, float], now: float) -> None:
        held = {member: end for member, end in (self._copy | members).items() if end > now}
        if len(held) > MAX_REMEMBERED:
            held = dict(heapq.nlargest(MAX_REMEMBERED, held.items(), key=lambda item: item[1]))
        self._copy = held
