"""The places of an ecosystem limit how many of its messages are in work at once; this module fills them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from typing import Final

import anyio
import structlog

from securechain_ingest.queue.entries import Entry
from securechain_ingest.queue.taking import Taker
from securechain_ingest.waits import Waits

logger = structlog.get_logger(__name__)

POLLS: Final = Waits(first_s=0.1, longest_s=0.5)
"""These are the waits between two polls of lanes in which nothing was found. Who puts a message there may be another
daemon, and somebody may wait for it."""

_PAUSE_POLL_S: Final = 1.0
"""If no place is free, this many seconds pass between two questions whether a pause has begun."""


def reserved_places(places: int) -> int:
    """Return how many of an ecosystem's places are reserved for the lane `asked`."""
    return min(2, places - 1)


class Places:
    """These are the places of one ecosystem, whose name is `ecosystem`.

    `total` returns their number, and `more` returns how many messages the daemon may take beyond those in work.
    `begin` starts the work on an entry, and returns False if the entry is in work already. `endpoint_fails` is called
    when the endpoint's breaker counts failures, and `hand_back` at each poll during an operator's pause.
    """

    def __init__(
        self,
        ecosystem: str,
        taker: Taker,
        *,
        total: Callable[[], int],
        more: Callable[[], int],
        lease_s: float,
        in_flight: Collection[object],
        begin: Callable[[Entry], bool],
        endpoint_fails: Callable[[], None],
        hand_back: Callable[[], None],
    ) -> None:
        self._ecosystem = ecosystem
        self._taker = taker
        self._is_paused = False
        self._total = total
        self._more = more
        self._lease_s = lease_s
        self._in_flight = in_flight
        self._begin = begin
        self._endpoint_fails = endpoint_fails
        self._hand_back = hand_back
        self._asked_at = 0.0
        self._claim_at = 0.0
        self._rest_s = 0.0
        self._empty_polls = 0
        self.asked_for = 0
        """So many places are promised to messages that are being taken at this moment."""
        self.wake = asyncio.Event()
        """This is set when there may be messages to take."""

    async def fill(self) -> bool:
        """Take messages for the free places, and return whether Redis was asked. This raises RedisError."""
        self.wake.clear()
        self._rest_s = POLLS.longest_s
        total = self._total()
        free, more = total - len(self._in_flight), self._more()
        room = max(0, min(free, more))
        if room == 0 and time.monotonic() < self._asked_at + _PAUSE_POLL_S:
            return False
        self._asked_at = time.monotonic()
        claims = room > 0 and time.monotonic() >= self._claim_at
        self.asked_for = room
        try:
            taken = await self._taker.take(
                any_places=room,
                other_places=max(0, min(free - reserved_places(total), more)),
                claims=claims,
                lease_s=self._lease_s,
            )
        finally:
            self.asked_for = 0
        self._report_pause(is_paused=taken.stopped == "paused")
        if self._is_paused:
            self._hand_back()
        if taken.has_failures:
            self._endpoint_fails()
        begun = sum(self._begin(entry) for entry in taken.entries)
        if taken.stopped or any(entry.is_probe for entry in taken.entries):
            # Nothing was claimed. What was handed back meanwhile is taken first when the lanes go on.
            self._claim_at = 0.0
        elif claims and not any(entry.claimed for entry in taken.entries):
            self._claim_at = time.monotonic() + min(1.0, self._lease_s / 3)
        self._empty_polls = 0 if begun else self._empty_polls + 1
        if begun:
            self._rest_s = 0.0
        elif not taken.stopped:
            self._rest_s = POLLS.after(self._empty_polls)
        return True

    def _report_pause(self, *, is_paused: bool) -> None:
        """Log that an operator has paused the ecosystem, or let it go on."""
        if is_paused != self._is_paused:
            self._is_paused = is_paused
            logger.info("ecosystem_paused" if is_paused else "ecosystem_resumed", ecosystem=self._ecosystem)

    async def rest(self) -> None:
        """Wait a little if there was no message to take or no free place."""
        with anyio.move_on_after(self._rest_s):
            await self.wake.wait()
