"""This module decides when a failed message is tried again, and how the queue waits for a store that is away."""

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

LASTS_AFTER_S = 60.0
"""A store that is away for longer than this many seconds does not come back by itself, so somebody must look."""

AWAY = Waits(first_s=0.1, longest_s=5.0)
"""These are the waits while a store is away."""

_REPEATED = Waits(first_s=0.05, longest_s=5.0)


def retry_delay_s(
    failures: int,
    *,
    base_s: float,
    max_s: float,
    at_least_s: float = 0.0,
    uniform: Callable[[float, float], float] = random.uniform,
) -> float:
    """Return the seconds until the next attempt of a message, after `failures` (at least 1) failed attempts.

    `at_least_s` is the pause in seconds that the registry asked for; no more than MAX_RETRY_AFTER_S of it counts. The
    jitter is added to it, so that messages that were refused together do not come back together.
    """
    wait_s = Waits(base_s, max_s, jitter=1.0).after(failures, uniform=uniform)
    return min(at_least_s, MAX_RETRY_AFTER_S) + wait_s


class Outage:
    """This logs once that a store went away, once that it stays away and once that it is back, whichever caller notices
    it first."""

    def __init__(self, store: str) -> None:
        self._store = store
        self._away = self._lasts = False
        self._away_since = 0.0
        self._failed_at = self._answered_at = float("-inf")

    def failed(self, error: Exception, *, asked_at: float | None = None) -> None:
        """Note that the store did not answer a command.

        `asked_at` is the time of the command in seconds of the monotonic clock. A command that was sent before the
        store last answered says nothing new.
        """
        if asked_at is not None and asked_at < self._answered_at:
            return
        self._failed_at = time.monotonic()
        reason = f"{type(error).__name__}: {error}"
        away_s = self._failed_at - self._away_since
        if not self._away:
            self._away, self._away_since = True, self._failed_at
            logger.warning("store_unavailable", store=self._store, reason=reason)
        elif away_s > LASTS_AFTER_S and not self._lasts:
            self._lasts = True
            logger.error("store_stays_away", store=self._store, away_s=round(away_s), reason=reason)

    def answered(self, *, asked_at: float | None = None) -> None:
        """Note that the store has answered a command; `asked_at` is the time of the command as in `failed`.

        An answer to a command that was sent before the store last failed does not say that the store is back.
        """
        if asked_at is not None and asked_at < self._failed_at:
            return
        self._answered_at = time.monotonic()
        if self._away:
            self._away = self._lasts = False
            away_s = round(self._answered_at - self._away_since, 1)
            logger.info("store_available", store=self._store, away_s=away_s)

    async def insist(self, command: Callable[[], Awaitable[T]]) -> T:
        """Repeat a command until Redis answers it, and return the answer. The command must be safe to repeat."""
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
