"""This tests a package for which more requirements wait than one transaction takes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from securechain_ingest.errors import StoreAway
from securechain_ingest.graph.batch import GraphBatcher
from securechain_ingest.graph.connection import Connection
from securechain_ingest.graph.store import Graph
from securechain_ingest.settings import GraphSettings
from tests.graph.builders import link, pypi, version, write
from tests.graph.conftest import CypherRunner

SIX = pypi("six")
APPS = [pypi(f"app-{number}") for number in range(23)]
ALL = {f"{app.purl}@1.0": (">= 1", app.purl) for app in APPS}


@pytest.fixture(autouse=True)
def portions_of_five(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("transactions", "store"):
        monkeypatch.setattr(f"securechain_ingest.graph.{module}.RESOLVED_AT_ONCE", 5)


@pytest.fixture
async def awaiting(graph: Graph) -> Graph:
    """Return a graph in which 23 versions wait for a package."""
    await graph.write([write(app, version(app, "1.0", {SIX: ">= 1"})) for app in APPS])
    return graph


async def resolved(read: CypherRunner) -> dict[str, tuple[str, str]]:
    """Return who requires the package by an edge; fails on two edges of one version."""
    rows = await read(
        "MATCH (v:Version)-[r:REQUIRE]->(:PyPIPackage {purl: $purl}) "
        "RETURN v.purl AS purl, r.constraints AS constraints, r.parent_version_name AS parent",
        purl=SIX.purl,
    )
    assert len({row["purl"] for row in rows}) == len(rows)
    return {row["purl"]: (row["constraints"], row["parent"]) for row in rows}


async def awaited(read: CypherRunner) -> dict[str, tuple[str, str]]:
    """Return who waits for it still, as what edge that is to be."""
    return {version: (text, version.partition("@")[0]) for _, version, text in await read.awaited()}


async def test_the_transaction_that_writes_a_popular_package_takes_a_portion_of_what_waits(
    awaiting: Graph, read: CypherRunner
) -> None:
    [result] = await awaiting.write([write(SIX, "1.0")])
    assert result.is_awaited_still
    edges, waits = await resolved(read), await awaited(read)
    assert (len(edges), len(waits)) == (5, 18)
    assert edges | waits == ALL
    assert SIX.purl in await awaiting.known([SIX]), "clients find it while the rest waits"


async def test_packages_of_one_transaction_share_its_portion(graph: Graph, read: CypherRunner) -> None:
    others = [pypi("one"), pypi("two"), pypi("three")]
    await graph.write([write(app, version(app, "1.0", dict.fromkeys(others, "any"))) for app in APPS[:3]])
    results = await graph.write([write(other, "1.0") for other in others])
    [row] = await read("MATCH (:Version)-[r:REQUIRE]->() RETURN count(r) AS edges")
    assert row["edges"] == 5
    for result in results:
        if result.is_awaited_still:
            await graph.resolve(next(other for other in others if other.purl == result.purl))
    [row] = await read("MATCH (:Version)-[r:REQUIRE]->() RETURN count(r) AS edges")
    assert row["edges"] == 9
    assert await read.nodes("AbsentPackage") == {}


@pytest.mark.parametrize("asks", ["write", "link"])
async def test_whoever_waits_for_a_popular_package_gets_it_when_nothing_waits_for_it_any_more(
    awaiting: Graph, read: CypherRunner, asks: str
) -> None:
    if asks == "link":
        await awaiting.write([write(SIX, "1.0")])
    async with GraphBatcher(awaiting, GraphSettings(writers=1)) as batcher:
        result = await (batcher.write(write(SIX, "1.0")) if asks == "write" else batcher.link(link(SIX)))
        assert not result.is_awaited_still
        assert await resolved(read) == ALL
        assert await read.nodes("AbsentPackage") == {}


@pytest.mark.parametrize("portions", [0, 1, 3])
async def test_what_is_broken_off_between_two_portions_loses_nothing_and_is_gone_on_with(
    awaiting: Graph, read: CypherRunner, monkeypatch: pytest.MonkeyPatch, portions: int
) -> None:
    change = Connection.change
    done = 0

    async def dying(self: Connection, cypher: str, parameters: Any = None) -> Any:
        nonlocal done
        if done == portions:
            raise StoreAway("killed")
        done += 1
        return await change(self, cypher, parameters)

    async with GraphBatcher(awaiting, GraphSettings()) as batcher:
        with monkeypatch.context() as killed:
            killed.setattr(Connection, "change", dying)
            with pytest.raises(StoreAway):
                await batcher.write(write(SIX, "1.0"))
        edges, waits = await resolved(read), await awaited(read)
        assert len(edges) == 5 * (1 + portions)
        assert edges | waits == ALL
        assert not edges.keys() & waits.keys()

        await batcher.link(link(SIX))

    assert await resolved(read) == ALL
    assert await read.nodes("AbsentPackage") == {}


async def test_other_packages_are_written_while_a_popular_one_is_resolved(awaiting: Graph, read: CypherRunner) -> None:
    async with GraphBatcher(awaiting, GraphSettings(writers=1)) as batcher:
        popular = asyncio.create_task(batcher.write(write(SIX, "1.0")))
        await asyncio.gather(*(batcher.write(write(pypi(f"other-{number}"), "1.0")) for number in range(3)))
        await popular
    assert await resolved(read) == ALL
    assert len(await read.nodes("PyPIPackage")) == len(APPS) + 4


async def test_who_requires_a_package_that_is_being_resolved_gets_its_edge_at_once(
    awaiting: Graph, read: CypherRunner
) -> None:
    await awaiting.write([write(SIX, "1.0")])
    waits = len(await awaited(read))
    late = pypi("late")
    [result] = await awaiting.write([write(late, version(late, "1.0", {SIX: "< 2"}))])
    assert result.to_queue == ()
    assert await read.edges("pkg:pypi/late@1.0") == {SIX.purl: ("< 2", late.purl)}
    assert len(await awaited(read)) == waits


async def test_constraints_that_change_while_the_rest_waits_are_not_taken_back(
    awaiting: Graph, read: CypherRunner
) -> None:
    await awaiting.write([write(SIX, "1.0")])
    purl = min(await awaited(read))
    app = next(app for app in APPS if purl == f"{app.purl}@1.0")
    await awaiting.write([write(app, version(app, "1.0", {SIX: ">= 2"}))])
    assert purl not in await awaited(read)
    await awaiting.resolve(SIX)
    assert await resolved(read) == ALL | {purl: (">= 2", app.purl)}


async def test_a_waiting_version_that_no_package_has_does_not_keep_the_others_waiting(
    awaiting: Graph, read: CypherRunner
) -> None:
    await read(
        "MATCH (a:AbsentPackage) UNWIND range(1, 6) AS number "
        "CREATE (a)-[:AWAITED_BY {constraints: 'any'}]->(:Version {name: 'lost', purl: 'pkg:pypi/lost@' + number})"
    )
    async with GraphBatcher(awaiting, GraphSettings()) as batcher:
        await batcher.write(write(SIX, "1.0"))
    assert await resolved(read) == ALL
    assert await read.nodes("AbsentPackage") == {}


async def test_two_who_resolve_one_package_at_once_make_each_edge_once(awaiting: Graph, read: CypherRunner) -> None:
    await awaiting.write([write(SIX, "1.0")])
    await asyncio.gather(awaiting.resolve(SIX), awaiting.resolve(SIX), awaiting.link([link(SIX)]))
    assert await resolved(read) == ALL
    assert await read.nodes("AbsentPackage") == {}
