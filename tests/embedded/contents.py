"""This is one written fact in each local store, and the condition that tests wait for."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import psutil
from neo4j import AsyncDriver, AsyncGraphDatabase, NotificationMinimumSeverity
from neo4j.exceptions import DriverError, Neo4jError
from pymongo.errors import PyMongoError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from securechain_ingest.drivers.mongodb import Collection, connected
from securechain_ingest.embedded.addresses import StoreAddresses
from tests.waiting import until


@dataclass(frozen=True, slots=True)
class Facts:
    """This is how many facts each store holds."""

    redis: int
    graph: int
    advisories: int


@dataclass(frozen=True, slots=True)
class Drivers:
    """These are open drivers, as the daemon holds them."""

    redis: Redis
    graph: AsyncDriver
    graph_database: str | None
    facts: Collection

    async def write(self, fact: str) -> None:
        """Write one fact to each store; return when all have acknowledged it."""
        await self.redis.set(fact, 1)
        await self.graph.execute_query("CREATE (:Fact {name: $name})", name=fact, database_=self.graph_database)
        await self.facts.insert_one({"_id": fact})

    async def read(self) -> Facts:
        """Count them."""
        query = "MATCH (fact:Fact) RETURN count(fact) AS facts"
        found = await self.graph.execute_query(query, database_=self.graph_database)
        return Facts(await self.redis.dbsize(), found.records[0]["facts"], await self.facts.count_documents({}))

    async def answer(self) -> bool:
        """Return whether all three answer."""
        try:
            await self.read()
        except (RedisError, DriverError, Neo4jError, PyMongoError, OSError):
            return False
        return True


@asynccontextmanager
async def drivers(addresses: StoreAddresses) -> AsyncIterator[Drivers]:
    assert addresses.redis_url
    assert addresses.graph_uri
    login = (addresses.graph_user or "", addresses.graph_password or "")
    off = NotificationMinimumSeverity.OFF
    assert addresses.vulnerability_uri
    async with (
        connected(addresses.vulnerability_uri) as mongo,
        Redis.from_url(addresses.redis_url) as redis,
        AsyncGraphDatabase.driver(addresses.graph_uri, auth=login, notifications_min_severity=off) as graph,
    ):
        yield Drivers(redis, graph, addresses.graph_database, mongo.facts.facts)


async def write(addresses: StoreAddresses, fact: str) -> None:
    async with drivers(addresses) as held:
        await held.write(fact)


async def read(addresses: StoreAddresses) -> Facts:
    async with drivers(addresses) as held:
        return await held.read()


async def until_gone(pids: list[int]) -> None:
    async def gone() -> bool:
        return not any(is_running(pid) for pid in pids)

    await until(gone, f"the end of {pids}")


async def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return await anyio.to_thread.run_sync(process.stdout.readline)


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def children() -> list[int]:
    """Return the living children of this process."""
    return [child.pid for child in psutil.Process(os.getpid()).children() if is_running(child.pid)]
