"""This module decides which work may use a parser process next. Work that somebody waits for is urgent, and comes
before scheduled work.

Work that is not urgent never gets the last free process. This cannot be kept if there is only one process, or if urgent
work has all the others. In these cases the turn of work that is not urgent is ended in favour of urgent work that
waits, and its parse is begun again later.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import anyio

from securechain_ingest.http.priority import Priority, current_priority
from securechain_ingest.progress import waiting

PATIENCE_S: Final = 0.1
"""A turn is ended only in favour of urgent work that has waited for so many seconds. Most turns are over by then, and a
new process takes as long to start."""


class Turn:
    """This is one holder's turn. The holder works within `scope`, which is cancelled if the turn is ended."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.priority: Priority = current_priority()
        self.scope = anyio.CancelScope()
        self.admitted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.patience: asyncio.TimerHandle | None = None

    @property
    def is_urgent(self) -> bool:
        return self.priority.is_urgent

    @property
    def is_ended(self) -> bool:
        return self.scope.cancel_called


class Turns:
    """This has room for `total` turns at once. If `total` is more than one, work that is not urgent has one turn
    less."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._bulk_total = max(1, total - 1)
        self._running: list[Turn] = []
        self._waiting: list[Turn] = []
        self._numbers = itertools.count()

    def number(self) -> int:
        """Return a position in the line of work of the same priority. Work whose turn was ended keeps its number."""
        return next(self._numbers)

    @asynccontextmanager
    async def turn(self, number: int) -> AsyncIterator[Turn]:
        """Wait for a turn with the priority of the work under way, and hold it within the block."""
        turn = Turn(number)
        self._waiting.append(turn)
        self._waiting.sort(key=lambda waiting: waiting.number)
        try:
            with turn.priority.watched(self._hurry):
                self._hurry()
                with waiting():
                    await turn.admitted
            yield turn
        finally:
            if turn.patience is not None:
                turn.patience.cancel()
            if turn in self._waiting:
                self._waiting.remove(turn)
            else:
                self._running.remove(turn)
                self._admit()

    def _hurry(self) -> None:
        """Work has begun to wait, or work that waits has become urgent."""
        self._admit()
        for turn in self._waiting:
            if turn.is_urgent and turn.patience is None:
                turn.patience = asyncio.get_running_loop().call_later(PATIENCE_S, self._end_one_for, turn)

    def _admit(self) -> None:
        while turn := self._next():
            self._waiting.remove(turn)
            self._running.append(turn)
            if not turn.admitted.done():  # Otherwise it was cancelled, and leaves by itself.
                turn.admitted.set_result(None)

    def _next(self) -> Turn | None:
        if not self._waiting or len(self._running) >= self._total:
            return None
        if urgent := next((turn for turn in self._waiting if turn.is_urgent), None):
            return urgent
        bulk = sum(not turn.is_urgent for turn in self._running)
        return self._waiting[0] if bulk < self._bulk_total else None

    def _end_one_for(self, urgent: Turn) -> None:
        """End the latest turn of the work that is not urgent, because it has done the least so far."""
        if urgent in self._waiting:
            running = (turn for turn in reversed(self._running) if not turn.is_urgent and not turn.is_ended)
            if (turn := next(running, None)) is not None:
                turn.scope.cancel()
