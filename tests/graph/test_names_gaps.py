"""This tests finding packages whose import names are wanting, and filling them in."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from neo4j import AsyncDriver, AsyncGraphDatabase

from securechain_ingest.graph.dialect import NEO4J
from securechain_ingest.graph.statements import names_gaps_text
from securechain_ingest.graph.store import Graph
from securechain_ingest.model import ImportNames, NamesGap, PackageWrite
from securechain_ingest.settings import GraphSettings
from tests.graph.builders import MONDAY, PYPI, npm, pypi, version, write
from tests.graph.conftest import CypherRunner
from tests.stores import GraphTarget, empty_graph
from tests.waiting import PATIENCE_S

THIS, NEXT = PYPI.import_names_version, PYPI.import_names_version + 1
NEXT_PARSER = replace(PYPI, import_names_version=NEXT)
"""This is PyPI in a later release, whose parser finds other names."""


async def gaps(graph: Graph, *, older_than: int = 0, after: str = "", limit: int = 100) -> list[str]:
    found, _ = await graph.names_gaps(PYPI, older_than=older_than, after=after, limit=limit)
    return [gap.name for gap in found]


async def gap_of(graph: Graph, name: str) -> NamesGap:
    found, _ = await graph.names_gaps(PYPI, older_than=0, after="", limit=100)
    return next(gap for gap in found if gap.name == name)


def read_by_the_next_parser(write: PackageWrite) -> PackageWrite:
    ref = replace(write.package.ref, ecosystem=NEXT_PARSER)
    return replace(write, package=replace(write.package, ref=ref))


async def test_a_package_without_names_or_with_only_a_fallback_has_a_gap(graph: Graph, read: CypherRunner) -> None:
    await graph.write(
        [
            write(pypi("complete"), "1.0"),
            write(pypi("empty"), "1.0", names=ImportNames(())),
            write(pypi("failed"), "1.0", names=ImportNames(("failed",), error="the archive is damaged")),
            write(npm("other"), "1.0", names=ImportNames(())),
        ]
    )
    await read("CREATE (:PyPIPackage {name: 'bare'})-[:HAVE]->(:Version {name: '1.0'})")
    assert await gaps(graph) == ["bare", "empty", "failed"]
    assert await gaps(graph, after="bare") == ["empty", "failed"]


async def test_names_of_an_older_parser_are_a_gap_if_asked_for(graph: Graph, read: CypherRunner) -> None:
    await graph.write(
        [write(pypi("first"), "1.0"), read_by_the_next_parser(write(pypi("second"), "1.0"))],
    )
    await read("CREATE (:PyPIPackage {name: 'unversioned', import_names: ['a']})-[:HAVE]->(:Version {name: '1.0'})")
    assert await gaps(graph) == []
    assert await gaps(graph, older_than=THIS) == ["unversioned"]
    assert await gaps(graph, older_than=NEXT) == ["first", "unversioned"]


async def test_pages_follow_the_names_and_end_behind_the_last_package(graph: Graph) -> None:
    names = ["b", "d", "a", "e", "c"]
    await graph.write([write(pypi(name), "1.0", names=ImportNames(()) if name in "ae" else None) for name in names])
    await graph.write([write(pypi(name), "1.0") for name in "bcd"])

    async def page(after: str) -> tuple[list[str], str | None]:
        found, last = await graph.names_gaps(PYPI, older_than=0, after=after, limit=2)
        return [gap.name for gap in found], last

    assert await page("") == (["a"], "b")
    assert await page("b") == ([], "d")
    assert await page("d") == (["e"], "e")
    assert await page("e") == ([], None)


async def test_packages_that_wait_to_be_completed_are_found_by_the_time_at_which_they_are_due(graph: Graph) -> None:
    for number, name in enumerate("cab"):
        at = MONDAY + timedelta(seconds=number, microseconds=250_000)
        await graph.write([replace(write(pypi(name), "1.0", archive_pending=True), checked_at=at)])
    await graph.write([write(pypi("d"), "1.0"), write(pypi("e"), "1.0", names=ImportNames(()))])

    async def page(after: str) -> tuple[list[str], str | None]:
        found, last = await graph.names_gaps(PYPI, older_than=0, after=after, limit=2, pending=True)
        return [gap.name for gap in found], last

    first, last = await page("")
    assert (first, last) == (["c", "a"], (MONDAY + timedelta(seconds=1, microseconds=250_000)).isoformat())
    second, last = await page(last or "")
    assert second == ["b"]
    assert await page(last or "") == ([], None)
    assert await gaps(graph) == ["a", "b", "c", "e"]


async def test_neo4j_begins_with_an_index_and_reads_no_more_than_a_page(neo4j_server: GraphTarget) -> None:
    empty_graph(neo4j_server)
    uri, user, password = neo4j_server.uri, neo4j_server.user, neo4j_server.password
    async with (
        Graph.connect(uri, user, password, GraphSettings(query_timeout_s=PATIENCE_S), absent_retry_s=1) as graph,
        AsyncGraphDatabase.driver(uri, auth=(user, password)) as driver,
    ):
        await graph.ensure_schema([PYPI])
        await driver.execute_query(
            "UNWIND range(1, 2000) AS number CREATE (p:PyPIPackage {name: 'p' + number, purl: 'pkg:pypi/p' + number,"
            " format: 2, moment: $monday, import_names: ['p'], import_names_parser: 9})"
            " WITH p, number WHERE number % 50 = 0"
            " SET p.archive_pending = true, p.complete_at = $monday + duration({seconds: number})",
            monday=MONDAY,
        )
        for pending, after in ((True, MONDAY), (False, "")):
            text = names_gaps_text(PYPI.label, NEO4J, pending=pending)
            operators, hits = await profile(driver, text, older_than=0, after=after, limit=10)
            assert "NodeIndexSeekByRange" in operators or "NodeUniqueIndexSeekByRange" in operators
            assert not any("Scan" in operator for operator in operators)
            assert hits < 400, "a page, and not the 2,000 packages"


async def profile(driver: AsyncDriver, text: str, **parameters: Any) -> tuple[list[str], int]:
    """Return the operators of a query's plan, and its database hits."""
    summary = (await driver.execute_query(f"PROFILE {NEO4J.searching(text)}", parameters)).summary

    def all_of(plan: Any) -> list[Any]:
        return [plan, *(each for child in plan.get("children", ()) for each in all_of(child))]

    plans = all_of(summary.profile)
    operators = [plan["operatorType"].partition("@")[0] for plan in plans]
    return operators, sum(int(plan["args"].get("DbHits", 0)) for plan in plans)


