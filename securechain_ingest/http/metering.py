"""This module counts what the HTTP requests of one piece of work cost, however many tasks the work starts for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Meter:
    """This counts the requests that were sent, redirects and repetitions included, and the bytes of the bodies
    received. Those bytes count as they arrived, which may be compressed."""

    requests: int = 0
    received_bytes: int = 0


_meter: ContextVar[Meter | None] = ContextVar("meter", default=None)


@contextmanager
def metered() -> Iterator[Meter]:
    """Count the requests that are made within the block, also by tasks that are started within it. A request that
    several callers share counts for the first of them.

    Inside the block of another meter, only the inner meter counts.
    """
    meter = Meter()
    token = _meter.set(meter)
    try:
        yield meter
    finally:
        _meter.reset(token)


def current_meter() -> Meter | None:
    """Return the meter of the work under way, or None if there is no meter."""
    return _meter.get()
