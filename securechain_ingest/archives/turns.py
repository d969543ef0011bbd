"""Who may use a parser process next: somebody who waits, before what is done by the clock.

Work that nobody waits for never has the last process. Where it cannot be helped (there is one process alone, or others
who wait have the rest), such a turn is ended for somebody who waits, and what it was for is asked for again.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import anyio

from securechain_ingest.http.priority import Priority, current_priority

PATIENCE_S: Final = 0.1
"""A turn is not ended for somebody who has waited for less: most are over by then, and a new process takes as long."""


class Turn:
    """What one holder has; whoever uses it does so within `scope`, which is cancelled if the turn is ended."""

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
    """Room for `total` at once, for one less of those that nobody waits for (if there is more than one)."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._bulk_total = max(1, total - 1)
        self._running: list[Turn] = []
        self._waiting: list[Turn] = []
        self._numbers = itertools.count()

    def number(self) -> int:
        """A place in the line of those that are equally urgent; one whose turn was ended keeps it."""
        return next(self._numbers)

    @asynccontextmanager
    async def turn(self, number: int) -> AsyncIterator[Turn]:
        """Wait for a turn of the priority of the work under way, and hold it."""
        turn = Turn(number)
        self._waiting.append(turn)
        self._waiting.sort(key=lambda waiting: waiting.number)
        try:
            with turn.priority.watched(self._hurry):
                self._hurry()
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
        """Somebody waits, or work that waits has become urgent."""
        self._admit()
        for turn in self._waiting:
            if turn.is_urgent and turn.patience is None:
                turn.patience = asyncio.get_running_loop().call_later(PATIENCE_S, self._end_one_for, turn)

    def _admit(self) -> None:
        while turn := self._next():
            self._waiting.remove(turn)
            self._running.append(turn)
            if not turn.admitted.done():  # Else it was cancelled, and leaves by itself.
                turn.admitted.set_result(None)

    def _next(self) -> Turn | None:
        if not self._waiting or len(self._running) >= self._total:
            return None
        if urgent := next((turn for turn in self._waiting if turn.is_urgent), None):
            return urgent
        bulk = sum(not turn.is_urgent for turn in self._running)
        return self._waiting[0] if bulk < self._bulk_total else None

    def _end_one_for(self, urgent: Turn) -> None:
        """End the latest of the turns that nobody waits for, which has done least."""
        if urgent in self._waiting:
            running = (turn for turn in reversed(self._running) if not turn.is_urgent and not turn.is_ended)
            if (turn := next(running, None)) is not None:
                turn.scope.cancel()
