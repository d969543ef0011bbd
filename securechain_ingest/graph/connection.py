"""This module is the Bolt connection. It limits the time of each transaction, repeats it after a passing failure, and
raises plain errors."""

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
from securechain_ingest.progress import waiting
from securechain_ingest.waits import Waits
from securechain_ingest.yielding import PIECE_S

Result = TypeVar("Result")
Rows = list[dict[str, Any]]

ATTEMPTS = 12
"""This is the number of attempts for one transaction. With the delays below they last for half a minute of deadlocks,
which is longer than any passing deadlock."""
UNIQUE_ATTEMPTS = 6
"""This is the number of attempts, in about two seconds, if another writer has made the same node each time. After that
the transaction asks for something that may not exist twice."""
DELAYS = Waits(first_s=0.04, longest_s=5.0, jitter=0.5)


class Connection:
    """It holds a driver and the settings that apply to each of its transactions."""

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
        """Yield a connection that connects on first use. It raises ConfigError if `uri` is not a Bolt address."""
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
        """Run one statement that changes nothing, and return its rows. It raises StoreError or ConfigError.

        `rows_at_once` is the number of rows in one piece of the answer. The event loop waits for each piece, so a
        smaller number keeps it free while a very long answer arrives.
        """
        statement = self._statement(cypher, parameters, rows_at_once)
        return await self._repeated(lambda: self._bounded(statement))

    async def change(self, cypher: str, parameters: Mapping[str, Any] | None = None) -> Rows:
        """Run one statement in a transaction of its own, and return its rows. It raises StoreError or ConfigError."""
        return await self._repeated(self._in_turn(self._statement(cypher, parameters)))

    def _statement(
        self, cypher: str, parameters: Mapping[str, Any] | None, rows_at_once: int = 1000
    ) -> Callable[[], Awaitable[Rows]]:

        async def once() -> Rows:
            async with self._driver.session(database=self._database, fetch_size=rows_at_once) as session:
                text = (await self._asked_dialect()).searching(cypher)
                query = Query(text, timeout=self._timeout_s)
                result = await session.run(query, dict(parameters or {}))
                return await rows_of(result)

        return once

    async def transaction(self, work: Callable[[AsyncTransaction], Awaitable[Result]]) -> Result:
        """Run `work` in one transaction, and commit it if `work` returns. After a passing failure `work` is called
        again.

        It raises StoreError, ConfigError and what `work` raises.
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
        """Return the dialect of the server, which is asked only once. It raises StoreError or ConfigError."""
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
        """Limit the time of `once`. The server has a limit, too, but this one also works if the server cannot be
        reached or does not know its limit."""
        async with asyncio.timeout(self._timeout_s + 5):
            return await once()

    async def _repeated(self, once: Callable[[], Awaitable[Result]]) -> Result:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with waiting():
                    return await once()
            except FAILURES as error:
                if attempt == (UNIQUE_ATTEMPTS if is_double(error) else ATTEMPTS) or not is_passing(error):
                    raise store_error(error, self._address, self._timeout_s) from error
            await asyncio.sleep(DELAYS.after(attempt))
        raise AssertionError("unreachable")


async def rows_of(result: AsyncResult) -> Rows:
    """Return all rows of a result, and give other tasks a turn now and then. Rows that have arrived are returned
    without a wait, so other tasks would otherwise wait for the last row."""
    rows = []
    since = time.perf_counter()
    async for record in result:
        # `data()` would search all values for nodes and relationships, but no query asks for any.
        rows.append(dict(zip(record.keys(), record.values(), strict=True)))
        if time.perf_counter() - since > PIECE_S:
            await asyncio.sleep(0)
            since = time.perf_counter()
    return rows
