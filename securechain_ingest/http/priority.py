"""This module decides the order of work where not all of it can be done at once. Work that somebody waits for is
urgent, and comes before scheduled work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType

from securechain_ingest.progress import waiting


class Priority:
    """This is the priority of one piece of work and of all tasks that it starts. It may rise while they wait."""

    __slots__ = ("_watchers", "is_urgent")

    def __init__(self, *, is_urgent: bool) -> None:
        self.is_urgent = is_urgent
        self._watchers: list[Callable[[], None]] = []

    def rise(self) -> None:
        """Raise this priority to that of the work under way, which waits for this piece of work. A priority never
        falls."""
        if current_priority().is_urgent and not self.is_urgent:
            self.is_urgent = True
            for watcher in tuple(self._watchers):
                watcher()

    @contextmanager
    def watched(self, watcher: Callable[[], None]) -> Iterator[None]:
        """Call `watcher` if this priority rises before the block is left."""
        self._watchers.append(watcher)
        try:
            yield
        finally:
            self._watchers.remove(watcher)


_priority: ContextVar[Priority | None] = ContextVar("priority", default=None)


@contextmanager
def prioritised(priority: Priority) -> Iterator[None]:
    """Give the work within the block this priority. Work outside of such a block is not urgent."""
    token = _priority.set(priority)
    try:
        yield
    finally:
        _priority.reset(token)


def current_priority() -> Priority:
    """Return the priority of the work under way."""
    return _priority.get() or Priority(is_urgent=False)


class Connections:
    """This is an async context manager with room for `total` holders at once. Urgent work enters first; work of the
    same priority enters in the order in which it came."""

    def __init__(self, total: float) -> None:
        self._total = total
        self._held = 0
        self._waiting: list[tuple[Priority, asyncio.Future[None]]] = []

    def resize(self, total: float) -> None:
        """Change the number of connections. Holders keep theirs, even if there are fewer now."""
        self._total = total
        self._admit()

    def ahead(self) -> int:
        """Return how many of the waiting callers would be admitted before the work under way."""
        if current_priority().is_urgent:
            return sum(priority.is_urgent for priority, _ in self._waiting)
        return len(self._waiting)

    async def __aenter__(self) -> None:
        if self._held < self._total:
            self._held += 1
            return
        admission = asyncio.get_running_loop().create_future()
        waiter = (current_priority(), admission)
        self._waiting.append(waiter)
        try:
            with waiting():
                await admission
        except BaseException:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            elif not admission.cancelled():
                self._leave()  # It was admitted at the very moment of its cancellation.
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leave()

    def _leave(self) -> None:
        self._held -= 1
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self._held < self._total:
            first = next((waiter for waiter in self._waiting if waiter[0].is_urgent), self._waiting[0])
            self._waiting.remove(first)
            if not first[1].cancelled():  # Otherwise many were cancelled at once, and this one leaves by itself.
                self._held += 1
                first[1].set_result(None)
