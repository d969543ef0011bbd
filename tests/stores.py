"""These are the real servers that tests talk to, and this is how a test gets an empty one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from neo4j import GraphDatabase

from securechain_ingest.embedded.addresses import StoreAddresses
from securechain_ingest.embedded.stores import embedded_stores
from securechain_ingest.settings import EmbeddedSettings
from tests.waiting import PATIENCE_S

QUICK_JAVA: Final = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m"
"""A graph server that lives for some minutes does not get back what Java's second compiler costs it. Without that
compiler Java keeps 48 MB for compiled code, which Neo4j fills, so that code is thrown away and compiled anew."""


@dataclass(frozen=True, slots=True)
class GraphTarget:
    """This is a Bolt server."""

    uri: str
    user: str
    password: str
    database: str | None
    kind: str
    """This is `arcadedb` or `neo4j`."""


@dataclass(frozen=True, slots=True)
class AdvisoryTarget:
    """This is a database of a server that speaks MongoDB's protocol."""

    uri: str
    database: str


@contextmanager
def local_stores(state_dir: Path, needed: frozenset[str]) -> Iterator[StoreAddresses]:
    """Yield the product's own embedded servers, run by an event loop in a thread for the synchronous fixtures."""
    state_dir.mkdir(parents=True, exist_ok=True)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="local stores", daemon=True)
    thread.start()
    context = embedded_stores(state_dir, EmbeddedSettings(start_timeout_s=PATIENCE_S), needed=needed)
    try:
        stores = asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result()
        try:
            yield stores.addresses
        finally:
            asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def store_variables(redis_url: str, graph: GraphTarget, advisories: AdvisoryTarget, state_dir: Path) -> dict[str, str]:
    """Return the environment of a daemon, or of a configuration, that is to use these stores."""
    variables = {
        "REDIS_URL": redis_url,
        "GRAPH_DB_URI": graph.uri,
        "GRAPH_DB_USER": graph.user,
        "GRAPH_DB_PASSWORD": graph.password,
        "VULN_DB_URI": advisories.uri,
        "SECURECHAIN_VULNERABILITIES__DATABASE": advisories.database,
        "SECURECHAIN_STATE_DIR": str(state_dir),
        # A cold Neo4j on a busy machine takes minutes for its first constraints.
        "SECURECHAIN_GRAPH__QUERY_TIMEOUT_S": str(PATIENCE_S),
    }
    return variables | ({"SECURECHAIN_GRAPH__DATABASE": graph.database} if graph.database else {})


def empty_graph(target: GraphTarget) -> None:
    """Delete every node; the schema stays."""
    with (
        GraphDatabase.driver(target.uri, auth=(target.user, target.password)) as driver,
        driver.session(database=target.database) as session,
    ):
        while session.run("MATCH (n) WITH n LIMIT 5000 DETACH DELETE n RETURN count(n) AS count").single(strict=True)[
            "count"
        ]:
            pass
