"""These are jobs over a real Redis and a real graph; what they ask of it is tested on both servers in tests/graph."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from securechain_ingest.graph.store import Graph
from securechain_ingest.registries.building import REGISTRIES
from securechain_ingest.settings import GraphSettings
from tests.graph.builders import PYPI, npm, pypi, write
from tests.jobs import advisories
from tests.jobs.feeds import DAY_S, FeedBench, MadeFeed
from tests.registry_server import Server, World, serve
from tests.stores import AdvisoryTarget, GraphTarget, empty_graph
from tests.waiting import PATIENCE_S


@pytest.fixture
async def bench(redis_url: str, arcadedb_server: GraphTarget, tmp_path: Path) -> AsyncIterator[FeedBench]:
    graph_target = arcadedb_server
    empty_graph(graph_target)
    settings = GraphSettings(database=graph_target.database, query_timeout_s=PATIENCE_S)
    async with (
        Redis.from_url(redis_url) as redis,
        Graph.connect(
            graph_target.uri, graph_target.user, graph_target.password, settings, absent_retry_s=DAY_S
        ) as graph,
    ):
        await graph.ensure_schema([PYPI])
        yield FeedBench(redis, graph, MadeFeed(), tmp_path / "spool")


@pytest.fixture(scope="session")
def osv_server() -> Iterator[Server]:
    with serve(World()) as running:
        yield running


@pytest.fixture
async def advisory_bench(
    osv_server: Server, redis_url: str, arcadedb_server: GraphTarget, advisory_target: AdvisoryTarget, tmp_path: Path
) -> AsyncIterator[advisories.AdvisoryBench]:
    """Yield two ecosystems with a package each."""
    async with advisories.open_bench(
        osv_server, redis_url, arcadedb_server, advisory_target, tmp_path, advisories.MADE
    ) as bench:
        await bench.sync.graph.write([write(pypi("flask"), "1.0", "2.0"), write(npm("left"), "1.0.0")])
        yield bench


@pytest.fixture
async def ecosystems_bench(
    osv_server: Server, redis_url: str, arcadedb_server: GraphTarget, advisory_target: AdvisoryTarget, tmp_path: Path
) -> AsyncIterator[advisories.AdvisoryBench]:
    """Yield the names and versions of all ecosystems; the graph is empty."""
    async with advisories.open_bench(
        osv_server, redis_url, arcadedb_server, advisory_target, tmp_path, REGISTRIES
    ) as bench:
        yield bench
