"""This tests what a first reading leaves for later, what no lane had room for, and how both are found again."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from neo4j import AsyncGraphDatabase

from securechain_ingest.graph.dialect import NEO4J
from securechain_ingest.graph.pending import LEFT_OUT, due_text, lost_text
from securechain_ingest.graph.store import Graph
from securechain_ingest.model import KnownPackage, LeftOut, PackageRef, PackageWrite
from securechain_ingest.settings import GraphSettings
from tests.graph.builders import MONDAY, NPM, PYPI, link, npm, pypi, version, write
from tests.graph.conftest import CypherRunner
from tests.stores import GraphTarget, empty_graph
from tests.waiting import PATIENCE_S, until

ONE = frozenset({"1.0"})
DAY = timedelta(days=1)
WHOLE, FIRST = LeftOut(None, first=False), LeftOut(3, first=True)


def first_reading(ref: PackageRef, *, leave_out: LeftOut | None = None) -> PackageWrite:
    """Return the newest of two versions, and no archive."""
    older, newer = (
        version(ref, "1.0", unknown=True, requirements_pending=True),
        version(ref, "2.0", {pypi("lib"): "any"}),
    )
    return write(ref, older, newer, archive_pending=True, follow=leave_out is None, leave_out=leave_out)


async def known(graph: Graph, ref: PackageRef) -> KnownPackage:
    return (await graph.known([ref]))[ref.purl]


async def due(graph: Graph, *, days: float = 0, limit: int = 10) -> list[str]:
    return [each.name for each in await graph.pending.due(PYPI, MONDAY + days * DAY, limit)]


async def test_a_first_reading_is_known_as_pending_until_the_rest_is_written(graph: Graph, read: CypherRunner) -> None:
    six = pypi("six")
    await graph.write([first_reading(six)])
    found = await known(graph, six)
    assert (found.pending, found.read_versions, found.archive_pending) == (ONE, frozenset({"2.0"}), True)
    assert found.is_pending
    versions = {node["name"]: node for node in (await read.nodes("Version")).values()}
    assert {name: node.get("requirements_pending") for name, node in versions.items()} == {"1.0": True, "2.0": None}
    assert await due(graph) == ["six"]

    await graph.write([write(six, version(six, "1.0", {pypi("old"): "any"}), version(six, "2.0", unknown=True))])
    found = await known(graph, six)
    assert (found.is_pending, sorted(found.versions)) == (False, ["1.0", "2.0"])
    assert await due(graph, days=9) == []
    assert await read.awaited() == [
        ("pkg:pypi/lib", "pkg:pypi/six@2.0", "any"),
        ("pkg:pypi/old", "pkg:pypi/six@1.0", "any"),
    ]


async def test_what_a_later_document_lacks_stays_pending_until_it_is_gone(graph: Graph) -> None:
    six = pypi("six")
    await graph.write([first_reading(six)])
    await graph.write([write(six, "2.0")])
    assert ((await known(graph, six)).pending, await due(graph)) == (ONE, []), "it is not asked for at once"
    assert await due(graph, days=1) == ["six"]
    await graph.write([write(six, "2.0", gone=["1.0"])])
    assert ((await known(graph, six)).is_pending, await due(graph, days=9)) == (False, [])


async def test_a_big_package_is_pending_as_a_small_one_is(graph: Graph) -> None:
    six = pypi("six")
    await graph.write_in_portions(first_reading(six))
    assert ((await known(graph, six)).pending, await due(graph)) == (ONE, ["six"])
    await graph.write_in_portions(write(six, "1.0", "2.0"))
    assert ((await known(graph, six)).is_pending, await due(graph)) == (False, [])


async def test_the_most_required_of_a_page_comes_first_and_each_once_a_day(graph: Graph) -> None:
    for number, name in enumerate(("none", "three", "one")):
        await graph.write([replace(first_reading(pypi(name)), checked_at=MONDAY + timedelta(minutes=number))])
    for number in range(3):
        needs = {pypi("three"): "any"} | ({pypi("one"): "any"} if number == 0 else {})
        ref = pypi(f"app-{number}")
        await graph.write([write(ref, version(ref, "1.0", needs))])
    assert await due(graph) == ["none"], "the others were read later"
    assert await due(graph, days=0.5) == ["three", "one", "none"]
    assert await due(graph, days=0.5, limit=2) == ["three", "none"], "a page has those that have waited longest"

    now = MONDAY + 0.5 * DAY
    asked = await graph.pending.due(PYPI, now, 2)
    await graph.pending.ask_again_at([each.element_id for each in asked], now, now + DAY)
    assert await due(graph, days=0.6) == ["one"]
    assert await due(graph, days=1.5) == ["three", "one", "none"]
    assert await graph.pending.due(NPM, now + 9 * DAY, 10) == []


async def test_names_that_a_backfill_fills_in_leave_only_requirements_pending(graph: Graph) -> None:
    six, ten = pypi("six"), pypi("ten")
    await graph.write([first_reading(six), write(ten, "1.0", archive_pending=True)])
    gaps, _ = await graph.names_gaps(PYPI, older_than=PYPI.import_names_version + 1, after="", limit=10)
    names = write(six, "1.0").import_names
    assert names is not None
    await graph.fill_names(PYPI, [(gap, names) for gap in gaps])
    assert ((await known(graph, six)).archive_pending, (await known(graph, six)).is_pending) == (False, True)
    assert not (await known(graph, ten)).is_pending
    assert await due(graph) == ["six"]


async def test_what_a_lane_had_no_room_for_is_found_again_until_it_is_taken_up(
    graph: Graph, read: CypherRunner
) -> None:
    result = (await graph.write([first_reading(pypi("six"), leave_out=FIRST)]))[0]
    assert result.to_queue == ()
    [found] = await graph.pending.left_out(PYPI, 10)
    assert (found.purl, found.name, found.left_out) == ("pkg:pypi/lib", "lib", FIRST)
    assert await graph.pending.left_out(NPM, 10) == []

    await graph.pending.take_up([found.purl], MONDAY)
    assert await graph.pending.left_out(PYPI, 10) == []
    [absent] = (await read.nodes("AbsentPackage")).values()
    assert absent.get("queued_at") is not None


async def test_a_package_whose_message_has_ended_before_it_is_noted_as_queued_is_not_marked(
    graph: Graph, read: CypherRunner
) -> None:
    await graph.write([first_reading(pypi("six"), leave_out=FIRST)])
    [found] = await graph.pending.left_out(PYPI, 10)
    await graph.mark_absent(pypi("lib"), MONDAY, "there is no such package")
    await graph.pending.take_up([found.purl], MONDAY)
    [absent] = (await read.nodes("AbsentPackage")).values()
    assert absent.get("queued_at") is None


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (FIRST, WHOLE, WHOLE),
        (LeftOut(1, first=False), FIRST, LeftOut(3, first=False)),
        (LeftOut(4, first=True), FIRST, LeftOut(4, first=True)),
    ],
)
@pytest.mark.parametrize("is_turned", [False, True])
async def test_of_two_that_leave_a_package_out_the_one_that_asks_for_more_counts(
    graph: Graph, one: LeftOut, other: LeftOut, both: LeftOut, is_turned: bool
) -> None:
    for name, leave_out in (("six", other), ("ten", one)) if is_turned else (("six", one), ("ten", other)):
        await graph.write([first_reading(pypi(name), leave_out=leave_out)])
    assert [each.left_out for each in await graph.pending.left_out(PYPI, 10)] == [both]


async def test_whoever_asks_for_a_package_takes_it_from_what_was_left_out(graph: Graph) -> None:
    lib = pypi("lib")
    for number, asks in enumerate((True, False)):
        await graph.write([first_reading(pypi(f"app-{number}"), leave_out=WHOLE)])
        assert len(await graph.pending.left_out(PYPI, 10)) == 1
        if asks:
            assert (await graph.write([first_reading(pypi("other"))]))[0].to_queue == (lib,)
        else:
            await graph.mark_absent(lib, MONDAY, "there is no such package")
        assert await graph.pending.left_out(PYPI, 10) == []
        await graph.forget_queued([lib.purl])


async def test_the_most_awaited_of_a_page_comes_first(graph: Graph) -> None:
    for number in range(3):
        ref, needs = npm(f"app-{number}"), {npm("all"): "any"} | ({npm("some"): "any"} if number else {})
        await graph.write([write(ref, version(ref, "1.0.0", needs), follow=False, leave_out=WHOLE)])
    assert [each.name for each in await graph.pending.left_out(NPM, 10)] == ["all", "some"]
    assert len(await graph.pending.left_out(NPM, 1)) == 1


async def test_a_package_that_is_read_whole_while_it_is_asked_for_is_not_due_again(neo4j_server: GraphTarget) -> None:
    """ArcadeDB refuses the later of the two transactions, which is then repeated."""
    empty_graph(neo4j_server)
    uri, user, password = neo4j_server.uri, neo4j_server.user, neo4j_server.password
    settings = GraphSettings(query_timeout_s=PATIENCE_S)
    async with (
        Graph.connect(uri, user, password, settings, absent_retry_s=1) as graph,
        AsyncGraphDatabase.driver(uri, auth=(user, password)) as driver,
        driver.session() as session,
    ):
        await graph.ensure_schema([PYPI])
        await graph.write([first_reading(pypi("six"))])
        [asked] = await graph.pending.due(PYPI, MONDAY, 10)
        writing = await session.begin_transaction()
        await (await writing.run("MATCH (p:PyPIPackage {name: 'six'}) SET p.complete_at = null")).consume()

        async def is_blocked() -> bool:
            query = "SHOW TRANSACTIONS YIELD status WHERE status STARTS WITH 'Blocked' RETURN status"
            return bool((await driver.execute_query(query)).records)

        asking = asyncio.create_task(graph.pending.ask_again_at([asked.element_id], MONDAY, MONDAY + DAY))
        await until(is_blocked, "a transaction that waits for the write")
        await writing.commit()
        await asking
        assert await due(graph, days=9) == []


@pytest.mark.parametrize("is_now", [True, False])
async def test_a_package_that_the_registry_lacks_is_not_queued_by_who_waited_for_that_to_be_noted(
    neo4j_server: GraphTarget, is_now: bool
) -> None:
    """ArcadeDB refuses the later of the two transactions, which is then repeated."""
    empty_graph(neo4j_server)
    uri, user, password = neo4j_server.uri, neo4j_server.user, neo4j_server.password
    async with (
        Graph.connect(uri, user, password, GraphSettings(query_timeout_s=PATIENCE_S), absent_retry_s=9_999) as graph,
        AsyncGraphDatabase.driver(uri, auth=(user, password)) as driver,
        driver.session() as session,
    ):
        await graph.ensure_schema([PYPI])
        app = pypi("app")
        await graph.write([write(app, version(app, "1.0", {pypi("lib"): "any"}))])
        noting = await session.begin_transaction()
        noted = "MATCH (a:AbsentPackage {name: 'lib'}) SET a.tried_at = datetime(), a.queued_at = null"
        await (await noting.run(noted)).consume()

        async def is_blocked() -> bool:
            query = "SHOW TRANSACTIONS YIELD status WHERE status STARTS WITH 'Blocked' RETURN status"
            return bool((await driver.execute_query(query)).records)

        again = link(app, follow=is_now, repeat_follow=True)
        linking = asyncio.create_task(graph.link([again if is_now else replace(again, leave_out=WHOLE)]))
        await until(is_blocked, "a transaction that waits for the note")
        await noting.commit()
        assert (await linking)[0].to_queue == ()
        [absent] = (await driver.execute_query("MATCH (a:AbsentPackage) RETURN properties(a) AS p")).records
        assert {"queued_at", "left_out"}.isdisjoint(absent["p"])


async def test_neo4j_finds_all_pages_by_their_indexes(neo4j_server: GraphTarget) -> None:
    empty_graph(neo4j_server)
    async with (
        Graph.connect(
            neo4j_server.uri,
            neo4j_server.user,
            neo4j_server.password,
            GraphSettings(query_timeout_s=PATIENCE_S),
            absent_retry_s=1,
        ) as graph,
        AsyncGraphDatabase.driver(neo4j_server.uri, auth=(neo4j_server.user, neo4j_server.password)) as driver,
    ):
        await graph.ensure_schema([PYPI])
        await driver.execute_query(
            "UNWIND range(1, 300) AS number WITH number, $monday + duration({minutes: number}) AS moment"
            " CREATE (:PyPIPackage {name: 'p' + number, purl: 'pkg:pypi/p' + number, complete_at: moment})"
            " CREATE (:AbsentPackage {purl: 'pkg:pypi/a' + number, ecosystem: 'pypi', left_out: 'e' + number})"
            " CREATE (:AbsentPackage {purl: 'pkg:pypi/b' + number, ecosystem: 'pypi', queued_at: moment})",
            monday=MONDAY,
        )
        parameters = {"ecosystem": "pypi", "now": MONDAY, "lost_before": MONDAY, "limit": 10}
        plans = [
            str((await driver.execute_query(f"EXPLAIN {NEO4J.searching(text)}", parameters_=parameters)).summary.plan)
            for text in (due_text(PYPI, NEO4J), LEFT_OUT, lost_text(NEO4J))
        ]
    assert ["NodeIndexSeek" in plan for plan in plans] == [True] * 3
    assert not any("Filter" in plan and "ByLabelScan" in plan for plan in plans)
