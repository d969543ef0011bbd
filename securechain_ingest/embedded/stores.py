"""This module runs local stores for a machine that has none. They are real servers in child processes, and the daemon
uses the same drivers for them as for any other store."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import structlog

from securechain_ingest.embedded.addresses import StoreAddresses, publish, withdraw
from securechain_ingest.embedded.full_text import index_lists
from securechain_ingest.embedded.process import ServerProcess, chosen_ports, together
from securechain_ingest.embedded.servers import (
    GRAPH_DATABASE,
    GRAPH_USER,
    SECRETS_FILE,
    Secrets,
    advisory_server,
    graph_server,
    redis_server,
)
from securechain_ingest.errors import StoreError
from securechain_ingest.registries import ECOSYSTEMS
from securechain_ingest.settings import EmbeddedSettings
from securechain_ingest.waits import Waits

logger = structlog.get_logger(__name__)

_WATCH_S = 0.5
_WAITS = Waits(first_s=0.5, longest_s=30.0)
_MAX_RESTARTS = 5
_RESTARTS_WITHIN_S = 300.0


class EmbeddedStores:
    """These are the local servers that run, and their addresses."""

    def __init__(self, addresses: StoreAddresses, servers: list[ServerProcess], options: EmbeddedSettings) -> None:
        self.addresses = addresses
        self._servers = servers
        self._options = options

    @property
    def pids(self) -> dict[str, int | None]:
        """Return the process id of each server by the server's name. It is None for a server that was not started."""
        return {server.plan.name: server.pid for server in self._servers}

    async def watch(self) -> None:
        """Restart each server that dies, at the same address, so that drivers find it again. This never returns.

        Raise StoreError when one server has died more than 5 times within 5 minutes.
        """
        await together(*(partial(self._keep_alive, server) for server in self._servers))

    async def _keep_alive(self, server: ServerProcess) -> None:
        deaths: list[float] = []
        while True:
            await anyio.sleep(_WATCH_S)
            server.bound_log()
            if server.is_alive():
                continue
            now = time.monotonic()
            deaths = [death for death in deaths if now - death < _RESTARTS_WITHIN_S] + [now]
            logger.warning("embedded_server_died", server=server.plan.name, deaths=len(deaths))
            if len(deaths) > _MAX_RESTARTS:
                raise StoreError(f"the local {server.plan.name} keeps dying; its log is {server.log}")
            await anyio.sleep(_WAITS.after(len(deaths)))
            try:
                await server.start(self._options.start_timeout_s)
            except StoreError as error:
                logger.warning("embedded_server_not_restarted", server=server.plan.name, reason=str(error))
            else:
                logger.info("embedded_server_restarted", server=server.plan.name, pid=server.pid)


def has_begun(state_dir: Path) -> bool:
    """Return whether local servers have been started on the state directory before, so that they may have data."""
    return (state_dir / SECRETS_FILE).exists()


@asynccontextmanager
async def embedded_stores(
    state_dir: Path, options: EmbeddedSettings, *, needed: frozenset[str]
) -> AsyncIterator[EmbeddedStores]:
    """Start those of `redis`, `graph` and `vulnerabilities` that are in `needed`, and stop them at the end of the
    block.

    The caller holds `state_lock`. Within the block, other processes find the stores by `running_stores`. Raise
    ConfigError if the embedded extra is not installed, and StoreError if a server does not start.
    """
    known = Secrets.of(state_dir)
    redis_port, graph_port, http_port, advisory_port = chosen_ports(
        options.redis_port, options.graph_port, options.graph_http_port, options.vulnerabilities_port
    )
    redis = redis_server(state_dir, known.redis, redis_port) if "redis" in needed else None
    graph = graph_server(state_dir, known.graph, graph_port, http_port, options) if "graph" in needed else None
    advisories = advisory_server(state_dir, known, advisory_port, options) if "vulnerabilities" in needed else None
    addresses = StoreAddresses(
        redis_url=redis.address if redis else None,
        graph_uri=graph.address if graph else None,
        graph_user=GRAPH_USER if graph else None,
        graph_password=known.graph if graph else None,
        graph_database=GRAPH_DATABASE if graph else None,
        vulnerability_uri=advisories.address if advisories else None,
    )
    servers = [ServerProcess(server.plan) for server in (redis, graph, advisories) if server is not None]
    try:
        await together(*(partial(server.start, options.start_timeout_s) for server in servers))
        if graph is not None:
            login, labels = (GRAPH_USER, known.graph), (ecosystem.label for ecosystem in ECOSYSTEMS)
            await index_lists(f"http://127.0.0.1:{http_port}", login, GRAPH_DATABASE, labels, "import_names")
        publish(state_dir, addresses)
        yield EmbeddedStores(addresses, servers, options)
    finally:
        with anyio.CancelScope(shield=True):
            withdraw(state_dir)
            await together(*(server.stop for server in servers))
