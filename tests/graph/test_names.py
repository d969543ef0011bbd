"""This tests which packages of a list of names the graph has."""

from __future__ import annotations

from dataclasses import replace

import pytest
from neo4j import GraphDatabase

from securechain_ingest.graph import names
from securechain_ingest.graph.store import Graph
from securechain_ingest.model import ImportNames
from securechain_ingest.registries import ECOSYSTEMS
from tests.graph.builders import MONDAY, PYPI, npm, pypi, version, write
from tests.stores import GraphTarget
from tests.waiting import until


async def test_the_graph_is_asked_once_for_thousands_of_names(graph: Graph) -> None:
    writes = [write(pypi(name), "1.0") for name in ("a", "c")]
    await graph.write([replace(each, package=replace(each.package, revision="7")) for each in writes])
    await graph.write([write(pypi("d"), version(pypi("d"), "1.0", {pypi("late"): "any", pypi("soon"): "any"}))])
    await graph.mark_absent(pypi("c"), MONDAY, "gone", removed=True)
    await graph.mark_absent(pypi("late"), MONDAY, "not there yet", removed=False)

    states = await graph.names.states(PYPI, [f"pkg:pypi/{name}" for name in ("a", "b", "c", "d", "late", "soon")])

    assert {
        purl: (state.is_complete, state.revision, state.is_removed, state.is_awaited) for purl, state in states.items()
    } == {
        "pkg:pypi/a": (True, "7", False, False),
        "pkg:pypi/c": (True, "7", True, False),
        "pkg:pypi/d": (True, None, False, False),
        "pkg:pypi/late": (False, None, False, True),
    }


async def test_the_packages_are_walked_by_purl_a_page_at_a_time(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    writes = [write(pypi(name), "1.0") for name in ("a", "c", "d", "e")]
    await graph.write([replace(each, package=replace(each.package, revision="7")) for each in writes])
    await graph.write([write(npm("b"), "1.0")])
    await graph.mark_absent(pypi("c"), MONDAY, "gone", removed=True)
    await graph._connection.change("MATCH (p:PyPIPackage {name: 'd'}) SET p.format = null RETURN count(p) AS count")
    monkeypatch.setattr(names, "NAMES_A_QUERY", 3)

    walked = [[tuple(package) for package in page] async for page in graph.names.walk(PYPI)]

    assert walked == [
        [("pkg:pypi/a", True, "7", False), ("pkg:pypi/c", True, "7", True), ("pkg:pypi/d", False, "7", False)],
        [("pkg:pypi/e", True, "7", False)],
    ]
    known = [[(each.purl, each.name, each.is_removed) for each in page] async for page in graph.names.known(PYPI)]
    assert known == [
        [("pkg:pypi/a", "a", False), ("pkg:pypi/c", "c", True), ("pkg:pypi/d", "d", False)],
        [("pkg:pypi/e", "e", False)],
    ]
    assert await graph.names.count(PYPI) == 4


async def test_the_awaited_packages_of_one_ecosystem_are_walked(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    needs = {pypi(name): "any" for name in ("x", "y", "z")}
    await graph.write([write(pypi("a"), version(pypi("a"), "1.0", needs))])
    await graph.write([write(npm("a"), version(npm("a"), "1.0", {npm("other"): "any"}))])
    monkeypatch.setattr(names, "NAMES_A_QUERY", 2)

    walked = [list(page) async for page in graph.names.walk_awaited(PYPI)]

    assert walked == [["pkg:pypi/x", "pkg:pypi/y"], ["pkg:pypi/z"]]


async def test_packages_that_offer_an_import_are_found_by_its_exact_name(graph: Graph) -> None:
    for ref, offered in (
        (pypi("left"), ("left", "left.api")),
        (pypi("other"), ("other.left",)),
        (npm("left"), ("left/api",)),
    ):
        await graph.write([write(ref, "1.0", names=ImportNames(offered))])
    ecosystems = [pypi("left").ecosystem, npm("left").ecosystem]

    async def offering(name: str) -> list[str]:
        # Neo4j's index follows the writes in a moment.
        found: list[str] = await until(lambda: graph.reader.offering(ecosystems, name), f"who offers {name}")
        return found

    assert await offering("left.api") == ["pkg:pypi/left"]
    assert await offering("left/api") == ["pkg:npm/left"]
    for name in ("Left.api", "left.", "left*", 'le"ft', "a OR left", ""):
        assert await graph.reader.offering(ecosystems, name) == []
    await graph.write([write(pypi("left"), "1.0", names=ImportNames(("left", "left.new")))])
    assert await offering("left.new") == ["pkg:pypi/left"]
    assert await graph.reader.offering(ecosystems, "left.api") == []


async def test_the_local_server_finds_an_import_by_an_index(arcadedb_server: GraphTarget) -> None:
    with (
        GraphDatabase.driver(arcadedb_server.uri, auth=(arcadedb_server.user, arcadedb_server.password)) as driver,
        driver.session(database=arcadedb_server.database) as session,
    ):
        indexed = {row["labelsOrTypes"][0] for row in session.run("SHOW INDEXES") if row["type"] == "FULLTEXT"}
    assert indexed == {ecosystem.label for ecosystem in ECOSYSTEMS}
