"""The Bolt connection: transactions that are repeated after passing failures, bounded in time, with plain errors."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

from neo4j import AsyncDriver, AsyncGraphDatabase, AsyncResult, AsyncTransaction, NotificationMinimumSeverity, Query
from neo4j.exceptions import ConfigurationError

from securechain_ingest.errors import ConfigError
from securechain_ingest.graph.dialect import Dialect, dialect_of
from securechain_ingest.graph.failures import FAILURES, is_double, is_passing, store_error
from securechain_ingest.waits import Waits
from securechain_ingest.yielding import PIECE_S

Result = TypeVar("Result")
Rows = list[dict[str, Any]]

ATTEMPTS = 12
"""With the delays below, half a minute of deadlocks: more than any that passes."""
UNIQUE_ATTEMPTS = 6
"""Who has found its node made by another one so often, in two seconds, asks for what may not be there twice."""
DELAYS = Waits(first_s=0.04, longest_s=5.0, jitter=0.5)


class Connection:
    """A driver and the settings that hold for each of its transactions."""

    def __init__(self, driver: AsyncDriver, address: str, database: str | None, timeout_s: float) -> None:
        self._driver = driver
        self._address = address
        self._database = database
        self._timeout_s = timeout_s
        self._turn = asyncio.Lock()
        self._dialect: Dialect | None = None

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
                return await rows_of(result)

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

    async def dialect(self) -> Dialect:
        """What the server needs; asked once. Raises StoreError, ConfigError."""
        return await self._repeated(self._asked_dialect)

    async def _asked_dialect(self) -> Dialect:
        if self._dialect is None:
            self._dialect = dialect_of((await self._driver.get_server_info()).agent)
        return self._dialect

    def _in_turn(self, once: Callable[[], Awaitable[Result]]) -> Callable[[], Awaitable[Result]]:
        async def alone() -> Result:
            if not (await self._asked_dialect()).writes_in_turn:
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
            except FAILURES as error:
                if attempt == (UNIQUE_ATTEMPTS if is_double(error) else ATTEMPTS) or not is_passing(error):
                    raise store_error(error, self._address, self._timeout_s) from error
            await asyncio.sleep(DELAYS.after(attempt))
        raise AssertionError("unreachable")


async def rows_of(result: AsyncResult) -> Rows:
    """All rows, taken in short pieces: what has arrived is at hand at once, and others would wait for the last."""
    rows = []
    since = time.perf_counter()
    async for record in result:
        # Not `data()`, which goes through all that is in it for nodes and relationships; none is asked for.
        rows.append(dict(zip(record.keys(), record.values(), strict=True)))
        if time.perf_counter() - since > PIECE_S:
            await asyncio.sleep(0)
            since = time.perf_counter()
    return rows
