"""This tests what a failed try of an archive leaves on a package, and which packages are to be tried again."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from neo4j import AsyncGraphDatabase
from neo4j.time import DateTime

from securechain_ingest.graph.dialect import NEO4J, aware
from securechain_ingest.graph.due import archives_text
from securechain_ingest.graph.store import Graph
from securechain_ingest.model import FailedAttempt, ImportNames, PackageRef
from securechain_ingest.settings import GraphSettings
from tests.graph.builders import MONDAY, NPM, PYPI, npm, pypi, write
from tests.graph.conftest import CypherRunner
from tests.stores import GraphTarget, empty_graph
from tests.waiting import PATIENCE_S

HOUR = timedelta(hours=1)
NEXT = replace(PYPI, import_names_version=PYPI.import_names_version + 1)


def stopgap(*names: str, tries: int = 1, retry_at: datetime | None = MONDAY + HOUR) -> ImportNames:
    failed = FailedAttempt("2.0", tries, MONDAY, retry_at)
    return ImportNames(names, error="the archive is away", is_stopgap=True, failed=failed)


async def held(read: CypherRunner) -> dict[str, Any]:
    """Return what the one package has of import names."""
    [node] = (await read.nodes("PyPIPackage")).values()
    names = {key.removeprefix("import_names_"): value for key, value in node.items() if key.startswith("import_names")}
    return {key: aware(value) if isinstance(value, DateTime) else value for key, value in names.items()}


MARKS: dict[str, Any] = {
    "error": "the archive is away",
    "failed_version": "2.0",
    "tries": 1,
    "tried_at": MONDAY,
    "retry_at": MONDAY + HOUR,
}
GOOD: dict[str, Any] = {"import_names": ["module"], "parser": PYPI.import_names_version}


async def test_names_outlast_failed_attempts_and_the_marks_go_with_the_next_success(
    graph: Graph, read: CypherRunner
) -> None:
    six = pypi("six")
    await graph.write([write(six, "1.0")])
    by_next = replace(six, ecosystem=NEXT)
    await graph.write([write(by_next, "1.0", "2.0", names=stopgap("six"))])
    assert await held(read) == GOOD | MARKS
    await graph.write([write(by_next, "1.0", "2.0", names=stopgap("six", tries=4, retry_at=None))])
    assert await held(read) == GOOD | {key: MARKS[key] for key in MARKS if key != "retry_at"} | {"tries": 4}
    await graph.write([write(six, "1.0", "2.0", names=ImportNames(("six", "six.moves")))])
    assert await held(read) == {**GOOD, "import_names": ["six", "six.moves"]}


async def test_a_package_without_names_gets_the_stopgap_and_keeps_it(graph: Graph, read: CypherRunner) -> None:
    for names in (("six",), ("other",)):
        await graph.write([write(pypi("six"), "2.0", names=stopgap(*names))])
        assert await held(read) == GOOD | MARKS | {"import_names": ["six"]}


async def test_names_that_another_program_found_outlast_failed_attempts(graph: Graph, read: CypherRunner) -> None:
    await read("CREATE (:PyPIPackage {name: 'six', import_names: ['six.moves']})-[:HAVE]->(:Version {name: '1.0'})")
    await graph.write([write(pypi("six"), "1.0", names=stopgap("six"))])
    assert await held(read) == MARKS | {"import_names": ["six.moves"]}


async def test_that_an_archive_offers_no_names_outlasts_failed_attempts(graph: Graph, read: CypherRunner) -> None:
    await graph.write([write(pypi("six"), "1.0", names=ImportNames(()))])
    await graph.write([write(pypi("six"), "2.0", names=stopgap("six"))])
    assert await held(read) == GOOD | MARKS | {"import_names": []}


async def test_filling_a_gap_with_a_stopgap_costs_no_names(graph: Graph, read: CypherRunner) -> None:
    await read("CREATE (:PyPIPackage {name: 'six'})-[:HAVE]->(:Version {name: '1.0'})")

    async def fill(names: ImportNames) -> None:
        [gap], _ = await graph.names_gaps(NEXT, older_than=NEXT.import_names_version, after="", limit=10)
        await graph.fill_names(NEXT, [(gap, names)])

    by_next = {"parser": NEXT.import_names_version}
    await fill(stopgap("six"))
    assert await held(read) == MARKS | by_next | {"import_names": ["six"]}
    await fill(ImportNames(("six", "six.moves")))
    assert await held(read) == by_next | {"import_names": ["six", "six.moves"]}
    await read("MATCH (p:PyPIPackage) SET p.import_names_parser = 0")
    await fill(stopgap("six"))
    assert await held(read) == MARKS | {"parser": 0, "import_names": ["six", "six.moves"]}


async def test_earlier_tries_are_known_where_a_package_is_asked_for_or_has_a_gap(graph: Graph) -> None:
    six = pypi("six")
    await graph.write([write(six, "1.0", names=stopgap("six", tries=3)), write(pypi("good"), "1.0")])
    known = await graph.known([six, pypi("good")])
    [gap], _ = await graph.names_gaps(PYPI, older_than=0, after="", limit=10)
    assert known[six.purl].names_failed == gap.known.names_failed == FailedAttempt("2.0", 3, MONDAY)
    assert known["pkg:pypi/good"].names_failed is None


async def test_packages_are_due_from_their_time_on_the_oldest_first(graph: Graph) -> None:
    def at(ref: PackageRef, hours: int | None) -> Any:
        retry_at = None if hours is None else MONDAY + hours * HOUR
        return write(ref, "1.0", names=stopgap("x", retry_at=retry_at))

    hours = {"C": 3, "a": 1, "gone": 1, "b": 2, "never": None}
    await graph.write([at(pypi(name), after) for name, after in hours.items()])
    await graph.write([at(npm("other"), 1), write(pypi("good"), "1.0")])
    await graph.mark_absent(pypi("gone"), MONDAY, "gone")

    async def due(hours: float, limit: int = 10) -> list[str]:
        return list((await graph.due.archives(PYPI, MONDAY + hours * HOUR, limit)).values())

    assert await due(0.9) == []
    assert await due(1) == ["a"]
    assert await due(9) == ["a", "b", "C"]
    assert await due(9, limit=2) == ["a", "b"]
    assert list((await graph.due.archives(NPM, MONDAY + HOUR, 10)).values()) == ["other"]


async def test_what_has_been_asked_for_is_due_again_at_its_next_time(graph: Graph, read: CypherRunner) -> None:
    await graph.write([write(pypi(name), "1.0", names=stopgap("x")) for name in ("asked", "read", "tried")])
    now = MONDAY + HOUR
    due = await graph.due.archives(PYPI, now, 10)
    await graph.write(
        [write(pypi("read"), "1.0"), write(pypi("tried"), "1.0", names=stopgap("x", retry_at=now + HOUR))]
    )
    await graph.due.ask_again_at(due, now, now + 24 * HOUR)

    async def due_then(hours: int) -> set[str]:
        return set((await graph.due.archives(PYPI, now + hours * HOUR, 10)).values())

    assert await due_then(0) == set()
    assert await due_then(1) == {"tried"}
    assert await due_then(24) == {"asked", "tried"}
    known = await graph.known([pypi("asked")])
    assert known["pkg:pypi/asked"].names_failed == FailedAttempt("2.0", 1, MONDAY), "the wait counts from the failure"


async def test_neo4j_finds_what_is_due_by_an_index(neo4j_server: GraphTarget) -> None:
    empty_graph(neo4j_server)
    settings = GraphSettings(query_timeout_s=PATIENCE_S)
    async with (
        Graph.connect(neo4j_server.uri, neo4j_server.user, neo4j_server.password, settings, absent_retry_s=1) as graph,
        AsyncGraphDatabase.driver(neo4j_server.uri, auth=(neo4j_server.user, neo4j_server.password)) as driver,
    ):
        await graph.ensure_schema([PYPI])
        await driver.execute_query(
            "UNWIND range(1, 300) AS number CREATE (:PyPIPackage {name: 'p' + number, purl: 'pkg:pypi/p' + number,"
            " import_names_retry_at: $monday + duration({minutes: number})})",
            monday=MONDAY,
        )
        text = NEO4J.searching(archives_text(PYPI, NEO4J))
        _, summary, _ = await driver.execute_query(f"EXPLAIN {text}", now=MONDAY, limit=1)
    assert "NodeIndexSeekByRange" in str(summary.plan)
