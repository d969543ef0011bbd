"""This module splits long work on the event loop into short pieces."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import Final, TypeVar

Item = TypeVar("Item")

PIECE_S: Final = 0.004
"""Other tasks wait no longer than so many seconds. The goal for the loop's lag is 20 ms, and a garbage collection
may follow a piece."""


async def in_pieces(items: Iterable[Item], *, look_every: int = 16) -> AsyncIterator[Item]:
    """Yield the items, and let other tasks have the event loop whenever the work on the items has taken `PIECE_S`.

    It looks at the clock after every `look_every` items.
    """
    since = time.perf_counter()
    for number, item in enumerate(items, 1):
        yield item
        if number % look_every == 0 and time.perf_counter() - since > PIECE_S:
            await asyncio.sleep(0)
            since = time.perf_counter()
