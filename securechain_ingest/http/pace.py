"""How fast and how many at once: one endpoint's share, changeable while requests run."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio

_BURST_S = 0.5
"""Requests that were not made in this time may be made up for at once."""

_SLOWEST = 1 / 64
_RECOVERY = 1 / 50


class Pace:
    """At most `rate` requests a second and `connections` at once; 0: no limit.

    When the server says that it is too much, the rate is halved (down to 1/64); each success gives a little back. The
    wait for a turn comes before the wait for a connection, so that it holds none; both are finite, because every turn
    comes after a known time and every connection is held for a bounded one.
    """

    def __init__(self, rate: float, connections: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._limit = rate
        self._rate = rate
        self._next_turn = clock()
        self._connections = anyio.CapacityLimiter(connections or float("inf"))

    def apply(self, rate: float, connections: int) -> None:
        """Take new limits; requests under way are not touched."""
        self._limit = self._rate = rate
        self._connections.total_tokens = connections or float("inf")

    @asynccontextmanager
    async def turn(self, sleep: Callable[[float], object]) -> AsyncIterator[None]:
        """Wait for the turn, then hold a connection."""
        wait_s = self.reserve()
        if wait_s > 0:
            await sleep(wait_s)  # type: ignore[misc]
        # A borrower of its own: one task may hold several turns (redirects).
        borrower = object()
        await self._connections.acquire_on_behalf_of(borrower)
        try:
            yield
        finally:
            self._connections.release_on_behalf_of(borrower)

    def reserve(self) -> float:
        """Take the next turn; returns the seconds until it comes."""
        if not self._rate:
            return 0.0
        now = self._clock()
        turn = max(self._next_turn, now - _BURST_S)
        self._next_turn = turn + 1 / self._rate
        return max(0.0, turn - now)

    def overloaded(self) -> None:
        """The server asked for fewer requests."""
        self._rate = max(self._rate / 2, self._limit * _SLOWEST)

    def succeeded(self) -> None:
        self._rate = min(self._rate + self._limit * _RECOVERY, self._limit)

    @property
    def rate(self) -> float:
        """Requests a second at the moment; 0: no limit."""
        return self._rate
