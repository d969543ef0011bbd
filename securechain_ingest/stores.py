"""This module finds the three stores and opens the drivers for them: configured stores come first, and a local
server takes the place of each that is not configured."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel
from redis.asyncio import Redis

from securechain_ingest.advisories.store import AdvisoryStore
from securechain_ingest.configuration import Settings
from securechain_ingest.drivers import redis_connection
from securechain_ingest.drivers.redis_errors import store_errors
from securechain_ingest.embedded import EmbeddedStores, StoreAddresses, embedded_stores, running_stores
from securechain_ingest.errors import ConfigError, NoDaemon
from securechain_ingest.graph.store import Graph
from securechain_ingest.runs.store import RunStore
from securechain_ingest.worker.release_changes import ReleaseChanges

T = TypeVar("T", bound=BaseModel)

REDIS, GRAPH, VULNERABILITIES = "redis", "graph", "vulnerabilities"
ALL_STORES = frozenset({REDIS, GRAPH, VULNERABILITIES})

REDIS_ANSWER_S: Final = 3.0
"""The client of Redis tries four times, so that it says after some twelve seconds that there is no answer."""
GRAPH_ANSWER_S: Final = 20.0
"""A server that has just started needs seconds for its first counts."""
ADVISORIES_ANSWER_S: Final = 10.0

_HOW_TO_CONFIGURE = {
    REDIS: "[redis] url (or REDIS_URL)",
    GRAPH: "[graph] uri (or GRAPH_DB_URI)",
    VULNERABILITIES: "[vulnerabilities] uri (or VULN_DB_URI)",
}


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


def configured(settings: Settings) -> StoreAddresses:
    """Return the addresses in the configuration; they are None for stores that it does not name."""
    redis, graph = settings.redis, settings.graph
    redis_url = redis.url.get_secret_value() if redis.url else None
    if redis_url is None and redis.host is not None:
        redis_url = f"redis://{redis.host}:{redis.port}/{redis.db}"
    return StoreAddresses(
        redis_url=redis_url,
        graph_uri=graph.uri,
        graph_user=graph.user if graph.uri else None,
        graph_password=graph.password.get_secret_value() if graph.uri and graph.password else None,
        graph_database=graph.database if graph.uri else None,
        vulnerability_uri=settings.vulnerabilities.uri.get_secret_value() if settings.vulnerabilities.uri else None,
    )


def missing(addresses: StoreAddresses) -> frozenset[str]:
    """Return the names of the stores that have no address."""
    held = {REDIS: addresses.redis_url, GRAPH: addresses.graph_uri, VULNERABILITIES: addresses.vulnerability_uri}
    return frozenset(store for store, address in held.items() if address is None)


def of_running_daemon(settings: Settings, needed: frozenset[str] = ALL_STORES) -> StoreAddresses:
    """Return the stores that a running daemon on the same state directory uses. Raise NoDaemon if a needed one
    cannot be found."""
    addresses = configured(settings)
    if not missing(addresses) & needed:
        return addresses
    local = running_stores(settings.daemon.state_dir)
    if local is not None:
        addresses = merge(addresses, local)
    if lacking := missing(addresses) & needed:
        raise no_daemon(settings, lacking)
    return addresses


def no_daemon(settings: Settings, lacking: frozenset[str]) -> NoDaemon:
    """Return the error of a command that has no address of these stores."""
    return NoDaemon(
        f"no daemon is running on the state directory {settings.daemon.state_dir.absolute()}, and"
        f" {_HOW_TO_CONFIGURE[min(lacking)]} is not set: start `securechain-ingest run` or set it"
    )


def refuse_missing(settings: Settings, stores: frozenset[str]) -> None:
    """Require that every one of these stores is configured if there are no embedded servers. Raise ConfigError for
    the first that is not."""
    if settings.embedded.enabled:
        return
    for store in sorted(stores):
        raise ConfigError(f"{_HOW_TO_CONFIGURE[store]} is not set and [embedded] enabled is false: set one of them")


def merge(first: StoreAddresses, second: StoreAddresses) -> StoreAddresses:
    """Return `first` with every store that it lacks taken from `second`."""
    graph = first if first.graph_uri else second
    return StoreAddresses(
        redis_url=first.redis_url or second.redis_url,
        graph_uri=graph.graph_uri,
        graph_user=graph.graph_user,
        graph_password=graph.graph_password,
        graph_database=graph.graph_database,
        vulnerability_uri=first.vulnerability_uri or second.vulnerability_uri,
    )


def for_answers(settings: Settings) -> Settings:
    """Return the settings for a command whose user waits for its answer: no store is waited for as long as the daemon,
    which bears a failover, waits for it. A shorter configured limit holds."""

    def within(table: T, key: str, most_s: float) -> T:
        return table.model_copy(update={key: min(getattr(table, key), most_s)})

    return settings.model_copy(
        update={
            "redis": within(settings.redis, "timeout_s", REDIS_ANSWER_S),
            "graph": within(settings.graph, "query_timeout_s", GRAPH_ANSWER_S),
            "vulnerabilities": within(settings.vulnerabilities, "timeout_s", ADVISORIES_ANSWER_S),
        }
    )


def redis_client(url: str, settings: Settings) -> Redis:
    """Return a client that tries its commands again during a short outage. Raise ConfigError for a malformed
    address."""
    return redis_connection.connect(url, settings.redis.timeout_s)


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
    redis = redis_client(addresses.redis_url, settings)
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


def graph_address(addresses: StoreAddresses) -> str:
    """Return the address of the graph for a Cypher client."""
    return without_password(addresses.graph_uri or "")


def shown_addresses(addresses: StoreAddresses) -> dict[str, str]:
    """Return where the stores are that have an address, by store, without any login."""
    urls = {REDIS: addresses.redis_url, GRAPH: addresses.graph_uri, VULNERABILITIES: addresses.vulnerability_uri}
    return {store: without_password(url) for store, url in urls.items() if url}


def without_password(url: str) -> str:
    """Return an address as it may be shown: it has the scheme, the host, the port and the path only."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"
