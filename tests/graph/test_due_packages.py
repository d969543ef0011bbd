"""What is due is found by an index, not by a walk through all packages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from neo4j import AsyncDriver, AsyncGraphDatabase

from securechain_ingest.graph import undated
from securechain_ingest.graph.dialect import NEO4J
from securechain_ingest.graph.due import never_read_text, stale_text
from securechain_ingest.graph.store import Graph
from securechain_ingest.settings import GraphSettings
from tests.graph.builders import MONDAY, PYPI, pypi, write
from tests.graph.conftest import CypherRunner
from tests.stores import GraphTarget, empty_graph
from tests.waiting import PATIENCE_S

PACKAGES = 300


@pytest.fixture
async def many(neo4j_server: GraphTarget) -> AsyncIterator[AsyncDriver]:
    """Yield a Neo4j with packages that were checked a minute after each other."""
    empty_graph(neo4j_server)
    uri, user, password = neo4j_server.uri, neo4j_server.user, neo4j_server.password
    async with (
        Graph.connect(uri, user, password, GraphSettings(query_timeout_s=PATIENCE_S), absent_retry_s=1) as graph,
        AsyncGraphDatabase.driver(uri, auth=(user, password)) as driver,
    ):
        await graph.ensure_schema([PYPI])
        await driver.execute_query(
            "UNWIND range(1, $count) AS number CREATE (:PyPIPackage {name: 'p' + number, purl: 'pkg:pypi/p' + number,"
            " format: 2, moment: $monday + duration({minutes: number})})",
            count=PACKAGES,
            monday=MONDAY,
        )
        # A plan of another test does not count then.
        await driver.execute_query("CALL db.clearQueryCaches()")
        yield driver


async def hits(driver: AsyncDriver, text: str, **parameters: Any) -> tuple[int, int]:
    """Return the rows and the database hits of a query."""
    rows, summary, _ = await driver.execute_query(f"PROFILE {NEO4J.searching(text)}", parameters)

    def all_of(plan: Any) -> int:
        return int(plan["args"].get("DbHits", 0)) + sum(map(all_of, plan.get("children", ())))

    return len(rows), all_of(summary.profile)


async def test_stale_packages_cost_by_how_many_are_asked_for(many: AsyncDriver) -> None:
    text, late = stale_text(PYPI, NEO4J), MONDAY + timedelta(days=9)
    rows, found = await hits(many, text, older_than=late, limit=5)
    assert (rows, found < PACKAGES) == (5, True)
    rows, none = await hits(many, text, older_than=MONDAY, limit=5)
    assert (rows, none < 5) == (0, True)


async def test_packages_of_other_programs_cost_nothing_where_there_are_none(many: AsyncDriver) -> None:
    late = MONDAY + timedelta(days=9)
    local = datetime(9999, 12, 31)  # noqa: DTZ001 - upstream's have no zone
    rows, none = await hits(many, never_read_text(PYPI, NEO4J), older_than=late, limit=5, any_local_time=local)
    assert (rows, none < 5) == (0, True)


async def test_a_package_that_nobody_has_read_is_found_until_it_is_read_or_its_registry_lacks_it(
    graph: Graph, read: CypherRunner
) -> None:
    for name in ("old", "gone", "other"):
        await read(f"CREATE (:PyPIPackage {{name: '{name}', moment: localdatetime('2025-01-01T10:00:00')}})")

    async def never_read() -> set[str]:
        return {ref.registry_name for ref in await graph.due.never_read(PYPI, MONDAY, 10)}

    assert await never_read() == {"old", "gone", "other"}
    await graph.write([write(pypi("old"), "1.0")])
    await read("MATCH (p:PyPIPackage {name: 'gone'}) SET p.tried_at = $now", now=MONDAY)
    assert await never_read() == {"other"}


async def test_a_package_without_a_date_gets_one_at_the_start_and_is_found_as_never_read(
    bare_graph: Graph, read: CypherRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(undated, "PAGE", 2)
    await bare_graph.ensure_schema([PYPI])
    for name in ("undated", "a", "z"):
        await read(f"CREATE (:PyPIPackage {{name: '{name}'}})-[:HAVE]->(:Version {{name: '1.0'}})")
    await read("CREATE (:PyPIPackage {name: 'dated', moment: localdatetime('2025-01-01T10:00:00')})")
    await bare_graph.write([write(pypi("read"), "1.0")])

    await bare_graph.prepare([PYPI])

    found = [ref.registry_name for ref in await bare_graph.due.never_read(PYPI, MONDAY, 10)]
    assert sorted(found) == ["a", "dated", "undated", "z"]
    await bare_graph.write([write(pypi("undated"), "1.0")])
    assert "undated" not in {ref.registry_name for ref in await bare_graph.due.never_read(PYPI, MONDAY, 10)}


async def test_where_every_package_has_a_date_none_is_looked_at(many: AsyncDriver) -> None:
    for text in (undated.COUNT, undated.COUNT_DATED):
        plan = str((await many.execute_query(f"EXPLAIN {text.replace('PACKAGE', PYPI.label)}")).summary.plan)
        assert "NodeCountFromCountStore" in plan or "NodeIndexScan" in plan
        assert "NodeByLabelScan" not in plan
