"""This module turns a store's error into one of the product's, for Redis, MongoDB and Neo4j alike.

Each store has one small adapter that reads its driver's errors: `redis_errors` and `mongodb_errors` here, and
`graph.failures`. It returns one of these, each of which says who can mend it:

- ConfigError: an operator has to let this user in, or give it a right.
- StoreAway: the store cannot be reached, which says nothing about the work.
- StoreFull: the store has no room; an operator has to make some.
- StoreRefused: the same work would be refused again.
- StoreError: a later attempt may succeed.

A driver's own sentence is never repeated, since it may contain data; its class or its code is repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from securechain_ingest.errors import ConfigError, StoreError

E = TypeVar("E", bound=Exception)


@contextmanager
def translated(raised: tuple[type[E], ...], explained: Callable[[E], ConfigError | StoreError]) -> Iterator[None]:
    """Turn an error of one of the kinds `raised` within the block into the error that the adapter's `explained`
    returns."""
    try:
        yield
    except raised as error:
        raise explained(error) from error
