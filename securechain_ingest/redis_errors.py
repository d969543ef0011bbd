"""Redis's errors as the product's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from securechain_ingest.errors import StoreAway, StoreError


@contextmanager
def store_errors() -> Iterator[None]:
    """A RedisError leaves the block as StoreAway if Redis cannot be reached, else as StoreError."""
    try:
        yield
    except RedisError as error:
        kind = StoreAway if isinstance(error, RedisConnectionError) else StoreError
        raise kind(f"Redis did not answer ({type(error).__name__})") from error
