"""This is how a test waits: for a condition, and at a gate that holds back what it watches."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")
Answer = TypeVar("Answer")
What = str | Callable[[], str]
"""This is what is waited for, as the failure tells it: a text, or a function that makes one when it is needed."""


PATIENCE_S = 300.0
"""A test waits so many seconds for what must come. The slowest and busiest machine must not need them."""


async def until(condition: Callable[[], Any], what: What = "a condition", within_s: float = PATIENCE_S) -> Any:
    """Return what the condition gives, or what it gives to await, once that is true in a boolean context.

    It raises AssertionError if it does not come to be true within `within_s` seconds.
    """
    give_up_at = time.monotonic() + within_s
    while True:
        value = condition()
        if isinstance(value, Awaitable):
            value = await value
        if value:
            return value
        _assert_before(give_up_at, what, within_s)
        await asyncio.sleep(0.005)


def block_until(condition: Callable[[], Value], what: What, within_s: float = PATIENCE_S) -> Value:
    """Do the same for a test that watches other processes and has no event loop."""
    give_up_at = time.monotonic() + within_s
    while not (value := condition()):
        _assert_before(give_up_at, what, within_s)
        time.sleep(0.02)
    return value


async def closed_to_new_ones(server: asyncio.Server) -> None:
    """Close a server, and return when each connection that it has accepted is known to its handler, which can end it.

    asyncio takes some turns of the loop from accepting a connection to telling so. It forgets one of a server that is
    closed meanwhile, and a later test is blamed for that.
    """
    loop = asyncio.get_running_loop()
    for listening in server.sockets:
        loop.remove_reader(listening)
    for _ in range(10):
        await asyncio.sleep(0)
    server.close()


def _assert_before(give_up_at: float, what: What, within_s: float) -> None:
    if time.monotonic() >= give_up_at:
        raise AssertionError(f"waited {within_s:.0f} s in vain for {what if isinstance(what, str) else what()}")


class Gate(Generic[Answer]):
    """This holds back whoever calls it until the test opens it, and knows what it was called with."""

    def __init__(self, answer: Answer) -> None:
        self.calls: list[Any] = []
        self.entered = asyncio.Event()
        self.opened = asyncio.Event()
        self._answer = answer

    async def __call__(self, given: Any) -> Answer:
        self.calls.append(given)
        self.entered.set()
        await self.opened.wait()
        return self._answer


class Clock:
    """This is a time that stands still until the test moves it on; `now` is in seconds."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
