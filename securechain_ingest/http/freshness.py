"""This module lets work read past every cache, because only the registry itself may decide that something is gone.

Two kinds of cache could answer instead. One lies between the daemon and the registry; a request with `no-cache` passes
it (RFC 9111). The other is in this process: the URLs that were not found, and the requests of other callers that are
under way.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_uncached: ContextVar[bool] = ContextVar("uncached", default=False)


@contextmanager
def uncached() -> Iterator[None]:
    """Let no cache answer the requests that are made within the block, or by tasks that are started within it."""
    token = _uncached.set(True)
    try:
        yield
    finally:
        _uncached.reset(token)


def is_uncached() -> bool:
    """Return whether the work under way reads past every cache."""
    return _uncached.get()


def cache_headers() -> dict[str, str]:
    """Return the headers that a request of the work under way sends to the caches on its way."""
    return {"Cache-Control": "no-cache"} if _uncached.get() else {}
