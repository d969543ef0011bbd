"""This tests graphs that the upstream ingester made: nodes without purl, other spellings, duplicates (contract,
section 1.4).
"""

from __future__ import annotations

import asyncio

import pytest
import structlog

from securechain_ingest.graph.batch import GraphBatcher
from securechain_ingest.graph.store import Graph
from securechain_ingest.settings import GraphSettings
from tests.graph.builders import MONDAY, NPM, PYPI, npm, pypi, version, write
from tests.graph.conftest import CypherRunner

UPSTREAM = """
CREATE (p:PyPIPackage {name: $name, vendor: 'n/a', moment: localdatetime('2025-01-01T10:00:00')})
FOREACH (v IN $versions | CREATE (p)-[:HAVE]->(:Version {name: v, release_date: 1620742536000, serial_number: 0}))
RETURN elementId(p) AS id
"""


@pytest.mark.parametrize(
    "spelling", ["typing_extensions", "typing-extensions", "typing.extensions", "Typing_Extensions"]
)
async def test_an_older_node_is_adopted_by_any_spelling(graph: Graph, read: CypherRunner, spelling: str) -> None:
    [old] = await read(UPSTREAM, name=spelling, versions=["4.0"])
    [version_id] = await read.nodes("Version")
    await graph.write([write(pypi("Typing_Extensions"), "4.0", "4.1")])

    nodes = await read.nodes("PyPIPackage")
    assert set(nodes) == {old["id"]}
    assert (nodes[old["id"]]["name"], nodes[old["id"]]["purl"]) == ("typing_extensions", "pkg:pypi/typing-extensions")
    versions = await read.nodes("Version")
    assert versions[version_id]["purl"] == "pkg:pypi/typing-extensions@4.0"
    assert sorted((node["name"], node["serial_number"]) for node in versions.values()) == [("4.0", 0), ("4.1", 1)]


async def test_of_two_spellings_the_lower_case_node_is_adopted_and_the_other_left(
    graph: Graph, read: CypherRunner
) -> None:
    [mixed] = await read(UPSTREAM, name="Flask", versions=["1.0"])
    [lower] = await read(UPSTREAM, name="flask", versions=["1.0"])
    await graph.write([write(pypi("Flask"), "1.0")])
    nodes = await read.nodes("PyPIPackage")
    assert nodes[lower["id"]]["purl"] == "pkg:pypi/flask"
    assert "purl" not in nodes[mixed["id"]]


async def test_a_version_that_only_the_old_graph_has_is_completed(graph: Graph, read: CypherRunner) -> None:
    await read(UPSTREAM, name="six", versions=["0.9+local"])
    await graph.write([write(pypi("six"), "1.0")])
    held = {node["name"]: node for node in (await read.nodes("Version")).values()}["0.9+local"]
    assert held == {
        "name": "0.9+local",
        "purl": "pkg:pypi/six@0.9%2Blocal",
        "serial_number": 0,
        "mean": 0.0,
        "weighted_mean": 0.0,
        "vulnerabilities": [],
        "release_date": "2021-05-11T14:15:36Z",
    }


async def test_a_version_that_only_the_graph_has_keeps_the_case_of_its_package(
    graph: Graph, read: CypherRunner
) -> None:
    await graph.write([write(npm("jsonstream"), "1.0.0"), write(npm("JSONStream2"), "1.0.0")])
    await graph.write([write(npm("JSONStream"), "1.0.0", "2.0.0")])
    await graph.write([write(npm("JSONStream"), "2.0.0")])
    purls = {node["purl"] for node in (await read.nodes("Version")).values()}
    assert {"pkg:npm/jsonstream@1.0.0", "pkg:npm/JSONStream@1.0.0", "pkg:npm/JSONStream@2.0.0"} <= purls


async def test_of_duplicate_versions_clients_find_one_and_no_node_is_deleted(graph: Graph, read: CypherRunner) -> None:
    await read(UPSTREAM, name="six", versions=["1.0", "1.0", "2.0"])
    await read(
        "MATCH (p:PyPIPackage {name: 'six'})-[:HAVE]->(v:Version {name: '1.0'}) "
        "CREATE (v)-[:REQUIRE {constraints: 'any', parent_version_name: 'six'}]->(p)"
    )
    before = await read.nodes("Version")
    six = pypi("six")
    for _ in range(2):
        await graph.write([write(six, version(six, "1.0", {six: "any"}), "2.0")])
        rows = await read(
            "MATCH (:PyPIPackage {name: 'six'})-[:HAVE]->(v) RETURN v.name AS name ORDER BY v.serial_number"
        )
        assert [row["name"] for row in rows] == ["1.0", "2.0"]
        assert await read.edges("pkg:pypi/six@1.0") == {"pkg:pypi/six": ("any", "pkg:pypi/six")}
        assert len(await read("MATCH (v)-[r:REQUIRE]->() RETURN r")) == 1
    assert set(await read.nodes("Version")) == set(before)


