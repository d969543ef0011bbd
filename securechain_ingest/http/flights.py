"""One flight per question: concurrent callers that ask the same share one answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from securechain_ingest.http.priority import Priority, current_priority

T = TypeVar("T")


class Flights(Generic[T]):
    """A flight is a task of its own: it outlives the caller who started it as long as another one waits for it.

    It is as urgent as the most urgent of them.
    """

    def __init__(self) -> None:
        self._tasks: dict[Hashable, asyncio.Task[T]] = {}
        self._waiting: dict[Hashable, int] = {}
        self._priorities: dict[Hashable, Priority] = {}

    async def join(self, key: Hashable, start: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The answer of the flight under `key`, started by `start` if there is none; its error is every caller's."""
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.create_task(start(), name=f"flight {key}")
            self._waiting[key] = 0
            self._priorities[key] = current_priority()
        self._waiting[key] += 1
        self._priorities[key].is_urgent |= current_priority().is_urgent
        try:
            return await asyncio.shield(task)
        finally:
            self._waiting[key] -= 1
            if not self._waiting[key]:
                # The last one leaves: either it has the answer or nobody wants it any more.
                del self._tasks[key], self._waiting[key], self._priorities[key]
                task.cancel()
