"""How fast and how many at once: one endpoint's share, changeable while requests run."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from securechain_ingest.http.priority import ConnectionPlaces

_BURST_S = 0.5
"""Requests that were not made in this time may be made up for at once."""

_SLOWEST = 1 / 64
_RECOVERY = 1 / 50
_ONE_INCIDENT_S = 1.0
"""Refusals this close together answer requests that were sent at the same rate: they halve it once."""


@dataclass(frozen=True, slots=True)
class Block:
    """Turns at an endpoint that one daemon has got for itself."""

    turns: int
    delay_s: float
    """Seconds until the first."""
    rate: float
    """Turns a second within the block: the rate in force, which refusals lower."""


class SharedTurns(Protocol):
    """One endpoint's turns, shared by all daemons of an installation."""

    async def block(self, rate: float, *, successes: int, overloaded: bool) -> Block:
        """The next half second's worth of turns at `rate` a second, and at least one.

        `successes` and `overloaded` are what the endpoint has said since the last block. Never fails: a store that is
        away costs the sharing, not the turn.
        """
        ...


class Pace:
    """At most `rate` requests a second and `connections` at once; infinity is no limit.

    When the server says that it is too much, the rate is halved (down to 1/64); each success gives a little back.
    With `shared` the turns are those of all daemons: this one takes them by the block, and what it does not use lapses.
    aiolimiter is not used: its rate cannot change while callers wait, and it cannot tell how long a wait will be.
    """

    def __init__(
        self,
        rate: float,
        connections: float,
        clock: Callable[[], float] = time.monotonic,
        shared: SharedTurns | None = None,
    ) -> None:
        self._clock = clock
        self._shared = shared
        self._turns_left = 0
        self._block_ends = float("-inf")
        self._successes = 0
        self._overloaded = False
        self._limit = self._rate = rate
        self._next_turn = clock()
        self._halved_at = self._paused_until = float("-inf")
        self.line = ConnectionPlaces(1)
        """Held by the one whose turn is next until it comes; the others wait in it."""
        self.connections = ConnectionPlaces(connections)

    def apply(self, rate: float, connections: float) -> None:
        """Take new limits; requests that are under way or wait for a turn are not touched."""
        if rate != self._limit:
            self._limit = self._rate = rate
            # Turns handed out at the old rate may lie far ahead; those to come need not queue behind them.
            self._next_turn = self._clock()
            self.line = ConnectionPlaces(1)
        self.connections.resize(connections)

    def wait_s(self) -> float:
        """Seconds until the turn of a request that comes now, unless more urgent ones come after it."""
        return max(0.0, self._next_turn - self._clock()) + self.line.ahead() / self._rate

    async def turn(self) -> float:
        """Take the next turn, as the holder of the line; returns the seconds until it comes."""
        if self._shared is None or math.isinf(self._rate):
            return self.reserve()
        if not self._turns_left or self._clock() >= self._block_ends:
            successes, self._successes = self._successes, 0
            overloaded, self._overloaded = self._overloaded, False
            block = await self._shared.block(self._limit, successes=successes, overloaded=overloaded)
            now = self._clock()
            self._rate = block.rate
            self._turns_left = block.turns
            self._next_turn = now + block.delay_s
            self._block_ends = self._next_turn + block.turns / block.rate
        turn = max(self._next_turn, self._clock())
        self._turns_left -= 1
        self._next_turn += 1 / self._rate
        return max(0.0, turn - self._clock())

    def reserve(self) -> float:
        """`turn` among this process's own."""
        now = self._clock()
        turn = max(self._next_turn, now - _BURST_S)
        self._next_turn = turn + 1 / self._rate
        return max(0.0, turn - now)

    def pause_s(self) -> float:
        """Seconds for which the server wishes not to be asked at all; mostly 0."""
        return max(0.0, self._paused_until - self._clock())

    def overloaded(self, pause_s: float = 0.0) -> None:
        """The server asked for fewer requests, and for none within `pause_s`."""
        now = self._clock()
        self._paused_until = max(self._paused_until, now + pause_s)
        self._overloaded = True
        if now - self._halved_at >= _ONE_INCIDENT_S:
            self._halved_at = now
            self._rate = max(self._rate / 2, self._limit * _SLOWEST)

    def succeeded(self) -> None:
        self._successes += 1
        self._rate = min(self._rate + self._limit * _RECOVERY, self._limit)

    @property
    def rate(self) -> float:
        """Requests a second at the moment."""
        return self._rate