async def test_a_gap_knows_the_versions_and_the_spelling_for_the_registry(graph: Graph, read: CypherRunner) -> None:
    await graph.write([write(pypi("Flask"), "1.0", "2.0", names=ImportNames(()))])
    await read("CREATE (:PyPIPackage {name: 'Older'})-[:HAVE]->(:Version {name: '0.1'})")
    known = (await gap_of(graph, "flask")).known
    assert (known.registry_name, known.versions, known.validator) == ("Flask", frozenset({"1.0", "2.0"}), None)
    older = (await gap_of(graph, "Older")).known
    assert (older.registry_name, older.versions) == ("Older", frozenset({"0.1"}))


async def test_a_filled_gap_differs_in_nothing_but_its_import_names(graph: Graph, read: CypherRunner) -> None:
    failed = ImportNames(("six",), error="the archive is damaged")
    await graph.write([write(pypi("six"), version(pypi("six"), "1.0", {pypi("attrs"): "any"}), names=failed)])
    versions, [before] = await read.nodes("Version"), (await read.nodes("PyPIPackage")).values()

    await graph.fill_names(NEXT_PARSER, [(await gap_of(graph, "six"), ImportNames(("six", "six.moves")))])

    [after] = (await read.nodes("PyPIPackage")).values()
    filled = {"import_names": ["six", "six.moves"], "import_names_parser": NEXT}
    assert after == {key: value for key, value in before.items() if key != "import_names_error"} | filled
    assert await read.nodes("Version") == versions
    assert await gaps(graph, older_than=NEXT) == []
