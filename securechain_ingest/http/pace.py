"""This module limits how fast one endpoint is asked and how many requests run at once. The limits can change while
requests run."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

from securechain_ingest.http.priority import Connections

logger = structlog.get_logger(__name__)

_BURST_S = 0.5
"""The requests that could have been made in the last half second, but were not, may be made at once."""

_SLOWEST = 1 / 64
_RECOVERY = 1 / 50
_ONE_INCIDENT_S = 1.0
"""Refusals within this time of one another answer requests that were sent at the same rate. They halve the rate only
once."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block is a number of turns at an endpoint that one daemon has taken for itself."""

    turns: int
    delay_s: float
    """The first turn comes after so many seconds."""
    rate: float
    """The block has so many turns a second. This is the rate in force, which refusals lower."""
    is_shared: bool = True
    """The other daemons know of these turns, and of what was said with the request for them."""


class SharedTurns(Protocol):
    """These are one endpoint's turns, which all daemons of an installation share."""

    async def block(self, rate: float, *, successes: int, overloaded: bool) -> Block:
        """Return the next block: the turns of half a second at `rate` turns a second, and at least one turn.

        `successes` and `overloaded` say how the endpoint has answered since the last block. This never fails: if the
        store cannot be reached, the turns are not shared, but the daemon still gets its own.
        """
        ...


class Pace:
    """This allows at most `rate` requests a second and `connections` requests at once. Infinity means no limit.

    When the server says that there are too many requests, the rate is halved, down to 1/64 of the limit; each success
    raises it a little. With `shared` the turns are those of all daemons: this daemon takes them in blocks, and the
    turns that it does not use are lost. aiolimiter is not used, because its rate cannot change while callers wait, and
    because it cannot say how long a wait will be. The log names the endpoint by `endpoint`.
    """

    def __init__(
        self,
        rate: float,
        connections: float,
        clock: Callable[[], float] = time.monotonic,
        shared: SharedTurns | None = None,
        *,
        endpoint: str = "",
    ) -> None:
        self._endpoint = endpoint
        self._is_slowed_down = False
        self._clock = clock
        self._shared = shared
        self._turns_left = 0
        self._block_ends = float("-inf")
        self._successes = 0
        self._overloaded = False
        self._limit = self._rate = rate
        self._next_turn = clock()
        self._halved_at = self._paused_until = float("-inf")
        self.line = Connections(1)
        """The caller whose turn is next holds this until the turn comes. The other callers wait for it."""
        self.connections = Connections(connections)

    def apply(self, rate: float, connections: float) -> None:
        """Apply new limits. Requests that are under way or wait for a turn are not affected."""
        if rate != self._limit:
            self._limit = self._rate = rate
            # Turns handed out at the old rate may lie far ahead; those to come need not queue behind them.
            self._next_turn = self._clock()
            self.line = Connections(1)
        self.connections.resize(connections)

    def wait_s(self) -> float:
        """Return in how many seconds a request that is made now has its turn, unless more urgent requests follow."""
        return max(0.0, self._next_turn - self._clock()) + self.line.ahead() / self._rate

    async def turn(self) -> float:
        """Take the next turn; the caller holds `line`. Return in how many seconds the turn comes."""
        if self._shared is None or math.isinf(self._rate):
            return self.reserve()
        if not self._turns_left or self._clock() >= self._block_ends:
            successes, self._successes = self._successes, 0
            overloaded, self._overloaded = self._overloaded, False
            is_told = False
            try:
                block = await self._shared.block(self._limit, successes=successes, overloaded=overloaded)
                is_told = block.is_shared
            finally:
                if not is_told:
                    self._successes += successes
                    self._overloaded |= overloaded
            now = self._clock()
            # While nobody else can be told of a refusal, it still slows down this daemon.
            self._rate = block.rate if block.is_shared else min(block.rate, self._rate)
            self._turns_left = block.turns
            self._next_turn = now + (block.delay_s if block.is_shared else 1 / self._rate)
            self._block_ends = self._next_turn + block.turns / self._rate
        turn = max(self._next_turn, self._clock())
        self._turns_left -= 1
        self._next_turn += 1 / self._rate
        return max(0.0, turn - self._clock())

    def reserve(self) -> float:
        """Take the next turn as if no other daemon asked this endpoint. Return in how many seconds it comes."""
        now = self._clock()
        turn = max(self._next_turn, now - _BURST_S)
        self._next_turn = turn + 1 / self._rate
        return max(0.0, turn - now)

    def pause_s(self) -> float:
        """Return for how many seconds the server wants no request at all. This is mostly 0."""
        return max(0.0, self._paused_until - self._clock())

    def overloaded(self, pause_s: float = 0.0) -> None:
        """The server asked for fewer requests, and for none within `pause_s` seconds."""
        now = self._clock()
        self._paused_until = max(self._paused_until, now + pause_s)
        self._overloaded = True
        if now - self._halved_at >= _ONE_INCIDENT_S:
            self._halved_at = now
            self._slow_down(max(self._rate / 2, self._limit * _SLOWEST))

    def _slow_down(self, rate: float) -> None:
        if rate < self._rate < math.inf:
            self._is_slowed_down = True
            rates = {"requests_per_second": round(rate, 3), "configured": self._limit}
            logger.warning("endpoint_slowed_down", endpoint=self._endpoint, **rates)
        self._rate = rate

    def succeeded(self) -> None:
        self._successes += 1
        self._rate = min(self._rate + self._limit * _RECOVERY, self._limit)
        if self._is_slowed_down and self._rate == self._limit:
            self._is_slowed_down = False
            logger.info("endpoint_at_full_rate", endpoint=self._endpoint, requests_per_second=self._limit)

    @property
    def rate(self) -> float:
        """Return the rate at the moment, in requests a second."""
        return self._rate
