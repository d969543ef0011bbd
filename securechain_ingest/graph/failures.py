"""This module turns an error of the driver or the server into an error of this program. It also says whether the same
transaction may still succeed."""

from __future__ import annotations

from typing import Final

from neo4j.exceptions import AuthError, DatabaseUnavailable, DriverError, Neo4jError

from securechain_ingest.errors import ConfigError, StoreAway, StoreError, StoreRefused

_DOUBLE: Final = "Neo.ClientError.Schema.ConstraintValidationFailed"
_RACES: Final = (
    _DOUBLE,
    "Neo.ClientError.Statement.EntityNotFound",
    "Neo.DatabaseError.Statement.EntityNotFound",
)
"""The server gives these answers to a transaction that lost a race on a node. The next attempt sees what the winner
wrote."""

_REFUSALS: Final = ("Neo.ClientError.Statement.", "Neo.ClientError.Schema.")
"""The server gives these answers to a request that fails however often it is sent. They are about syntax, arguments,
types and constraints."""
_LACKS_AN_INDEX: Final = ("Neo.ClientError.Schema.IndexNotFound", "no such fulltext schema index")
"""The server has no such index, or has not filled it yet. It gives the code to a demand for a search if its setting
`dbms.cypher.hints_error` is true, and says the words when a full-text index is asked."""
_TOO_LONG_FOR_AN_INDEX: Final = "too large to index"
_FORBIDDEN: Final = ("Neo.ClientError.Security.", "Neo.ClientError.Database.DatabaseNotFound")
_UNSENDABLE: Final = (UnicodeEncodeError, OverflowError)
"""The driver raises these errors for a text or a number that the protocol has no form for."""


class Conflict(Exception):
    """Another writer changed what the transaction had read. The transaction is to be repeated."""


FAILURES: Final = (Neo4jError, DriverError, Conflict, TimeoutError, OSError, *_UNSENDABLE)
"""`store_error` explains all of these."""


def store_error(error: Exception, address: str, timeout_s: float) -> ConfigError | StoreError:
    """Return an error that explains one of FAILURES in one sentence.

    ConfigError means that an operator has to mend the cause. StoreRefused means that the same request would be refused
    again. StoreAway means that the server cannot be reached. StoreError means that a later attempt may succeed. The
    server's own message is left out, since it may repeat the data.
    """
    if isinstance(error, AuthError):
        return ConfigError(
            f"the graph at {address} refused the user name or password; "
            "check [graph] user and password (or GRAPH_DB_USER, GRAPH_DB_PASSWORD)"
        )
    if isinstance(error, Neo4jError) and str(error.code).startswith(_FORBIDDEN):
        return ConfigError(f"the graph at {address} does not let this user do its work ({error.code})")
    if isinstance(error, Neo4jError) and not isinstance(error, DatabaseUnavailable):
        if _lacks_an_index(error):
            return StoreError(
                f"the graph at {address} lacks an index, or has not filled it yet: a daemon makes all of them when it"
                f" starts ({error.code})"
            )
        if _is_refusal(error):
            return StoreRefused(f"the graph at {address} refused a statement ({error.code})")
        return StoreError(f"the graph at {address} answered with an error ({error.code})")
    if isinstance(error, _UNSENDABLE):
        return StoreRefused(f"the graph's protocol cannot carry a value of a statement ({type(error).__name__})")
    if isinstance(error, TimeoutError):
        return StoreError(f"the graph at {address} did not answer within {timeout_s:g} s")
    if isinstance(error, Conflict):
        return StoreError(f"the graph at {address} kept changing under a write")
    return StoreAway(f"the graph at {address} cannot be reached ({type(error).__name__})")


def is_passing(error: Exception) -> bool:
    """Return whether the same transaction may succeed in a moment. This is False if the server is away, because the
    caller waits longer for that."""
    return isinstance(error, Conflict) or (
        isinstance(error, Neo4jError)
        and not isinstance(error, AuthError)
        and (error.is_retryable() or error.code in _RACES)
    )


def is_double(error: Exception) -> bool:
    """Return whether the transaction would have made something twice that may exist only once."""
    return isinstance(error, Neo4jError) and error.code == _DOUBLE


def came_from_the_server(error: StoreError) -> bool:
    """Return whether the server was there and refused the transaction, so that a part of a batch may still succeed."""
    return isinstance(error, StoreRefused) or isinstance(error.__cause__, Neo4jError | Conflict)


def _lacks_an_index(error: Neo4jError) -> bool:
    code, words = _LACKS_AN_INDEX
    return error.code == code or words in str(error.message)


def _is_refusal(error: Neo4jError) -> bool:
    """Return whether the error is about the request itself. A race that was lost in every attempt is not such an error.

    Neo4j says only `ExecutionFailed` for a key that its index cannot hold.
    """
    code = str(error.code)
    is_about_the_statement = code == _DOUBLE or (code.startswith(_REFUSALS) and code not in _RACES)
    return is_about_the_statement or _TOO_LONG_FOR_AN_INDEX in str(error.message)
