"""What the HTTP requests of one piece of work cost, however many tasks it starts for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Meter:
    """Requests sent, redirects and repetitions included, and bytes of bodies received, compressed as they came."""

    requests: int = 0
    received_bytes: int = 0


_meter: ContextVar[Meter | None] = ContextVar("meter", default=None)


@contextmanager
def metered() -> Iterator[Meter]:
    """Count what is asked for within, also by tasks started within; a request that callers share counts for the first.

    Within another meter only this one counts.
    """
    meter = Meter()
    token = _meter.set(meter)
    try:
        yield meter
    finally:
        _meter.reset(token)


def current_meter() -> Meter | None:
    """That of the work under way; None if nobody counts."""
    return _meter.get()
