"""A package too big for one transaction is written in portions: the graph is the same in the end, and a good one all
the way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from securechain_ingest.errors import Malformed, StoreAway, StoreError
from securechain_ingest.graph.batch import GraphBatcher
from securechain_ingest.graph.connection import Connection
from securechain_ingest.graph.portions import is_big
from securechain_ingest.graph.ranking import ordered
from securechain_ingest.graph.store import Graph
from securechain_ingest.model import PackageWrite, Parent, Rating, Version, WriteResult
from securechain_ingest.registries import DECLARATIONS
from securechain_ingest.settings import GraphSettings
from tests.graph.builders import MONDAY, PYPI, link, pypi, version, write
from tests.graph.conftest import DAY_S, CypherRunner
from tests.stores import GraphTarget, empty_graph
from tests.waiting import PATIENCE_S

GIANT = pypi("giant")


@pytest.fixture
async def portions(graph: Graph, graph_target: GraphTarget) -> AsyncIterator[Graph]:
    """Yield a graph whose portions are of 20 rows."""
    settings_ = GraphSettings(
        database=graph_target.database, batch_rows=100, portion_rows=20, query_timeout_s=PATIENCE_S
    )
    async with Graph.connect(
        graph_target.uri, graph_target.user, graph_target.password, settings_, absent_retry_s=DAY_S
    ) as other:
        yield other


def releases(*numbers: int, also: tuple[str, ...] = ()) -> list[Version]:
    """Return versions with requirements on a package that is there, one that is not, and one that only some have."""
    made = []
    for number in numbers:
        needs = {pypi("six"): f">={number}", pypi("absent"): "any"}
        if number % 3 == 0:
            needs[pypi("third")] = "any"
        made.append(version(GIANT, f"1.{number}", needs, yanked=number % 7 == 0))
    return made + [version(GIANT, name) for name in also]


def giant(*versions: Version, **changes: Any) -> PackageWrite:
    ratings = {each.name: Rating(5.0, 5.0, ("GHSA-1",)) for each in versions if each.name.endswith("4")}
    return write(GIANT, *versions, ratings=ratings, properties={"license": "MIT"}, **changes)


async def contents(read: CypherRunner) -> dict[str, Any]:
    """Return all that the graph holds, without ids and without the marks of writers."""
    nodes = await read("MATCH (n) RETURN labels(n) AS labels, properties(n) AS properties")
    edges = await read(
        "MATCH (a)-[r]->(b) RETURN coalesce(a.purl, a.name) AS a, type(r) AS type, properties(r) AS properties,"
        " coalesce(b.purl, b.name) AS b"
    )
    for row in nodes:
        for mark in ("queued_at", "settled"):
            row["properties"].pop(mark, None)
    for row in (*nodes, *edges):
        row["properties"] = sorted(row["properties"].items())
    return {"nodes": sorted(map(str, nodes)), "edges": sorted(map(str, edges))}


async def assert_promises(read: CypherRunner) -> None:
    """Assert what contract section 1.2 promises of every version, at any moment."""
    rows = await read(
        "MATCH (p:PyPIPackage) OPTIONAL MATCH (p)-[:HAVE]->(v:Version)"
        " RETURN p.purl AS purl, properties(p) AS package, collect(properties(v)) AS versions"
    )
    for row in rows:
        assert row["versions"], f"{row['purl']} stands without a version"
        assert {"name", "purl", "vendor", "repository_url", "moment", "import_names"} <= set(row["package"])
        numbers = sorted(each["serial_number"] for each in row["versions"] if each["serial_number"] >= 0)
        assert numbers == list(range(len(numbers))), f"serial numbers of {row['purl']}"
        keyed = sorted((each["serial_number"], PYPI.version_key(each["name"])) for each in row["versions"]
                       if each["serial_number"] >= 0)  # fmt: skip
        assert [key for _, key in keyed] == sorted(key for _, key in keyed), "the order of the serial numbers"
        assert all({"mean", "weighted_mean", "vulnerabilities"} <= set(each) for each in row["versions"])


FIRST = releases(*range(60), also=("not a version", "nor this"))


async def test_a_package_written_in_portions_is_the_one_written_at_once(
    graph: Graph, portions: Graph, graph_target: GraphTarget, read: CypherRunner
) -> None:
    [file] = await read("CREATE (f:RequirementFile {name: 'requirements.txt'}) RETURN elementId(f) AS id")
    parents = (Parent(file["id"], "== 1.0"), Parent("gone", "any"))
    await graph.write([write(pypi("six"), "1.0")])
    [at_once] = await graph.write([giant(*FIRST, parents=parents)])
    expected = await contents(read)
    empty_graph(graph_target)
    [file] = await read("CREATE (f:RequirementFile {name: 'requirements.txt'}) RETURN elementId(f) AS id")
    parents = (Parent(file["id"], "== 1.0"), Parent("gone", "any"))
    await graph.write([write(pypi("six"), "1.0")])
    in_portions = await portions.write_in_portions(giant(*FIRST, parents=parents))
    found = await contents(read)
    assert [each for each in found["nodes"] if "RequirementFile" not in each] == [
        each for each in expected["nodes"] if "RequirementFile" not in each
    ]
    assert found["edges"] == expected["edges"]
    assert in_portions == at_once
    assert {ref.name for ref in in_portions.to_queue} == {"absent", "third"}
    await assert_promises(read)


SECOND = {
    "nothing": FIRST,
    "a later version": [*FIRST, *releases(60)],
    "versions between": [*FIRST, *(version(GIANT, f"1.{n}.post1") for n in range(0, 60, 5))],
    "an earlier version": [version(GIANT, "0.1"), *FIRST],
    "fewer versions": FIRST[::2],
    "other requirements": [version(GIANT, each.name, {pypi("absent"): "<2"}) for each in FIRST],
    "requirements not asked again": [replace(each, requirements=None) for each in FIRST],
}


@pytest.mark.parametrize("change", SECOND)
async def test_a_change_written_in_portions_gives_the_graph_of_one_written_at_once(
    change: str, graph: Graph, portions: Graph, graph_target: GraphTarget, read: CypherRunner
) -> None:
    second = giant(*SECOND[change])
    await graph.write([write(pypi("six"), "1.0")])
    await graph.write([giant(*FIRST)])
    await graph.write([second])
    expected = await contents(read)
    empty_graph(graph_target)
    await graph.write([write(pypi("six"), "1.0")])
    await graph.write([giant(*FIRST)])
    await portions.write_in_portions(second)
    assert await contents(read) == expected
    await assert_promises(read)


class CutConnection:
    """This is a connection that is cut when so many transactions are committed."""

    def __init__(self, connection: Connection, transactions: int) -> None:
        self._connection = connection
        self._left = transactions
        self.dialect = connection.dialect

    async def transaction(self, work: Any) -> Any:
        if self._left == 0:
            raise StoreAway("cut")
        self._left -= 1
        return await self._connection.transaction(work)


def cut_graph(graph: Graph, transactions: int) -> Graph:
    """Return the same graph over such a connection."""
    cut: Any = CutConnection(graph._connection, transactions)
    return Graph(cut, graph._settings, absent_retry_s=DAY_S, queued_retry_s=7 * DAY_S)


@pytest.mark.parametrize("before", [(), FIRST[:20], FIRST[::4]], ids=["new", "known", "known in parts"])
async def test_a_write_that_is_broken_off_anywhere_keeps_the_contract_and_the_next_one_completes_it(
    before: list[Version], graph: Graph, portions: Graph, graph_target: GraphTarget, read: CypherRunner
) -> None:
    whole = giant(*FIRST, *(version(GIANT, f"1.{n}.post1") for n in range(0, 60, 5)))
    if before:
        await graph.write([giant(*before)])
    cuts = 0
    for transactions in range(1, 30):
        try:
            await cut_graph(portions, transactions).write_in_portions(whole)
        except StoreAway:
            cuts += 1
        else:
            break
        await assert_promises(read)
        known = (await portions.known([GIANT])).get(GIANT.purl)
        assert (known is None) == (not before), "what is new is known when all of it is there"
        assert known is None or known.validator is None, "the next visit gets the whole document"
    assert cuts > 5
    [repeated] = await portions.link([link(GIANT, repeat_follow=True)])
    assert {ref.name for ref in repeated.to_queue} == {"absent", "six", "third"}
    found = await contents(read)
    empty_graph(graph_target)
    if before:
        await graph.write([giant(*before)])
    await graph.write([whole])
    assert found == await contents(read)
    assert (await portions.known([GIANT]))[GIANT.purl].validator == '"etag"'


async def test_a_write_that_is_cancelled_in_a_transaction_is_completed_by_the_next(
    portions: Graph, graph: Graph, graph_target: GraphTarget, read: CypherRunner
) -> None:
    whole = giant(*FIRST)
    for wait_s in (0.0, 0.02, 0.1, 0.3):
        # It opens a connection, so that the transaction has one: the driver does not close the socket of an opening
        # that is cancelled, but leaves that to the garbage collector, which warns.
        await portions.known([GIANT])
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await portions.write_in_portions(whole)
        await assert_promises(read)
    await portions.write_in_portions(whole)
    found = await contents(read)
    empty_graph(graph_target)
    await graph.write([whole])
    assert found == await contents(read)


async def test_a_write_that_another_one_overtakes_gives_up_for_a_later_try(
    portions: Graph, graph: Graph, read: CypherRunner
) -> None:
    class Overtaken(CutConnection):
        async def transaction(self, work: Any) -> Any:
            self._left -= 1
            if self._left == 0:
                await graph.write([giant(*FIRST[:5])])
            return await self._connection.transaction(work)

    overtaken: Any = Overtaken(portions._connection, 4)
    with pytest.raises(StoreError, match="written by another one") as caught:
        await Graph(overtaken, portions._settings, absent_retry_s=DAY_S, queued_retry_s=7 * DAY_S).write_in_portions(
            giant(*FIRST)
        )
    assert caught.value.transient
    await assert_promises(read)
    await portions.write_in_portions(giant(*FIRST))
    assert len(await read.nodes("Version")) == len(FIRST)


async def test_a_writer_waits_for_another_process_that_is_at_it_and_for_no_longer_than_its_mark_is_fresh(
    graph: Graph, portions: Graph, read: CypherRunner
) -> None:
    await graph.write([giant(*FIRST[:5])])
    await read(
        "MATCH (p:PyPIPackage) SET p.writing = $mark", mark=f"other-process {MONDAY.replace(year=9000).isoformat()}"
    )
    waiting = asyncio.create_task(portions.write_in_portions(giant(*FIRST)))
    await asyncio.sleep(0.5)
    assert len(await read.nodes("Version")) == 5
    await read("MATCH (p:PyPIPackage) SET p.writing = $mark", mark=f"other-process {MONDAY.isoformat()}")
    await waiting
    [node] = (await read.nodes("PyPIPackage")).values()
    assert "writing" not in node


async def test_a_big_package_does_not_hold_up_the_others(
    graph_target: GraphTarget, graph: Graph, read: CypherRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    del graph
    settings_ = GraphSettings(database=graph_target.database, portion_rows=20, writers=1, query_timeout_s=PATIENCE_S)
    async with (
        Graph.connect(
            graph_target.uri, graph_target.user, graph_target.password, settings_, absent_retry_s=DAY_S
        ) as connected,
        GraphBatcher(connected, settings_) as batcher,
    ):
        under_way, may_go_on = asyncio.Event(), asyncio.Event()
        in_portions = connected.write_in_portions

        async def held_up(each: PackageWrite) -> WriteResult:
            under_way.set()
            await may_go_on.wait()
            return await in_portions(each)

        monkeypatch.setattr(connected, "write_in_portions", held_up)
        big = asyncio.create_task(batcher.write(giant(*FIRST)))
        await under_way.wait()
        await batcher.write(write(pypi("small"), "1.0"))
        assert not big.done()
        may_go_on.set()
        await big
    assert len(await read.nodes("Version")) == len(FIRST) + 1


async def test_a_package_without_versions_is_malformed(portions: Graph) -> None:
    with pytest.raises(Malformed):
        await portions.write_in_portions(write(GIANT))


async def test_a_package_of_more_versions_than_one_list_holds_is_known_with_all_of_them(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    await graph.write([giant(*FIRST), write(pypi("six"), "1.0")])
    monkeypatch.setattr("securechain_ingest.graph.store._LISTED_VERSIONS", 10)
    known = await graph.known([GIANT, pypi("six")])
    assert known[GIANT.purl].versions == {each.name for each in FIRST}
    assert known["pkg:pypi/six"].versions == {"1.0"}


def test_what_counts_for_the_size_of_a_package_is_its_rows_and_what_the_graph_has() -> None:
    small = write(GIANT, "1.0", "2.0")
    assert not is_big(small, 2)
    assert is_big(small, 1)
    assert is_big(write(GIANT, version(GIANT, "1.0", {pypi("six"): "any", pypi("attrs"): "any"})), 2)
    assert is_big(write(GIANT, "1.0", ratings=dict.fromkeys("abc", Rating())), 2)


NAMES = st.lists(
    st.one_of(
        st.from_regex(r"[0-9]{1,2}(\.[0-9]{1,2}){0,2}((a|rc|\.post|-)[0-9])?", fullmatch=True), st.text(max_size=4)
    ),
    max_size=300,
    unique=True,
)


@pytest.mark.parametrize("registry", DECLARATIONS, ids=lambda registry: registry.ecosystem.name)
@given(names=NAMES)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_order_of_many_versions_is_that_of_their_serial_numbers(registry: Any, names: list[str]) -> None:
    ascending, unordered = asyncio.run(ordered(registry.ecosystem, names))
    ranks = registry.ecosystem.rank(names)
    assert {name: ranks[name] for name in ascending} == {name: serial for serial, name in enumerate(ascending)}
    assert {name for name, serial in ranks.items() if serial == -1} == set(unordered)
