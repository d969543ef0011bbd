"""This module does at once what several tasks ask for at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from securechain_ingest.progress import waiting

Item = TypeVar("Item")


class Together(Generic[Item]):
    """Items that are added while a round is under way share the next one, so no item waits for others to come.

    `do` takes the items of a round, at most `most` of them.
    """

    def __init__(self, do: Callable[[Sequence[Item]], Awaitable[None]], *, most: int) -> None:
        self._do = do
        self._most = most
        self._waiting: list[tuple[Item, asyncio.Future[None]]] = []
        self._rounds: asyncio.Task[None] | None = None

    async def add(self, item: Item) -> None:
        """Return once the round of this item is done. This raises what `do` raises for the whole round.

        A caller that is cancelled does not take its item away.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        if self._rounds is None:
            # The task begins after all tasks that go on in the same turn of the loop, for example those whose packages
            # one transaction has written.
            self._rounds = asyncio.create_task(self._go(), name="together")
        with waiting():
            await done

    async def _go(self) -> None:
        try:
            while self._waiting:
                members, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                [error] = await asyncio.gather(self._do([item for item, _ in members]), return_exceptions=True)
                for _, done in members:
                    if not done.done():
                        done.set_result(None) if error is None else done.set_exception(error)
        finally:
            # This is not left to a callback: an item that comes before it would wait for a task that has ended.
            self._rounds = None
