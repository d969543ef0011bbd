"""This runs a daemon process on the session's servers for a whole module of tests, beside the queries of a client."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from pymongo import MongoClient

from tests.end_to_end.conftest import STREAM, dead_letters, wait_until_settled
from tests.end_to_end.daemon_process import DaemonProcess, daemon
from tests.end_to_end.graph_contents import PlainCypher
from tests.registry_server import Server
from tests.schedules_off import SCHEDULES_OFF
from tests.stores import AdvisoryTarget, GraphTarget, store_variables

Advisories = MongoClient[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Running:
    """This is what a client has in its hands while the daemon runs."""

    target: GraphTarget
    graph: PlainCypher
    queue: redis.Redis
    advisories: Any
    registries: Server
    process: DaemonProcess

    def send(self, *data: str) -> None:
        """Add raw texts as other programs do, and wait until the daemon is done with them."""
        for text in data:
            self.queue.xadd(STREAM, {"data": text})
        wait_until_settled(self.queue)

    def ask(self, node_type: str, package: str, **keys: Any) -> None:
        self.send(json.dumps({"node_type": node_type, "package": package, **keys}))

    def dead(self) -> list[tuple[str, str]]:
        """Return the kind and the package of every dead letter."""
        return [(letter["kind"], json.loads(letter["data"])["package"]) for letter in dead_letters(self.queue)]

    def versions(self, label: str, name: str) -> dict[str, dict[str, Any]]:
        """Return the versions as the clients ask for the status of a package: by its lower-case name."""
        rows = self.graph.rows(
            f"MATCH (p:{label} {{name: $name}})-[:HAVE]->(v:Version) RETURN properties(v) AS v", name=name
        )
        found = {row["v"]["name"]: row["v"] for row in rows}
        assert len(found) == len(rows)
        return found

    def edges(self, label: str, name: str, version: str) -> dict[str, tuple[str, str]]:
        """Return what a version requires, by the target's purl: constraints and `parent_version_name`."""
        rows = self.graph.rows(
            f"MATCH (:{label} {{name: $name}})-[:HAVE]->(:Version {{name: $version}})-[r:REQUIRE]->(t)"
            " RETURN t.purl AS purl, r.constraints AS constraints, r.parent_version_name AS parent",
            name=name,
            version=version,
        )
        found = {row["purl"]: (row["constraints"], row["parent"]) for row in rows}
        assert len(found) == len(rows)
        return found


def environment(redis_url: str, graph: GraphTarget, advisories: AdvisoryTarget, state_dir: Path) -> dict[str, str]:
    """Return variables that point a daemon to these stores, with short waits."""
    return store_variables(redis_url, graph, advisories, state_dir) | {
        "SECURECHAIN_QUEUE__LEASE_S": "60",
        "SECURECHAIN_QUEUE__RETRY_BASE_S": "0.1",
        "SECURECHAIN_QUEUE__RETRY_MAX_S": "0.5",
        "SECURECHAIN_HTTP__NOT_FOUND_TTL_S": "0.1",
        **SCHEDULES_OFF,
    }


@contextmanager
def running(
    variables: Mapping[str, str],
    graph: GraphTarget,
    advisory_target: AdvisoryTarget,
    registries: Server,
    advisories: Iterable[Mapping[str, Any]] = (),
) -> Iterator[Running]:
    """Yield a daemon that serves; the stores must be empty but for what a test put there on purpose."""
    reader = PlainCypher(graph)
    client: Advisories = MongoClient(advisory_target.uri)
    collection = client[advisory_target.database]["vulnerabilities"]
    if documents := [dict(document) for document in advisories]:
        collection.insert_many(documents)
    try:
        with (
            redis.Redis.from_url(variables["REDIS_URL"], decode_responses=True) as queue,
            daemon(dict(variables) | registries.environment()) as process,
        ):
            yield Running(graph, reader, queue, collection, registries, process)
            assert not process.events("handler_failed")
            assert process.stop() == 0
    finally:
        client.close()
        reader.close()
