"""The plans that a Neo4j keeps, however the graph grows after it has made them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from neo4j import AsyncDriver, AsyncGraphDatabase, NotificationMinimumSeverity

from securechain_ingest.graph.connection import Connection, Rows
from securechain_ingest.graph.dialect import ARCADEDB, NEO4J
from securechain_ingest.graph.statements import statements
from securechain_ingest.graph.store import Graph
from securechain_ingest.model import PackageRef, PackageWrite
from securechain_ingest.settings import GraphSettings
from tests.graph.builders import NPM, PYPI, pypi, version, write
from tests.stores import GraphTarget, empty_graph
from tests.waiting import PATIENCE_S

KEPT = ("known", "read", "write", "resolve", "link")
NOW = datetime(2026, 11, 26, tzinfo=UTC)
PARAMETERS: dict[str, Any] = {
    "rows": {},
    "resolved_at_once": 0,
    "now": NOW,
    "local_now": NOW.replace(tzinfo=None),
    "retry_before": NOW,
    "lost_before": NOW,
    "parent_version_name": "name",
    "format": 2,
    "list_limit": 10,
}


@asynccontextmanager
async def emptied(server: GraphTarget) -> AsyncIterator[tuple[Graph, AsyncDriver]]:
    """Empty a Neo4j, and yield our graph on it and a driver that explains statements."""
    empty_graph(server)
    uri, user, password = server.uri, server.user, server.password
    quiet = NotificationMinimumSeverity.OFF
    async with (
        Graph.connect(uri, user, password, GraphSettings(query_timeout_s=PATIENCE_S), absent_retry_s=1) as graph,
        AsyncGraphDatabase.driver(uri, auth=(user, password), notifications_min_severity=quiet) as driver,
    ):
        yield graph, driver


@pytest.mark.parametrize("others", [False, True], ids=["the graph is empty", "only another ecosystem has packages"])
async def test_a_plan_that_is_made_before_the_first_package_finds_each_node_by_an_index(
    neo4j_server: GraphTarget, *, others: bool
) -> None:
    """A plan is kept. One that goes through all packages is the cheapest while there is none, and takes longer with
    each package that comes."""
    async with emptied(neo4j_server) as (graph, driver):
        await graph.ensure_schema([NPM, PYPI])
        if others:
            await graph.write([_with_requirements(pypi(f"package-{number}")) for number in range(10)])
        for name in KEPT:
            text = getattr(statements(NPM.label, NEO4J), name)
            summary = (await driver.execute_query(_explaining(text), parameters_=PARAMETERS)).summary
            assert summary.plan is not None
            names = set(operators(summary.plan))
            assert any("IndexSeek" in each for each in names)
            assert not any("Scan" in each for each in names)
            # Only `read` asks for a union. Neo4j makes one of a condition with OR behind a MATCH, and searches twice.
            assert name == "read" or not any("Union" in each for each in names)


def _with_requirements(ref: PackageRef) -> PackageWrite:
    absent = {pypi(f"absent-{number}"): "any" for number in range(4)}
    return write(ref, *(version(ref, f"1.{minor}", absent) for minor in range(6)))


def _explaining(text: str) -> str:
    """Return a statement that plans this one anew: an earlier test may have left a plan."""
    return text.replace(NEO4J.keep_plan, "CYPHER replan=force EXPLAIN ", 1)


def operators(plan: dict[str, Any]) -> Iterator[str]:
    yield plan["operatorType"]
    for child in plan.get("children", ()):
        yield from operators(child)


def test_neo4j_is_told_to_keep_the_plans_of_messages_and_arcadedb_which_does_not_know_the_word_is_not() -> None:
    kept, plain = statements(NPM.label, NEO4J), statements(NPM.label, ARCADEDB)
    for name in KEPT:
        assert getattr(kept, name) == "CYPHER replan=skip " + NEO4J.searching(getattr(plain, name))
    assert kept.mark_absent == NEO4J.searching(plain.mark_absent)


async def test_each_statement_is_prepared_in_a_transaction_of_its_own(
    bare_graph: Graph, graph_target: GraphTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine a Neo4j that has just started needs longer for all of them than one transaction may take; then
    no daemon could start. Those of the second attempt are planned already."""
    await bare_graph.ensure_schema([NPM, PYPI])
    kept = statements(NPM.label, NEO4J if graph_target.kind == "neo4j" else ARCADEDB)
    ended: list[str] = []
    run = Connection.change

    async def noting(self: Connection, cypher: str, parameters: Mapping[str, Any] | None = None) -> Rows:
        rows = await run(self, cypher, parameters)
        ended.append(cypher)
        return rows

    monkeypatch.setattr(Connection, "change", noting)
    await bare_graph.prepare([NPM, PYPI])
    assert ended[:3] == [kept.known, kept.read, kept.write]
    assert len(ended) == 6
