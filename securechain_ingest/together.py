"""This module does at once what several tasks ask for at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

from securechain_ingest.progress import waiting

STREAM_PAUSE_S: Final = 1.0
"""Two rounds that are more than this many seconds apart do not belong to one stream."""

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Together(Generic[Item, Answer]):
    """Items that are added while a round is under way share the next one.

    `do` takes the items of a round, at most `most` of them, and returns an answer for each, in their order. An item
    does not wait for others to come. Only if `linger_s` is given, and items come in a stream, a round waits so many
    seconds for others.
    """

    def __init__(
        self, do: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]], *, most: int, linger_s: float = 0.0
    ) -> None:
        self._do = do
        self._most = most
        self._linger_s = linger_s
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._rounds: asyncio.Task[None] | None = None
        self._ended_at = float("-inf")

    async def add(self, item: Item) -> Answer:
        """Return the answer once the round of this item is done. This raises what `do` raises for the whole round.

        A caller that is cancelled does not take its item away.
        """
        done: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        if self._rounds is None:
            # The task begins after all tasks that go on in the same turn of the loop, for example those whose packages
            # one transaction has written.
            self._rounds = asyncio.create_task(self._go(), name="together")
        with waiting():
            return await done

    async def _go(self) -> None:
        now = asyncio.get_running_loop().time
        try:
            while self._waiting:
                if self._linger_s and len(self._waiting) < self._most and now() - self._ended_at < STREAM_PAUSE_S:
                    await asyncio.sleep(self._linger_s)
                members, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                [answers] = await asyncio.gather(self._do([item for item, _ in members]), return_exceptions=True)
                self._ended_at = now()
                for number, (_, done) in enumerate(members):
                    if done.done():
                        continue
                    if isinstance(answers, BaseException):
                        done.set_exception(answers)
                    else:
                        done.set_result(answers[number])
        finally:
            # This is not left to a callback: an item that comes before it would wait for a task that has ended.
            self._rounds = None
