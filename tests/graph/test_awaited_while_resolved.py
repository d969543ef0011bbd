"""This tests a requirement that is noted as waiting while another transaction is resolving what waits for its package.

ArcadeDB alone can show it: Neo4j makes the one transaction wait for the other.
"""

from __future__ import annotations

import pytest
from neo4j import GraphDatabase
from neo4j.exceptions import TransientError

from securechain_ingest.graph.store import Graph
from securechain_ingest.graph.write_statements import _LOCK_AWAITED
from tests.end_to_end.one_graph_server import graph_target
from tests.graph.builders import pypi, version, write
from tests.graph.conftest import CypherRunner
from tests.stores import GraphTarget

__all__ = ["graph_target"]


async def test_a_node_is_not_deleted_with_a_requirement_that_was_added_since_it_was_locked(
    graph: Graph, read: CypherRunner, graph_target: GraphTarget
) -> None:
    first, second, absent = pypi("first"), pypi("second"), pypi("absent")
    await graph.write([write(first, version(first, "1.0", {absent: "any"}))])
    with (
        GraphDatabase.driver(graph_target.uri, auth=(graph_target.user, graph_target.password)) as driver,
        driver.session(database=graph_target.database) as session,
        session.begin_transaction() as resolving,
    ):
        resolving.run(_LOCK_AWAITED.replace("ROWS", "awaited"), rows={"awaited": [absent.purl]}).consume()
        await graph.write([write(second, version(second, "1.0", {absent: "any"}))])
        resolving.run("MATCH (a:AbsentPackage {purl: $purl}) DETACH DELETE a", purl=absent.purl).consume()
        with pytest.raises(TransientError):
            resolving.commit()
    assert [purl for _, purl, _ in await read.awaited()] == [f"{first.purl}@1.0", f"{second.purl}@1.0"]
