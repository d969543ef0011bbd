"""This module reads MongoDB's errors; `drivers.errors` says what they may become."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Final

from bson.errors import BSONError
from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    DocumentTooLarge,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    WriteError,
)

from securechain_ingest.drivers.errors import translated
from securechain_ingest.errors import ConfigError, StoreAway, StoreError, StoreFull, StoreRefused

# The codes are listed in https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml.
_NOT_LET_IN: Final = frozenset({11, 13, 18, 31})
"""These are UserNotFound, Unauthorized, AuthenticationFailed and RoleNotFound."""
_NO_ROOM: Final = frozenset({14031, 39, 12501})
"""These are OutOfDiskSpace, FileStreamFailed and the code for a quota that is exceeded."""
_REFUSED: Final = frozenset({2, 9, 14, 52, 56, 57, 96, 121, 10334, 11000, 17280, 17419, 17420})
"""These are BadValue, FailedToParse, TypeMismatch, and the codes for invalid names of fields and for documents that
break a validator, a unique index or the limit of a document's or a key's size."""


def store_errors() -> AbstractContextManager[None]:
    """Turn an error of the driver within the block into ConfigError or StoreError."""
    return translated((PyMongoError, BSONError, OverflowError), explained)


def explained(error: Exception) -> ConfigError | StoreError:
    """Return the product's error for one of the driver's errors."""
    codes = _codes(error)
    detail = ", ".join(map(str, sorted(codes))) or type(error).__name__
    if isinstance(error, ConfigurationError) or codes & _NOT_LET_IN:
        return ConfigError(f"MongoDB does not let this user do its work ({detail})")
    if isinstance(error, ConnectionFailure):
        return StoreAway(f"MongoDB did not answer ({type(error).__name__})")
    if codes & _NO_ROOM:
        return StoreFull(f"MongoDB has no room for what is to be written ({detail})")
    is_of_this_side = isinstance(error, DocumentTooLarge | BSONError | OverflowError)
    if is_of_this_side or (codes and codes <= _REFUSED and not isinstance(error, ExecutionTimeout)):
        return StoreRefused(f"MongoDB refused a query or a document ({detail})")
    return StoreError(f"MongoDB did not answer ({type(error).__name__})")


def _codes(error: Exception) -> frozenset[int]:
    if isinstance(error, BulkWriteError):
        entries = error.details.get("writeErrors", [])
        return frozenset(code for entry in entries if isinstance(code := entry.get("code"), int))
    if isinstance(error, OperationFailure | WriteError) and error.code is not None:
        return frozenset({error.code})
    return frozenset()
