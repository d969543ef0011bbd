"""One written fact in each local store, and the condition that tests wait for."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import psutil
from motor.motor_asyncio import AsyncIOMotorClient
from neo4j import AsyncDriver, AsyncGraphDatabase, NotificationMinimumSeverity
from redis.asyncio import Redis

from securechain_ingest.embedded import StoreAddresses


@dataclass(frozen=True, slots=True)
class Facts:
    """How many facts each store holds."""

    redis: int
    graph: int
    advisories: int


async def write(addresses: StoreAddresses, fact: str) -> None:
    """Write one fact to each store; returns when all have acknowledged it."""
    async with _drivers(addresses) as (redis, graph, facts):
        await redis.set(fact, 1)
        await graph.execute_query("CREATE (:Fact {name: $name})", name=fact, database_=addresses.graph_database)
        await facts.insert_one({"_id": fact})


async def read(addresses: StoreAddresses) -> Facts:
    """Count them."""
    query = "MATCH (fact:Fact) RETURN count(fact) AS facts"
    async with _drivers(addresses) as (redis, graph, facts):
        found = await graph.execute_query(query, database_=addresses.graph_database)
        return Facts(await redis.dbsize(), found.records[0]["facts"], await facts.count_documents({}))


@asynccontextmanager
async def _drivers(addresses: StoreAddresses) -> AsyncIterator[tuple[Redis, AsyncDriver, Any]]:
    assert addresses.redis_url
    assert addresses.graph_uri
    login = (addresses.graph_user or "", addresses.graph_password or "")
    mongo: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(addresses.vulnerability_uri)
    try:
        async with (
            Redis.from_url(addresses.redis_url) as redis,
            AsyncGraphDatabase.driver(
                addresses.graph_uri, auth=login, notifications_min_severity=NotificationMinimumSeverity.OFF
            ) as graph,
        ):
            yield redis, graph, mongo.facts.facts
    finally:
        mongo.close()


async def until(condition: Callable[[], Awaitable[bool]], what: str, timeout_s: float = 60.0) -> None:
    give_up_at = time.monotonic() + timeout_s
    while not await condition():
        assert time.monotonic() < give_up_at, f"waited {timeout_s:.0f} s in vain for {what}"
        await anyio.sleep(0.05)


async def until_gone(pids: list[int]) -> None:
    async def gone() -> bool:
        return not any(is_running(pid) for pid in pids)

    await until(gone, f"the end of {pids}")


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def children() -> list[int]:
    """The living children of this process."""
    return [child.pid for child in psutil.Process(os.getpid()).children() if is_running(child.pid)]
