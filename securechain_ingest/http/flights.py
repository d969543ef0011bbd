"""One flight per question: concurrent callers that ask the same share one answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from securechain_ingest.http.priority import Priority, current_priority

T = TypeVar("T")


@dataclass(slots=True)
class _Flight(Generic[T]):
    task: asyncio.Task[T]
    priority: Priority
    waiting: int = 0
    """Callers."""


class Flights(Generic[T]):
    """A flight is a task of its own: it outlives the caller who started it as long as another one waits for it.

    It is as urgent as the most urgent of them.
    """

    def __init__(self) -> None:
        self._flights: dict[Hashable, _Flight[T]] = {}

    async def join(self, key: Hashable, start: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The answer of the flight under `key`, started by `start` if there is none; its error is every caller's."""
        flight = self._flights.get(key)
        if flight is None:
            task = asyncio.create_task(start(), name=f"flight {key}")
            flight = self._flights[key] = _Flight(task, current_priority())
        flight.waiting += 1
        flight.priority.rise()
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if not flight.waiting:
                # The last one leaves: either it has the answer or nobody wants it any more.
                del self._flights[key]
                flight.task.cancel()
