"""This module says whether the lane `required` has room for the packages that a package requires.

This is asked before the graph counts these packages as queued.
"""

from __future__ import annotations

import time
from typing import Final

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.submission import room_in
from securechain_ingest.settings import QueueSettings

_GOOD_FOR_S: Final = 1.0

logger = structlog.get_logger(__name__)


class RequiredRoom:
    """This says for each ecosystem whether there is room; an answer is at most one second old."""

    def __init__(self, redis: Redis, queue: QueueSettings) -> None:
        self._redis = redis
        self._queue = queue
        self._known: dict[str, tuple[float, bool]] = {}

    def apply(self, queue: QueueSettings) -> None:
        """Use a changed bound of the lane from now on."""
        self._queue = queue

    async def __call__(self, ecosystem: str) -> bool:
        """Return whether the lane has room.

        Without room a write names no follow-ups, and the next package that requires the missing one asks for it. While
        Redis is away there is no room, because a message that could not be queued must not be marked as queued.
        """
        now = time.monotonic()
        asked_at, has = self._known.get(ecosystem, (float("-inf"), True))
        if now - asked_at < _GOOD_FOR_S:
            return has
        try:
            found = await room_in(self._redis, self._queue, ecosystem, Lane.REQUIRED) > 0
        except RedisError:
            return False
        if has and not found:
            logger.info("required_lane_full", ecosystem=ecosystem)
        self._known[ecosystem] = now, found
        return found
