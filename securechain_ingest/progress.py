"""This module decides whether the process makes progress, for systemd's watchdog and for the health page.

The process makes progress while each of its loops has turned lately and no message has been in work for longer than its
own time limits allow. A process that has nothing to do, or that waits for a pause or for a store that is away, makes
progress, too, because its loops turn.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

LOOP_S: Final = 30.0
"""A loop hangs if it has not turned for so many seconds."""


class Progress:
    """This remembers when each loop last turned, and when each piece of work last made a step, by the monotonic clock.

    `step_s` returns the longest time that one step of a piece of work may take: the sum of its own time limits.
    """

    def __init__(self, step_s: Callable[[], float], clock: Callable[[], float] = time.monotonic) -> None:
        self._step_s = step_s
        self._clock = clock
        self._turned: dict[str, float] = {}
        self._work: dict[object, tuple[str, Steps]] = {}

    def turned(self, loop: str) -> None:
        """Note that a loop has turned; it is expected again within LOOP_S seconds."""
        self._turned[loop] = self._clock()

    def ended(self, loop: str) -> None:
        """Note that a loop is not expected any more."""
        self._turned.pop(loop, None)

    @contextmanager
    def work(self, name: str) -> Iterator[None]:
        """Watch a piece of work, which calls `step` for each of its steps, also from tasks that it starts."""
        steps = Steps(self._clock)
        token = _steps.set(steps)
        self._work[steps] = name, steps
        try:
            yield
        finally:
            del self._work[steps]
            _steps.reset(token)

    def ages(self) -> dict[str, float]:
        """Return the seconds since each loop last turned, and since the slowest piece of work made its last step."""
        now = self._clock()
        ages = {loop: now - at for loop, at in self._turned.items()}
        if self._work:
            ages["work"] = max(now - steps.at for _, steps in self._work.values())
        return ages

    def stuck(self) -> str | None:
        """Return a sentence that says what hangs, or None if nothing does."""
        now = self._clock()
        for loop, at in self._turned.items():
            if now - at > LOOP_S:
                return f"the loop {loop} has not turned for {now - at:.0f} s"
        for name, steps in self._work.values():
            if now - steps.at > self._step_s():
                return f"{name} has been in work for {now - steps.at:.0f} s without a step"
        return None


class Steps:
    """This remembers when one piece of work made its last step."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.at = clock()

    def step(self) -> None:
        self.at = self._clock()


_steps: ContextVar[Steps | None] = ContextVar("steps", default=None)


def step() -> None:
    """Note that the work under way has made a step: an answer has come, or a wait is over."""
    if (steps := _steps.get()) is not None:
        steps.step()
