"""This tests versions that a transaction creates: their edges are not looked for before they are made, yet none is
doubled.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from securechain_ingest.graph.store import Graph
from tests.graph.builders import pypi, version, write
from tests.graph.conftest import CypherRunner

APP, SIX, ABSENT = pypi("app"), pypi("six"), pypi("absent")
NEEDS = {SIX: ">= 1", ABSENT: ">= 2"}


async def expect_one_edge_each(read: CypherRunner) -> None:
    assert await read.edges("pkg:pypi/app@1.0") == {"pkg:pypi/six": (">= 1", "pkg:pypi/app")}
    assert await read.awaited() == [("pkg:pypi/absent", "pkg:pypi/app@1.0", ">= 2")]
    assert len(await read("MATCH (:PyPIPackage {name: 'app'})-[:HAVE]->(v) RETURN v")) == 1


async def test_writers_of_one_new_package_leave_one_edge_for_each_requirement(graph: Graph, read: CypherRunner) -> None:
    await graph.write([write(SIX, "1.0")])
    await asyncio.gather(*(graph.write([write(APP, version(APP, "1.0", NEEDS))]) for _ in range(8)))
    await expect_one_edge_each(read)


async def test_writers_of_one_new_version_leave_one_edge_for_each_requirement(graph: Graph, read: CypherRunner) -> None:
    await graph.write([write(SIX, "1.0"), write(APP, "0.9")])
    both = write(APP, "0.9", version(APP, "1.0", NEEDS))
    await asyncio.gather(*(graph.write([both]) for _ in range(8)))
    assert await read.edges("pkg:pypi/app@1.0") == {"pkg:pypi/six": (">= 1", "pkg:pypi/app")}
    assert await read.awaited() == [("pkg:pypi/absent", "pkg:pypi/app@1.0", ">= 2")]
    assert len(await read("MATCH (:PyPIPackage {name: 'app'})-[:HAVE]->(v) RETURN v")) == 2


@pytest.mark.parametrize("round_number", range(5))
async def test_a_new_version_and_its_requirement_that_come_at_once_get_one_edge(
    graph: Graph, read: CypherRunner, round_number: int
) -> None:
    needs = {pypi(f"target-{number}"): "any" for number in range(6)}
    await asyncio.gather(
        graph.write([write(APP, version(APP, "1.0", needs))]),
        *(graph.write([write(target, "1.0")]) for target in needs),
    )
    assert await read.edges("pkg:pypi/app@1.0") == {target.purl: ("any", "pkg:pypi/app") for target in needs}
    assert await read.awaited() == []
    assert await read.nodes("AbsentPackage") == {}


STRAY = """
MATCH (six:PyPIPackage {name: 'six'})
CREATE (v:Version {name: '1.0', purl: 'pkg:pypi/app@1.0'})
CREATE (v)-[:REQUIRE {constraints: '< 1'}]->(six)
CREATE (:AbsentPackage {purl: 'pkg:pypi/absent'})-[:AWAITED_BY {constraints: '< 2'}]->(v)
RETURN elementId(v) AS id
"""


async def test_a_version_that_an_older_graph_has_apart_from_its_package_is_taken_up(
    graph: Graph, read: CypherRunner
) -> None:
    await graph.write([write(SIX, "1.0")])
    [stray] = await read(STRAY)
    for _ in range(2):
        await graph.write([write(APP, version(APP, "1.0", NEEDS))])
        await expect_one_edge_each(read)
    assert stray["id"] in await read.nodes("Version")


async def test_unknown_requirements_leave_those_of_a_version_apart_from_its_package(
    graph: Graph, read: CypherRunner
) -> None:
    await graph.write([write(SIX, "1.0")])
    await read(STRAY)
    await graph.write([write(APP, version(APP, "1.0", unknown=True))])
    assert set(await read.edges("pkg:pypi/app@1.0")) == {"pkg:pypi/six"}
    assert await read.awaited() == [("pkg:pypi/absent", "pkg:pypi/app@1.0", "< 2")]


async def test_two_names_with_one_purl_share_a_version_and_its_edges(graph: Graph, read: CypherRunner) -> None:
    await graph.write([write(SIX, "1.0")])
    twice = [version(APP, "1.0", NEEDS), replace(version(APP, "1.0.0", NEEDS), purl="pkg:pypi/app@1.0")]
    await graph.write([write(APP, *twice)])
    await expect_one_edge_each(read)


async def test_new_and_held_versions_of_one_package_share_a_target(graph: Graph, read: CypherRunner) -> None:
    await graph.write([write(SIX, "1.0"), write(APP, version(APP, "1.0", {SIX: "any"}))])
    await graph.write([write(APP, version(APP, "1.0", NEEDS), version(APP, "2.0", NEEDS))])
    for name in ("1.0", "2.0"):
        assert await read.edges(f"pkg:pypi/app@{name}") == {"pkg:pypi/six": (">= 1", "pkg:pypi/app")}
    assert [v for _, v, _ in await read.awaited()] == ["pkg:pypi/app@1.0", "pkg:pypi/app@2.0"]
