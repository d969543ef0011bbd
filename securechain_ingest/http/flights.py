"""Concurrent callers that ask for the same thing share one task, a flight, and its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from securechain_ingest.http.priority import Priority, current_priority
from securechain_ingest.progress import waiting

T = TypeVar("T")


@dataclass(slots=True)
class _Flight(Generic[T]):
    task: asyncio.Task[T]
    priority: Priority
    waiting: int = 0
    """This is the number of callers that wait for the flight."""


class Flights(Generic[T]):
    """A flight is a task of its own. It goes on as long as at least one caller waits for it, even if the caller that
    started it has left.

    It is as urgent as the most urgent of its callers.
    """

    def __init__(self) -> None:
        self._flights: dict[Hashable, _Flight[T]] = {}

    async def join(self, key: Hashable, start: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return the answer of the flight under `key`. If there is none, `start` makes its coroutine. If the flight
        fails, all its callers get the same error."""
        flight = self._flights.get(key)
        is_anothers = flight is not None
        if flight is None:
            task = asyncio.create_task(start(), name=f"flight {key}")
            flight = self._flights[key] = _Flight(task, current_priority())
        flight.waiting += 1
        flight.priority.rise()
        try:
            with waiting() if is_anothers else nullcontext():
                return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if not flight.waiting:
                # The last caller leaves: either it has the answer, or no caller needs it any more.
                del self._flights[key]
                flight.task.cancel()
