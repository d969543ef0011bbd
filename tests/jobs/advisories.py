"""This is the advisory sync on real stores, with a made bucket of advisories."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from securechain_ingest.advisories.osv import OsvBucket
from securechain_ingest.advisories.store import AdvisoryStore
from securechain_ingest.drivers.mongodb import Collection, connected
from securechain_ingest.graph.store import Graph
from securechain_ingest.jobs.advisory_sync import AdvisorySync
from securechain_ingest.runs import Run, utc_now
from securechain_ingest.settings import GraphSettings, VulnerabilitySettings
from tests.graph.builders import NPM, PYPI, npm, pypi
from tests.jobs.feeds import DAY_S, Identities
from tests.registries.asking import tools
from tests.registry_server import Server, World, osv
from tests.stores import AdvisoryTarget, GraphTarget, empty_graph
from tests.waiting import PATIENCE_S

HIGH = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
"""Its base score is 9.8."""
MEDIUM = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:L/A:N"
"""Its base score is 5.3."""
FLASK = osv.Advisory("GHSA-1", (("PyPI", "flask"),), fixed="2.0", vector=HIGH)
STREAM = "test"


@dataclass
class AdvisoryBench:
    sync: AdvisorySync
    server: Server
    collection: Collection
    runs: int = 0

    def publish(self, *advisories: osv.Advisory) -> None:
        self.server.replace(World(advisories=advisories))
        self.server.requests.clear()

    async def run(self, **options: str) -> Run:
        self.runs += 1
        run = Run(id=f"run-{self.runs}", job="advisory_sync", started_at=utc_now(), options=options)
        await self.sync.run(run)
        return run

    async def ratings(self, ref: Any) -> dict[str, tuple[float, list[str]]]:
        """Return the mean and the advisories of each version in the graph."""
        view = await self.sync.graph.reader.package(ref.ecosystem, ref.purl)
        assert view is not None
        return {version.name: (version.mean, list(version.vulnerabilities)) for version in view.versions}

    async def document(self, identifier: str) -> dict[str, Any]:
        found = await self.collection.find_one({"id": identifier})
        assert found is not None
        return found

    def targets(self) -> list[str]:
        return [request.target for request in self.server.requests]


MADE = (Identities(PYPI, pypi), Identities(NPM, npm))


@asynccontextmanager
async def open_bench(
    server: Server,
    redis_url: str,
    graph_target: GraphTarget,
    advisory_target: AdvisoryTarget,
    folder: Path,
    registries: Any,
) -> AsyncIterator[AdvisoryBench]:
    """Yield a sync over empty stores and a bucket without faults."""
    empty_graph(graph_target)
    server.faults.clear()
    server.replace(World())
    settings = VulnerabilitySettings(database=advisory_target.database)
    async with (
        connected(advisory_target.uri) as client,
        Redis.from_url(redis_url) as redis,
        Graph.connect(
            graph_target.uri,
            graph_target.user,
            graph_target.password,
            GraphSettings(database=graph_target.database, query_timeout_s=PATIENCE_S),
            absent_retry_s=DAY_S,
        ) as graph,
        AdvisoryStore.connect(advisory_target.uri, settings) as store,
        tools(server) as (http, pool),
    ):
        await graph.ensure_schema([registry.ecosystem for registry in registries])
        await store.ensure_indexes()
        bucket = OsvBucket(http, pool, folder)
        sync = AdvisorySync(bucket, store, graph, redis, STREAM, registries, DAY_S, pool)
        yield AdvisoryBench(sync, server, client[advisory_target.database]["vulnerabilities"])
