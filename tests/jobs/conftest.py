"""Jobs over a real Redis and a real graph; what they ask of it is tested on both servers in tests/graph."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from securechain_ingest.graph.store import Graph
from securechain_ingest.settings import GraphSettings
from tests.graph.builders import PYPI
from tests.jobs.feeds import DAY_S, Bench, MadeFeed
from tests.stores import GraphTarget, empty_graph


@pytest.fixture
async def bench(redis_url: str, arcadedb_server: GraphTarget) -> AsyncIterator[Bench]:
    graph_target = arcadedb_server
    empty_graph(graph_target)
    settings = GraphSettings(database=graph_target.database)
    async with (
        Redis.from_url(redis_url) as redis,
        Graph.connect(
            graph_target.uri, graph_target.user, graph_target.password, settings, absent_retry_s=DAY_S
        ) as graph,
    ):
        await graph.ensure_schema([PYPI])
        yield Bench(redis, graph, MadeFeed())
