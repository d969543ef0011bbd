"""This tests which packages of a list of names the graph has."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from neo4j import GraphDatabase

from securechain_ingest.graph.store import Graph
from securechain_ingest.model import ImportNames
from securechain_ingest.registries import ECOSYSTEMS
from tests.graph.builders import MONDAY, PYPI, npm, pypi, version, write
from tests.stores import GraphTarget


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


async def test_the_known_packages_are_walked_by_purl(graph: Graph) -> None:
    await graph.write([write(pypi(name), "1.0") for name in ("a", "c", "d")])

    assert [known.purl for known in await graph.names.page(PYPI, "pkg:pypi/a")] == ["pkg:pypi/c", "pkg:pypi/d"]
    assert await graph.names.page(PYPI, "pkg:pypi/d") == []
    assert await graph.names.count(PYPI) == 3


async def test_packages_that_offer_an_import_are_found_by_its_exact_name(graph: Graph) -> None:
    for ref, names in (
        (pypi("left"), ("left", "left.api")),
        (pypi("other"), ("other.left",)),
        (npm("left"), ("left/api",)),
    ):
        await graph.write([write(ref, "1.0", names=ImportNames(names))])
    ecosystems = [pypi("left").ecosystem, npm("left").ecosystem]

    async def offering(name: str) -> list[str]:
        # Neo4j's index follows the writes in a moment.
        for _ in range(100):
            if found := await graph.reader.offering(ecosystems, name):
                return found
            await asyncio.sleep(0.05)
        return []

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
