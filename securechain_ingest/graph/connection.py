"""The Bolt connection: transactions that are repeated after passing failures, bounded in time, with plain errors."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

from neo4j import AsyncDriver, AsyncGraphDatabase, AsyncTransaction, NotificationMinimumSeverity, Query
from neo4j.exceptions import AuthError, ConfigurationError, DatabaseUnavailable, DriverError, Neo4jError

from securechain_ingest.errors import ConfigError, StoreAway, StoreError

Result = TypeVar("Result")
Rows = list[dict[str, Any]]

ATTEMPTS = 12
"""With the delays below, half a minute of deadlocks: more than any that passes."""
FIRST_DELAY_S, LONGEST_DELAY_S = 0.02, 5.0

_RACES = (
    "Neo.ClientError.Schema.ConstraintValidationFailed",
    "Neo.ClientError.Statement.EntityNotFound",
    "Neo.DatabaseError.Statement.EntityNotFound",
)
"""Answers to a transaction that lost a race on a node; the next attempt sees what the winner wrote."""


class Conflict(Exception):
    """Another writer changed what the transaction had read; it is to be repeated."""


class Connection:
    """A driver and the settings that hold for each of its transactions."""

    def __init__(self, driver: AsyncDriver, address: str, database: str | None, timeout_s: float) -> None:
        self._driver = driver
        self._address = address
        self._database = database
        self._timeout_s = timeout_s
        self._turn = asyncio.Lock()
        self._one_writer: bool | None = None

    @classmethod
    @asynccontextmanager
    async def open(
        cls, uri: str, user: str, password: str, *, database: str | None, timeout_s: float, max_connections: int
    ) -> AsyncIterator[Connection]:
        """Connects on first use. Raises ConfigError for an address that is none."""
        address = f"{urlsplit(uri).hostname}:{urlsplit(uri).port or 7687}"
        try:
            driver = AsyncGraphDatabase.driver(
                uri,
                auth=(user, password),
                max_connection_pool_size=max_connections,
                connection_acquisition_timeout=timeout_s,
                connection_timeout=min(timeout_s, 10.0),
                notifications_min_severity=NotificationMinimumSeverity.OFF,
                telemetry_disabled=True,
            )
        except (ConfigurationError, ValueError) as error:
            raise ConfigError("[graph] uri (or GRAPH_DB_URI) is not a Bolt address such as bolt://host:7687") from error
        async with driver:
            yield cls(driver, address, database, timeout_s)

    async def read(self, cypher: str, parameters: Mapping[str, Any] | None = None, *, rows_at_once: int = 1000) -> Rows:
        """One statement that changes nothing. Raises StoreError, ConfigError.

        Of an answer without end fewer rows at once keep the event loop free: it waits for each such piece.
        """
        statement = self._statement(cypher, parameters, rows_at_once)
        return await self._repeated(lambda: self._bounded(statement))

    async def change(self, cypher: str, parameters: Mapping[str, Any] | None = None) -> Rows:
        """One statement in its own transaction. Raises StoreError, ConfigError."""
        return await self._repeated(self._in_turn(self._statement(cypher, parameters)))

    def _statement(
        self, cypher: str, parameters: Mapping[str, Any] | None, rows_at_once: int = 1000
    ) -> Callable[[], Awaitable[Rows]]:

        async def once() -> Rows:
            async with self._driver.session(database=self._database, fetch_size=rows_at_once) as session:
                query = Query(cypher, timeout=self._timeout_s)
                result = await session.run(query, dict(parameters or {}))
                return await result.data()

        return once

    async def transaction(self, work: Callable[[AsyncTransaction], Awaitable[Result]]) -> Result:
        """`work` in one transaction, committed if it returns; called again after a passing failure.

        Raises StoreError, ConfigError and what `work` raises.
        """

        async def once() -> Result:
            async with (
                self._driver.session(database=self._database) as session,
                await session.begin_transaction(timeout=self._timeout_s) as transaction,
            ):
                result = await work(transaction)
                await transaction.commit()
                return result

        return await self._repeated(self._in_turn(once))

    def _in_turn(self, once: Callable[[], Awaitable[Result]]) -> Callable[[], Awaitable[Result]]:
        """ArcadeDB overlooks some conflicts of concurrent transactions: there they go one after the other."""

        async def alone() -> Result:
            if self._one_writer is None:
                self._one_writer = "ArcadeDB" in (await self._driver.get_server_info()).agent
            if not self._one_writer:
                return await self._bounded(once)
            async with self._turn:
                return await self._bounded(once)

        return alone

    async def _bounded(self, once: Callable[[], Awaitable[Result]]) -> Result:
        """The server keeps the same limit; this one holds if it cannot be reached or does not know it."""
        async with asyncio.timeout(self._timeout_s + 5):
            return await once()

    async def _repeated(self, once: Callable[[], Awaitable[Result]]) -> Result:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await once()
            except (Neo4jError, DriverError, Conflict) as error:
                if attempt == ATTEMPTS or not _passing(error):
                    raise self._explained(error) from error
            except (TimeoutError, OSError) as error:
                raise self._explained(error) from error
            delay_s = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0**attempt)
            await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))
        raise AssertionError("unreachable")

    def _explained(self, error: Exception) -> ConfigError | StoreError:
        """The error in one sentence; server messages are left out, since they may repeat the data."""
        if isinstance(error, AuthError):
            return ConfigError(
                f"the graph at {self._address} refused the user name or password; "
                "check [graph] user and password (or GRAPH_DB_USER, GRAPH_DB_PASSWORD)"
            )
        if isinstance(error, Neo4jError) and not isinstance(error, DatabaseUnavailable):
            return StoreError(f"the graph at {self._address} answered with an error ({error.code})")
        if isinstance(error, TimeoutError):
            return StoreError(f"the graph at {self._address} did not answer within {self._timeout_s:g} s")
        if isinstance(error, Conflict):
            return StoreError(f"the graph at {self._address} kept changing under a write")
        return StoreAway(f"the graph at {self._address} cannot be reached ({type(error).__name__})")


def _passing(error: Exception) -> bool:
    """Whether the same transaction may succeed in a moment; a server that is away takes the caller's longer waits."""
    return isinstance(error, Conflict) or (
        isinstance(error, Neo4jError)
        and not isinstance(error, AuthError)
        and (error.is_retryable() or error.code in _RACES)
    )


def refused(error: StoreError) -> bool:
    """Whether the server was there and refused the statement, so that a part of a batch may still succeed."""
    return isinstance(error.__cause__, Neo4jError | Conflict)
