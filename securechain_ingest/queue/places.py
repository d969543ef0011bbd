"""One ecosystem's places: how many messages are in work at once, and the taking of the next ones."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from typing import Final

import anyio

from securechain_ingest.queue.entries import Entry
from securechain_ingest.queue.taking import Taker

_POLL_S: Final = 0.1
_STOPPED_POLL_S: Final = 0.5


def reserved_places(places: int) -> int:
    """How many of an ecosystem's places only the lane `asked` may take."""
    return min(2, places - 1)


class Places:
    """`total` gives the ecosystem's places and `more` how many messages the daemon may take beyond what it has in hand.

    `begin` takes an entry; False if it is in hand already.
    """

    def __init__(
        self,
        taker: Taker,
        *,
        total: Callable[[], int],
        more: Callable[[], int],
        lease_s: float,
        in_flight: Collection[object],
        begin: Callable[[Entry], bool],
        endpoint_fails: Callable[[], None],
    ) -> None:
        self._taker = taker
        self._total = total
        self._more = more
        self._lease_s = lease_s
        self._in_flight = in_flight
        self._begin = begin
        self._endpoint_fails = endpoint_fails
        self._claim_at = 0.0
        self._rest_s = 0.0
        self.look = asyncio.Event()
        """Set when there may be something to take."""

    async def fill(self) -> bool:
        """Take what there is room for; whether Redis was asked. Raises RedisError."""
        self.look.clear()
        self._rest_s = _POLL_S
        total = self._total()
        free, more = total - len(self._in_flight), self._more()
        room = min(free, more)
        if room <= 0:
            return False
        claims = time.monotonic() >= self._claim_at
        taken = await self._taker.take(
            any_places=room,
            other_places=max(0, min(free - reserved_places(total), more)),
            claims=claims,
            lease_s=self._lease_s,
        )
        if taken.has_failures:
            self._endpoint_fails()
        begun = sum(self._begin(entry) for entry in taken.entries)
        if claims and not any(entry.claimed for entry in taken.entries):
            self._claim_at = time.monotonic() + min(1.0, self._lease_s / 3)
        if begun:
            self._rest_s = 0.0
        elif taken.stopped:
            self._rest_s = _STOPPED_POLL_S
        return True

    async def rest(self) -> None:
        """Wait a little, if there was nothing to take or no room."""
        with anyio.move_on_after(self._rest_s):
            await self.look.wait()
