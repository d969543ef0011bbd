"""What the queue does about failures: when a message is tried again, and how a store that is away is waited for."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
import structlog
from redis.exceptions import RedisError

from securechain_ingest.waits import Waits

logger = structlog.get_logger(__name__)

T = TypeVar("T")

MAX_RETRY_AFTER_S = 86_400.0
"""A registry that asks for a longer pause than a day is asked again after a day."""

AWAY = Waits(first_s=0.1, longest_s=5.0)
"""The waits while a store is away."""

_REPEATED = Waits(first_s=0.05, longest_s=5.0)


def retry_delay_s(
    failures: int,
    *,
    base_s: float,
    max_s: float,
    at_least_s: float = 0.0,
    uniform: Callable[[float, float], float] = random.uniform,
) -> float:
    """Seconds until the next try of a message after `failures` (at least 1) failed ones.

    `at_least_s` is what the registry asked for; the jitter is added to it, so that what was turned away together does
    not come back together.
    """
    wait_s = Waits(base_s, max_s, jitter=1.0).after(failures, uniform=uniform)
    return min(at_least_s, MAX_RETRY_AFTER_S) + wait_s


class Outage:
    """Tells once that a store went away and once that it is back, whoever notices first."""

    def __init__(self, store: str) -> None:
        self._store = store
        self._away = False
        self._failed_at = self._answered_at = float("-inf")

    def failed(self, error: Exception, *, asked_at: float | None = None) -> None:
        """`asked_at`: by the monotonic clock. What was asked before the store last answered says nothing new."""
        if asked_at is not None and asked_at < self._answered_at:
            return
        self._failed_at = time.monotonic()
        if not self._away:
            self._away = True
            logger.error("store_unavailable", store=self._store, reason=f"{type(error).__name__}: {error}")

    def answered(self, *, asked_at: float | None = None) -> None:
        """Likewise: an answer to what was asked before the store last failed does not say that it is back."""
        if asked_at is not None and asked_at < self._failed_at:
            return
        self._answered_at = time.monotonic()
        if self._away:
            self._away = False
            logger.info("store_available", store=self._store)

    async def insist(self, command: Callable[[], Awaitable[T]]) -> T:
        """The answer of a command that may be repeated, tried until Redis gives one."""
        failures = 0
        while True:
            asked_at = time.monotonic()
            try:
                answer = await command()
            except RedisError as error:
                self.failed(error, asked_at=asked_at)
                failures += 1
                await anyio.sleep(_REPEATED.after(failures))
            else:
                self.answered(asked_at=asked_at)
                return answer
