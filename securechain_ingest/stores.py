"""This module opens the drivers for the three stores; a local server takes the place of each that has no address."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import Redis

from securechain_ingest.advisories.store import AdvisoryStore
from securechain_ingest.configuration import Settings
from securechain_ingest.drivers import redis_connection
from securechain_ingest.drivers.redis_errors import store_errors
from securechain_ingest.embedded.addresses import StoreAddresses
from securechain_ingest.embedded.stores import EmbeddedStores, embedded_stores
from securechain_ingest.graph.store import Graph
from securechain_ingest.runs.store import RunStore
from securechain_ingest.store_addresses import merge, missing
from securechain_ingest.worker.release_changes import ReleaseChanges


@dataclass(frozen=True, slots=True)
class Stores:
    """These drivers are open; none of them contacts its store before its first use."""

    redis: Redis
    graph: Graph
    advisories: AdvisoryStore
    runs: RunStore
    changes: ReleaseChanges
    addresses: StoreAddresses

    async def ping(self) -> None:
        """Return if all three stores answer. Raise StoreError for one that does not, ConfigError for refused
        credentials."""
        with store_errors():
            await self.redis.ping()
        await redis_connection.require_durable(self.redis)
        await self.graph.ping()
        await self.advisories.count()


@asynccontextmanager
async def open_stores(
    addresses: StoreAddresses, settings: Settings
) -> AsyncIterator[tuple[Stores, EmbeddedStores | None]]:
    """Yield drivers for the stores, and local servers for those that have no address. None is in their place if no
    server is needed.

    If one is needed, the caller must hold the lock of the state directory. It raises ConfigError and StoreError.
    """
    needed = missing(addresses)
    async with AsyncExitStack() as stack:
        embedded = None
        if needed:
            servers = embedded_stores(settings.daemon.state_dir, settings.embedded, needed=needed)
            embedded = await stack.enter_async_context(servers)
            addresses = merge(addresses, embedded.addresses)
        yield await stack.enter_async_context(connect(addresses, settings)), embedded


@asynccontextmanager
async def connect(addresses: StoreAddresses, settings: Settings) -> AsyncIterator[Stores]:
    """Yield drivers for all three stores, and close them at the end."""
    assert addresses.redis_url and addresses.graph_uri and addresses.vulnerability_uri  # noqa: S101, PT018 - resolved
    redis = redis_connection.connect(addresses.redis_url, settings.redis.timeout_s)
    try:
        async with (
            Graph.connect(
                addresses.graph_uri,
                addresses.graph_user or "",
                addresses.graph_password or "",
                settings.graph.model_copy(update={"database": addresses.graph_database}),
                absent_retry_s=settings.packages.absent_retry_s,
                queued_retry_s=settings.packages.queued_retry_s,
            ) as graph,
            AdvisoryStore.connect(addresses.vulnerability_uri, settings.vulnerabilities) as advisories,
        ):
            runs = RunStore(advisories.sibling(settings.vulnerabilities.runs_collection))
            changes = ReleaseChanges(advisories.sibling(settings.vulnerabilities.changes_collection))
            yield Stores(redis, graph, advisories, runs, changes, addresses)
    finally:
        await redis.aclose()
