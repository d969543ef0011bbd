"""Readings past every cache: what decides that something is gone must come from the registry itself.

Neither a cache between (RFC 9111: a request with `no-cache` is answered by the origin) nor what is remembered in this
process, a URL that was not found or another caller's request under way, then answers instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_uncached: ContextVar[bool] = ContextVar("uncached", default=False)


@contextmanager
def uncached() -> Iterator[None]:
    """What is asked for within, also by tasks started within, is answered by no cache."""
    token = _uncached.set(True)
    try:
        yield
    finally:
        _uncached.reset(token)


def is_uncached() -> bool:
    """Whether the work under way reads past every cache."""
    return _uncached.get()


def cache_headers() -> dict[str, str]:
    """What a request of the work under way says to the caches that it passes."""
    return {"Cache-Control": "no-cache"} if _uncached.get() else {}
