"""One budget bounds the memory of all documents that are being received or parsed.

A document counts from its second mebibyte on, while it arrives and for as long as any code holds it. Its size is known
only at its end. So several documents could each have a part of the room, and none of them the rest that it needs.
Therefore the budget always keeps enough room free to finish the largest of the documents that are arriving. The next
one can be finished with the room that this one gives back.
"""

from __future__ import annotations

import asyncio
import gc
from typing import Final

STEP_BYTES: Final = 1024 * 1024
"""Room is taken in steps of this size. A document that is no larger than one step takes none."""


class NoRoomInTime(Exception):
    """There was no room for a document for as long as it may wait."""


class Lease:
    """A lease holds the room of one document."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.held_bytes = 0
        self.is_coming = True

    async def grow_to(self, size: int) -> None:
        """Wait for room for a document of `size` bytes in all. Raise NoRoomInTime."""
        if size > max(self.held_bytes, STEP_BYTES):
            await self._budget.take(self, -(-size // STEP_BYTES) * STEP_BYTES - self.held_bytes)

    def arrived(self) -> None:
        """The document has arrived as a whole, and takes no more room."""
        self._budget.end_growth(self)

    def release(self) -> None:
        """No code holds the document any longer. This may be called more than once."""
        self._budget.give_back(self)


class Budget:
    """The budget has room for `limit_bytes` in all. One document may have at most `largest_bytes`, and waits for at
    most `longest_wait_s` seconds."""

    def __init__(self, limit_bytes: int, largest_bytes: int, longest_wait_s: float) -> None:
        self.largest_bytes = min(largest_bytes, limit_bytes)
        self._limit_bytes = -(-limit_bytes // STEP_BYTES) * STEP_BYTES
        self._longest_wait_s = longest_wait_s
        self._held_bytes = 0
        self._coming: dict[Lease, None] = {}
        self._changed = asyncio.Event()

    @property
    def held_bytes(self) -> int:
        """Return how many bytes are taken at the moment."""
        return self._held_bytes

    def lease(self) -> Lease:
        """Return a lease for one document. The caller has to release it."""
        return Lease(self)

    async def take(self, lease: Lease, size: int) -> None:
        """Wait until the lease may take `size` more bytes. Raise NoRoomInTime."""
        self._coming.setdefault(lease)
        if not self._may_take(lease, size):
            # The traceback of a request that failed a moment ago may still hold its document.
            gc.collect(0)
        try:
            async with asyncio.timeout(self._longest_wait_s):
                while not self._may_take(lease, size):
                    await self._changed.wait()
        except TimeoutError as error:
            raise NoRoomInTime from error
        lease.held_bytes += size
        self._held_bytes += size

    def end_growth(self, lease: Lease) -> None:
        """The lease's document has arrived. Others may be finished with the room that was kept free for it."""
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
