"""Room in memory for documents: one budget for all that are being received or parsed.

A document counts from its second mebibyte on, while it comes and for as long as anybody holds it. Its size is known
only at its end, so that several could each have a part and none the rest; therefore so much is always kept free that
the largest of those that are coming can be finished, and with what that one gives back the next.
"""

from __future__ import annotations

import asyncio
import gc
from typing import Final

STEP_BYTES: Final = 1024 * 1024
"""Room is taken in such pieces, and what is no larger takes none."""


class NoRoomInTime(Exception):
    """There was no room for as long as a document may wait."""


class Lease:
    """The room of one document."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.held_bytes = 0
        self.is_coming = True

    async def grow_to(self, size: int) -> None:
        """Wait for room for a document of so many bytes. Raises NoRoomInTime."""
        if size > max(self.held_bytes, STEP_BYTES):
            await self._budget.take(self, -(-size // STEP_BYTES) * STEP_BYTES - self.held_bytes)

    def arrived(self) -> None:
        """The document is whole; it takes no more."""
        self._budget.settle(self)

    def release(self) -> None:
        """Nobody holds the document any longer; may be called more than once."""
        self._budget.give_back(self)


class Budget:
    """`largest_bytes`: what one document may have at most."""

    def __init__(self, limit_bytes: int, largest_bytes: int, longest_wait_s: float) -> None:
        self.largest_bytes = min(largest_bytes, limit_bytes)
        self._limit_bytes = -(-limit_bytes // STEP_BYTES) * STEP_BYTES
        self._longest_wait_s = longest_wait_s
        self._held_bytes = 0
        self._coming: dict[Lease, None] = {}
        self._changed = asyncio.Event()

    @property
    def held_bytes(self) -> int:
        """What is taken at the moment."""
        return self._held_bytes

    def lease(self) -> Lease:
        """For one document; it has to be released."""
        return Lease(self)

    async def take(self, lease: Lease, size: int) -> None:
        """Wait until so much more may be taken. Raises NoRoomInTime."""
        self._coming.setdefault(lease)
        if not self._may_take(lease, size):
            # What failed a moment ago may still be held by its own traceback.
            gc.collect(0)
        try:
            async with asyncio.timeout(self._longest_wait_s):
                while not self._may_take(lease, size):
                    await self._changed.wait()
        except TimeoutError as error:
            raise NoRoomInTime from error
        lease.held_bytes += size
        self._held_bytes += size

    def settle(self, lease: Lease) -> None:
        """It comes no longer: others may be finished with what was kept free for it."""
        if lease in self._coming:
            del self._coming[lease]
            self._tell()

    def give_back(self, lease: Lease) -> None:
        self._held_bytes -= lease.held_bytes
        lease.held_bytes = 0
        self._coming.pop(lease, None)
        self._tell()

    def _may_take(self, lease: Lease, size: int) -> bool:
        free = self._limit_bytes - self._held_bytes - size
        largest = max(self._coming, key=lambda each: each.held_bytes)
        kept_free = 0 if lease is largest else self.largest_bytes - largest.held_bytes
        return free >= kept_free

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
