"""This module reads Redis's errors; `drivers.errors` says what they may become."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager

from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

from securechain_ingest.drivers.errors import translated
from securechain_ingest.errors import ConfigError, StoreAway, StoreError, StoreFull, StoreRefused

# redis-py removes the word from some errors for which it has a class.
_WORD = re.compile(r"[A-Z]{3,}(?= )")
_PASSING_WORDS = frozenset({"BUSY", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS", "NOSCRIPT", "TRYAGAIN"})
"""These words begin answers that do not come at another moment or from another server."""


def store_errors() -> AbstractContextManager[None]:
    """Turn an error of the driver within the block into ConfigError or StoreError.

    It is StoreAway if Redis cannot be reached, StoreFull if it has no room, ConfigError if it refuses this user or
    denies it a key, StoreRefused if it answers that the command cannot be carried out (such as WRONGTYPE, when another
    program's value is under that key), and StoreError for what passes.
    """
    return translated((RedisError,), explained)


def explained(error: Exception) -> ConfigError | StoreError:
    """Return the product's error for one of the driver's errors."""
    match = _WORD.match(str(error))
    word = match[0] if match else type(error).__name__
    if isinstance(error, AuthenticationError):
        return ConfigError(f"Redis refused the user name or password ({word}); check [redis] url (or REDIS_URL)")
    if isinstance(error, NoPermissionError) or word == "NOPERM":
        return ConfigError("Redis does not let this user run a command or reach a key (NOPERM)")
    if isinstance(error, RedisConnectionError):
        return StoreAway(f"Redis did not answer ({type(error).__name__})")
    if isinstance(error, OutOfMemoryError) or word == "OOM":
        return StoreFull("Redis refused to write, because it has as much as its maxmemory allows (OOM)")
    if isinstance(error, ReadOnlyError) or word in _PASSING_WORDS or not isinstance(error, ResponseError):
        return StoreError(f"Redis did not answer ({word})")
    return StoreRefused(f"Redis refused a command ({word})")