async def test_edges_of_an_old_version_get_the_purl_of_the_parent(graph: Graph, read: CypherRunner) -> None:
    await read(UPSTREAM, name="app", versions=["1.0"])
    await read(UPSTREAM, name="six", versions=["1.0"])
    await read(
        "MATCH (v:Version)<-[:HAVE]-(:PyPIPackage {name: 'app'}) MATCH (t:PyPIPackage {name: 'six'}) "
        "CREATE (v)-[:REQUIRE {constraints: '>= 1', parent_version_name: 'app'}]->(t)"
    )
    app, six = pypi("app"), pypi("six")
    await graph.write([write(app, version(app, "1.0", {six: ">= 2"}))])
    [edge] = await read("MATCH (:Version)-[r:REQUIRE]->(t) RETURN t.name AS name")
    assert edge["name"] == "six"
    await graph.write([write(six, "1.0")])
    assert await read.edges("pkg:pypi/app@1.0") == {"pkg:pypi/six": (">= 2", "pkg:pypi/app")}


async def test_old_packages_are_unknown_and_have_never_been_read(graph: Graph, read: CypherRunner) -> None:
    await read(UPSTREAM, name="six", versions=["1.0"])
    assert await graph.known([pypi("six")]) == {}
    assert [ref.registry_name for ref in await graph.due.never_read(PYPI, MONDAY, 10)] == ["six"]


@pytest.mark.parametrize("order", [("JSONStream", "jsonstream"), ("jsonstream", "JSONStream")])
async def test_the_exact_lower_case_package_owns_the_lower_case_name(
    graph: Graph, read: CypherRunner, order: tuple[str, str]
) -> None:
    for name in (*order, *order):
        await graph.write([write(npm(name), "1.0.0")])
    names = {node["purl"]: node["name"] for node in (await read.nodes("NPMPackage")).values()}
    assert names == {"pkg:npm/jsonstream": "jsonstream", "pkg:npm/JSONStream": "JSONStream"}


async def test_two_case_variants_that_come_together_share_no_name(graph: Graph, read: CypherRunner) -> None:
    async with GraphBatcher(graph, GraphSettings()) as batcher:
        await asyncio.gather(*(batcher.write(write(npm(name), "1.0.0")) for name in ("JSONStream", "jsonstream")))
    names = {node["purl"]: node["name"] for node in (await read.nodes("NPMPackage")).values()}
    assert names == {"pkg:npm/jsonstream": "jsonstream", "pkg:npm/JSONStream": "JSONStream"}


async def test_duplicates_in_an_old_graph_are_a_warning_and_leave_it_usable(
    bare_graph: Graph, read: CypherRunner
) -> None:
    await read("MATCH (n:NPMPackage) DETACH DELETE n")
    for statement in (
        "DROP CONSTRAINT npmpackage_name_unique IF EXISTS",
        "DROP INDEX npmpackage_name_lookup IF EXISTS",
    ):
        await read(statement)
    await read("UNWIND [1, 2] AS n CREATE (p:NPMPackage {name: 'left'})-[:HAVE]->(:Version {name: '1.0.0'})")
    with structlog.testing.capture_logs() as logs:
        await bare_graph.ensure_schema([NPM])
    [warning] = [entry for entry in logs if entry["event"] == "constraint_not_created"]
    assert (warning["label"], warning["property"]) == ("NPMPackage", "name")
    await bare_graph.write([write(npm("left"), "1.0.0")])
    assert [node.get("purl") for node in (await read.nodes("NPMPackage")).values()].count("pkg:npm/left") == 1
    await read("MATCH (n:NPMPackage) DETACH DELETE n")
    await read("DROP INDEX npmpackage_name_lookup IF EXISTS")


async def test_a_name_is_given_up_before_another_package_that_is_there_takes_it(
    graph: Graph, read: CypherRunner
) -> None:
    """Names are unique at every moment of a transaction, however few rows are written at once."""
    pairs = [(f"tool{number}", f"Tool{number}") for number in range(60)]
    await read(
        "UNWIND $pairs AS pair"
        " CREATE (:NPMPackage {purl: 'pkg:npm/' + pair[0], name: pair[0] + '-old', registry_name: pair[0]})"
        " CREATE (:NPMPackage {purl: 'pkg:npm/' + pair[1], name: pair[0], registry_name: pair[1]})",
        pairs=pairs,
    )
    await graph.write([write(npm(lower), "1.0.0") for lower, _ in pairs])
    names = {node["purl"]: node["name"] for node in (await read.nodes("NPMPackage")).values()}
    assert names == {f"pkg:npm/{name}": name for pair in pairs for name in pair}
