"""This module finds the addresses of the three stores: those of the configuration come first, then those of a running
daemon's local servers."""

from __future__ import annotations

from urllib.parse import urlsplit

from securechain_ingest.configuration import Settings
from securechain_ingest.embedded.addresses import StoreAddresses, running_stores
from securechain_ingest.errors import ConfigError, NoDaemon

REDIS, GRAPH, VULNERABILITIES = "redis", "graph", "vulnerabilities"
ALL_STORES = frozenset({REDIS, GRAPH, VULNERABILITIES})

_HOW_TO_CONFIGURE = {
    REDIS: "[redis] url (or REDIS_URL)",
    GRAPH: "[graph] uri (or GRAPH_DB_URI)",
    VULNERABILITIES: "[vulnerabilities] uri (or VULN_DB_URI)",
}


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
