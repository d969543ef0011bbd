"""A graph that refuses a statement says so, and only whoever asked for it pays."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, cast

import pytest
from neo4j.exceptions import Neo4jError

from securechain_ingest.errors import ConfigError, StoreError, StoreRefused
from securechain_ingest.graph.batch import GraphBatcher
from securechain_ingest.graph.connection import Connection
from securechain_ingest.graph.failures import store_error
from securechain_ingest.graph.store import Graph
from securechain_ingest.model import PackageWrite, WriteResult
from securechain_ingest.queue.settlement import Failure
from securechain_ingest.settings import GraphSettings
from tests.graph.builders import pypi, write
from tests.graph.conftest import CypherRunner
from tests.stores import GraphTarget
from tests.waiting import PATIENCE_S


def unstorable(name: str) -> PackageWrite:
    """No server stores a map as a property."""
    return write(pypi(name), "1.0", properties={"licence": cast(str, {"any": "map"})})


def unsendable(name: str) -> PackageWrite:
    """A lone surrogate has no form in UTF-8."""
    good = write(pypi(name), "1.0")
    return replace(good, package=replace(good.package, vendor="\ud800"))


@pytest.mark.parametrize("bad", [unstorable, unsendable])
async def test_a_refused_package_is_told_as_refused_and_its_neighbours_are_written(
    graph: Graph, read: CypherRunner, bad: Any
) -> None:
    async with GraphBatcher(graph, GraphSettings(writers=1)) as batcher:
        answers = await asyncio.gather(
            batcher.write(write(pypi("warm"), "1.0")),
            batcher.write(write(pypi("six"), "1.0")),
            batcher.write(bad("bad")),
            batcher.write(write(pypi("attrs"), "1.0")),
            return_exceptions=True,
        )
    refused = answers[2]
    assert isinstance(refused, StoreRefused)
    assert [isinstance(each, WriteResult) for each in answers] == [True, True, False, True]
    failure = Failure.of(refused)
    assert (failure.kind, failure.transient) == ("store_refused", False)
    assert {node["name"] for node in (await read.nodes("PyPIPackage")).values()} == {"warm", "six", "attrs"}


async def test_a_graph_without_an_index_says_who_makes_it_and_costs_no_message(neo4j_server: GraphTarget) -> None:
    async with connected(neo4j_server) as connection:
        with pytest.raises(StoreError, match=r"lacks an index.*a daemon makes all of them when it starts") as raised:
            await connection.read("CALL db.index.fulltext.queryNodes('missing', 'any') YIELD node RETURN node")
    assert not isinstance(raised.value, StoreRefused), "the same statement passes once the index is there"


def test_a_demand_for_a_search_in_a_missing_index_is_no_refusal() -> None:
    """A Neo4j answers so where `dbms.cypher.hints_error` is set."""
    error = Neo4jError._hydrate_neo4j(code="Neo.ClientError.Schema.IndexNotFound", message="No such index")
    told = store_error(error, "there:7687", 60.0)
    assert not isinstance(told, StoreRefused)
    assert "lacks an index" in str(told)


async def test_the_reason_of_a_refusal_has_the_servers_code(graph_target: GraphTarget) -> None:
    async with connected(graph_target) as connection:
        with pytest.raises(StoreRefused, match=r"Neo\.ClientError\.Statement\.SyntaxError"):
            await connection.change("MERG (n)")
        with pytest.raises(StoreRefused, match=r"Neo\.ClientError\.Statement\.TypeError"):
            await connection.change("CREATE (n:Odd {map: $map})", {"map": {"any": "map"}})
        with pytest.raises(StoreRefused, match=r"Neo\.ClientError\.Statement\.ArithmeticError"):
            await connection.read("RETURN 1 / 0 AS infinite")


async def test_what_must_be_unique_and_is_not_is_a_refusal_within_seconds(
    graph: Graph, graph_target: GraphTarget
) -> None:
    async with connected(graph_target) as connection, asyncio.timeout(PATIENCE_S):
        with pytest.raises(StoreRefused, match="ConstraintValidationFailed"):
            await connection.change("CREATE (:PyPIPackage {purl: 'pkg:a'}) CREATE (:PyPIPackage {purl: 'pkg:a'})")


async def test_a_key_that_an_index_cannot_hold_is_a_refusal(graph: Graph, graph_target: GraphTarget) -> None:
    if graph_target.kind != "neo4j":
        pytest.skip("the embedded server's index holds longer keys")
    async with connected(graph_target) as connection:
        with pytest.raises(StoreRefused, match=r"Neo\.DatabaseError\.Statement\.ExecutionFailed"):
            await connection.change("MERGE (:Version {purl: $purl})", {"purl": "x" * 9_000})


async def test_a_number_beyond_64_bits_is_a_refusal(graph_target: GraphTarget) -> None:
    async with connected(graph_target) as connection:
        with pytest.raises(StoreRefused, match="OverflowError"):
            await connection.change("CREATE (:Odd {number: $number})", {"number": 2**70})


async def test_a_fault_of_the_program_in_one_package_does_not_harm_its_neighbours(graph: Graph) -> None:
    faulty = write(pypi("bad"), "1.0", properties={"licence": cast(str, object())})
    async with GraphBatcher(graph, GraphSettings(writers=1)) as batcher:
        answers = await asyncio.gather(
            batcher.write(write(pypi("warm"), "1.0")),
            batcher.write(write(pypi("six"), "1.0")),
            batcher.write(faulty),
            return_exceptions=True,
        )
    assert [type(each) for each in answers] == [WriteResult, WriteResult, ValueError]


async def test_a_database_that_is_not_there_is_for_the_operator_to_mend(graph_target: GraphTarget) -> None:
    settings = GraphSettings(database="nosuchdatabase")
    async with Graph.connect(
        graph_target.uri, graph_target.user, graph_target.password, settings, absent_retry_s=1.0
    ) as graph:
        with pytest.raises((ConfigError, StoreError)) as caught:
            await graph.ping()
    assert caught.value.kind in {"config", "store_unavailable"}
    if graph_target.kind == "neo4j":
        assert isinstance(caught.value, ConfigError)


def connected(target: GraphTarget) -> Any:
    return Connection.open(
        target.uri, target.user, target.password, database=target.database, timeout_s=PATIENCE_S, max_connections=2
    )
