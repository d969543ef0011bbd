"""This is the graph under test, on each server, and a plain driver beside it to look at what was written."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from neo4j import AsyncDriver, AsyncGraphDatabase

from securechain_ingest.graph.store import Graph
from securechain_ingest.settings import GraphSettings
from tests.graph.builders import NPM, PYPI
from tests.stores import GraphTarget
from tests.waiting import PATIENCE_S

DAY_S = 86_400.0


class CypherRunner:
    """This runs the statements of clients and of other programs."""

    def __init__(self, driver: AsyncDriver, database: str | None) -> None:
        self._driver = driver
        self._database = database

    async def __call__(self, cypher: str, **parameters: Any) -> list[dict[str, Any]]:
        async with self._driver.session(database=self._database) as session:
            result = await session.run(cypher, parameters)
            return await result.data()

    async def nodes(self, label: str) -> dict[str, Mapping[str, Any]]:
        """Return the properties of each node with a label, by element id."""
        rows = await self(f"MATCH (n:{label}) RETURN elementId(n) AS id, properties(n) AS properties")
        return {row["id"]: row["properties"] for row in rows}

    async def edges(self, purl: str) -> dict[str, tuple[str, str]]:
        """Return what a version requires, by target: constraints and parent; fails on two edges to one target."""
        rows = await self(
            "MATCH (:Version {purl: $purl})-[r:REQUIRE]->(t) "
            "RETURN t.purl AS purl, r.constraints AS constraints, r.parent_version_name AS parent",
            purl=purl,
        )
        assert len({row["purl"] for row in rows}) == len(rows)
        return {row["purl"]: (row["constraints"], row["parent"]) for row in rows}

    async def awaited(self) -> list[tuple[str, str, str]]:
        """Return each waiting requirement: the absent package, the version, the constraints."""
        rows = await self(
            "MATCH (a:AbsentPackage)-[w:AWAITED_BY]->(v:Version) RETURN a.purl AS a, v.purl AS v, w.constraints AS c"
        )
        return sorted((row["a"], row["v"], row["c"]) for row in rows)


@pytest.fixture
async def read(graph_target: GraphTarget) -> AsyncIterator[CypherRunner]:
    async with AsyncGraphDatabase.driver(
        graph_target.uri, auth=(graph_target.user, graph_target.password), notifications_min_severity="OFF"
    ) as driver:
        yield CypherRunner(driver, graph_target.database)


@pytest.fixture
async def bare_graph(graph_target: GraphTarget) -> AsyncIterator[Graph]:
    """Yield a graph without constraints of ours, as an older one may be."""
    async with Graph.connect(
        graph_target.uri,
        graph_target.user,
        graph_target.password,
        # A new server plans each statement once, for which a busy machine may need longer than a daemon lets it have.
        GraphSettings(database=graph_target.database, batch_rows=100, query_timeout_s=PATIENCE_S),
        absent_retry_s=DAY_S,
    ) as graph:
        yield graph


@pytest.fixture
async def graph(bare_graph: Graph) -> Graph:
    await bare_graph.ensure_schema([PYPI, NPM])
    return bare_graph
