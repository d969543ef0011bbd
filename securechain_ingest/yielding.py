"""Long work on the event loop in short pieces."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import Final, TypeVar

Item = TypeVar("Item")

PIECE_S: Final = 0.004
"""Others wait no longer than this; the goal for the loop's lag is 20 ms, and a garbage collection may follow."""


async def in_pieces(items: Iterable[Item], *, look_every: int = 16) -> AsyncIterator[Item]:
    """The items, letting others have the event loop whenever what is done with them has taken `PIECE_S`.

    The clock is looked at after each `look_every`.
    """
    since = time.perf_counter()
    for number, item in enumerate(items, 1):
        yield item
        if number % look_every == 0 and time.perf_counter() - since > PIECE_S:
            await asyncio.sleep(0)
            since = time.perf_counter()
