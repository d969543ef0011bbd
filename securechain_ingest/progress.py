"""This module decides whether the process makes progress, for systemd's watchdog and for the health page.

The process makes progress while each of its loops has turned lately and no message has been in work for longer than its
own time limits allow. A process that has nothing to do, or that waits for a pause or for a store, makes progress, too:
its loops turn, and whoever asks a store, or waits for the work of somebody else, says so by `waiting`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Final

LOOP_S: Final = 30.0
"""A loop hangs if it has not turned for so many seconds, beside what it has waited for."""


class Progress:
    """This remembers when each loop last turned, and when each piece of work last made a step, by the monotonic clock.

    `step_s` returns the longest time that one step of a piece of work may take: the sum of its own time limits.
    """

    def __init__(self, step_s: Callable[[], float], clock: Callable[[], float] = time.monotonic) -> None:
        self._step_s = step_s
        self._clock = clock
        self._loops: dict[str, Steps] = {}
        self._work: dict[Steps, str] = {}

    def turned(self, loop: str) -> None:
        """Note that a loop has turned; it is expected again within LOOP_S seconds. The loop itself calls this, from a
        task that remains the same."""
        if (steps := self._loops.get(loop)) is None:
            steps = self._loops[loop] = Steps(self._clock, asyncio.current_task())
            _steps.set(steps)
        steps.step()

    def ended(self, loop: str) -> None:
        """Note that a loop is not expected any more."""
        self._loops.pop(loop, None)

    @contextmanager
    def work(self, name: str) -> Iterator[None]:
        """Watch a piece of work, which calls `step` for each of its steps, also from tasks that it starts."""
        steps = Steps(self._clock)
        token = _steps.set(steps)
        self._work[steps] = name
        try:
            yield
        finally:
            del self._work[steps]
            _steps.reset(token)

    def ages(self) -> dict[str, float]:
        """Return the seconds since each loop last turned, and since the slowest piece of work made its last step. They
        are 0 for whoever waits for a store or for the work of somebody else."""
        ages = {loop: steps.silent_s() for loop, steps in self._loops.items()}
        if self._work:
            ages["work"] = max(steps.silent_s() for steps in self._work)
        return ages

    def stuck(self) -> str | None:
        """Return a sentence that says what hangs, or None if nothing does."""
        for loop, steps in self._loops.items():
            if (silent_s := steps.silent_s()) > LOOP_S:
                return f"the loop {loop} has not turned for {silent_s:.0f} s"
        for steps, name in self._work.items():
            if (silent_s := steps.silent_s()) > self._step_s():
                return f"{name} has been in work for {silent_s:.0f} s without a step"
        return None


class Steps:
    """This remembers when a loop or a piece of work made its last step, and whether it waits at the moment.

    A loop is one task, which `task` names. The tasks that it starts take no steps for it.
    """

    def __init__(self, clock: Callable[[], float], task: asyncio.Task[object] | None = None) -> None:
        self._clock = clock
        self.task = task
        self._at = clock()
        self._waits = 0

    def step(self) -> None:
        self._at = self._clock()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        self._waits += 1
        try:
            yield
        finally:
            self._waits -= 1
            self.step()

    def silent_s(self) -> float:
        """Return the seconds since the last step, or 0 during a wait."""
        return 0.0 if self._waits else self._clock() - self._at


_steps: ContextVar[Steps | None] = ContextVar("steps", default=None)


def step() -> None:
    """Note that the work under way has made a step: an answer has come, or a wait is over."""
    if (steps := _current()) is not None:
        steps.step()


def waiting() -> AbstractContextManager[None]:
    """Within the block the loop or the work under way waits for a store, or for the work of somebody else. Both have
    time limits of their own, so the silence of whoever waits for them says nothing."""
    return nullcontext() if (steps := _current()) is None else steps.waiting()


def _current() -> Steps | None:
    steps = _steps.get()
    is_own = steps is not None and (steps.task is None or steps.task is asyncio.current_task())
    return steps if is_own else None
