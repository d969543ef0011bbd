"""A Neo4j that has not counted yet what has come into its indexes takes a walk through a whole index for as cheap as a
search in it. Our statements search all the same."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from neo4j import AsyncDriver

from securechain_ingest.graph import copying, lookups, names, view
from securechain_ingest.graph.dialect import ARCADEDB, NEO4J
from securechain_ingest.graph.due import archives_text, never_read_text, stale_text
from securechain_ingest.graph.layout import INDEXED, UNIQUE, constraint_name, index_name, of_each_label
from securechain_ingest.graph.pending import LEFT_OUT, due_text, lost_text
from securechain_ingest.graph.portion_statements import portion_statements
from securechain_ingest.graph.statements import for_label, names_gaps_text, statements
from securechain_ingest.graph.undated import DATE_PAGE
from tests.graph.builders import MONDAY, PYPI
from tests.graph.test_kept_plans import PARAMETERS, emptied, operators
from tests.stores import GraphTarget

PACKAGES = 300
NOW = datetime(2026, 11, 26, tzinfo=UTC)
LABEL = PYPI.label
KEPT = statements(LABEL, NEO4J)
IN_PORTIONS = portion_statements(LABEL, NEO4J)

# The first of them were walks before the statements demanded a search.
STATEMENTS = {
    "stale packages": stale_text(PYPI, NEO4J),
    "a write": KEPT.write,
    "links": KEPT.link,
    "absent packages of a list": names._AWAITED,
    "a package by its name": KEPT.namesake,
    "the versions of a package": for_label(view._VERSIONS, LABEL),
    "requirements of versions": lookups._REQUIRED,
    "packages of a snapshot": for_label(copying._NAMED, LABEL),
    "versions of a snapshot": for_label(copying._VERSIONS, LABEL),
    "what is known": KEPT.known,
    "what is read before a write": KEPT.read,
    "what waits": KEPT.resolve,
    "packages that nobody has read": never_read_text(PYPI, NEO4J),
    "archives to try again": archives_text(PYPI, NEO4J),
    "pending packages": due_text(PYPI, NEO4J),
    "what had no room": LEFT_OUT,
    "what Redis has lost": lost_text(NEO4J),
    "wanting names": names_gaps_text(LABEL, NEO4J, pending=False),
    "wanting names of pending packages": names_gaps_text(LABEL, NEO4J, pending=True),
    "a walk through a list": for_label(names._WALK, LABEL),
    "a walk through absent packages": names._WALK_AWAITED,
    "packages of a list": for_label(names._HELD, LABEL),
    "packages without a date": for_label(DATE_PAGE, LABEL),
    "names that begin alike": for_label(lookups._NAMED, LABEL),
    "versions of a big package": IN_PORTIONS.version_names,
    "a big package": IN_PORTIONS.nodes,
    "new numbers of versions": IN_PORTIONS.renumber,
}


NODES = {
    LABEL: "CREATE (:PyPIPackage {name: 'p' + number, purl: 'pkg:pypi/p' + number, format: 2, moment: moment,"
    " complete_at: moment, import_names_retry_at: moment})",
    "Version": "CREATE (:Version {name: '1', purl: 'v' + number})",
    "AbsentPackage": "CREATE (:AbsentPackage {purl: 'pkg:pypi/a' + number, ecosystem: 'pypi', left_out: 'e' + number})"
    " CREATE (:AbsentPackage {purl: 'pkg:pypi/b' + number, ecosystem: 'pypi', queued_at: moment})",
}


@asynccontextmanager
async def half_counted(server: GraphTarget, counted: str) -> AsyncIterator[AsyncDriver]:
    """Make the indexes of an empty Neo4j anew and fill them at once, and yield a driver. Neo4j has counted only the
    nodes with the label `counted` by then, if any."""
    async with emptied(server) as (graph, driver):
        for label, name in of_each_label(UNIQUE, [LABEL]):
            await driver.execute_query(f"DROP CONSTRAINT {constraint_name(label, name)} IF EXISTS")
        for label, name in of_each_label(INDEXED, [LABEL]):
            await driver.execute_query(f"DROP INDEX {index_name(label, name)} IF EXISTS")
        await graph.ensure_schema([PYPI])
        for label in sorted(NODES, key=lambda label: label != counted):
            await driver.execute_query(
                "UNWIND range(1, $count) AS number WITH number, $monday + duration({minutes: number}) AS moment "
                + NODES[label],
                count=PACKAGES,
                monday=MONDAY,
            )
            if label == counted:
                await driver.execute_query("CALL db.prepareForReplanning()")
        await driver.execute_query(
            "MATCH (p:PyPIPackage) MATCH (v:Version {purl: replace(p.purl, 'pkg:pypi/p', 'v')})"
            " MATCH (a:AbsentPackage {purl: replace(p.purl, '/p', '/b')}) CREATE (p)-[:HAVE]->(v)<-[:AWAITED_BY]-(a)"
        )
        await driver.execute_query("CALL db.clearQueryCaches()")
        yield driver


async def counted_labels(driver: AsyncDriver) -> set[str]:
    """Return the labels whose nodes Neo4j has counted by their purls."""
    answer = await driver.execute_query("CALL db.stats.retrieve('GRAPH COUNTS')")
    indexes = answer.records[0]["data"]["indexes"]
    return {index["labels"][0] for index in indexes if index["properties"] == ["purl"] and index["totalSize"]}


async def plan_of(driver: AsyncDriver, text: str) -> list[str]:
    """Return the operators of a statement's plan."""
    given: dict[str, Any] = PARAMETERS | {"ecosystem": "pypi", "limit": 5, "skip": 0, "purls": [], "versions": []}
    given |= dict.fromkeys(("purl", "name", "after", "before", "start"), "p")
    given |= dict.fromkeys(("older_than", "any_local_time", "never"), NOW)
    asked = NEO4J.searching(text)
    begin = NEO4J.keep_plan if asked.startswith(NEO4J.keep_plan) else ""
    explained = f"{begin}EXPLAIN {asked.removeprefix(begin)}"
    # The type of a row is not known before there is one, except where it is a map of lists.
    rows: Any = [] if "UNWIND $rows AS" in text else {}
    summary = (await driver.execute_query(explained, parameters_=given | {"rows": rows})).summary
    assert summary.plan is not None
    return list(operators(summary.plan))


def walks(found: Mapping[str, list[str]]) -> list[tuple[str, str]]:
    return [(what, name) for what, every in found.items() for name in every if "Scan" in name]


async def test_each_statement_is_a_search_in_an_index(neo4j_server: GraphTarget) -> None:
    async with half_counted(neo4j_server, counted="") as driver:
        found = {what: await plan_of(driver, text) for what, text in STATEMENTS.items()}
    assert walks(found) == []
    in_order = {name.partition("@")[0] for name in found["stale packages"]}
    assert not in_order & {"Sort", "Top", "Union"}, "the index gives the oldest packages first"


async def test_no_statement_goes_through_all_versions_while_neo4j_has_counted_only_packages(
    neo4j_server: GraphTarget,
) -> None:
    # The others are planned before the first package.
    texts = {what: text for what, text in STATEMENTS.items() if not text.startswith(NEO4J.keep_plan)}
    found: dict[str, list[str]] = {}
    while remaining := texts.keys() - found.keys():
        async with half_counted(neo4j_server, LABEL) as driver:
            for what in remaining:
                plan = await plan_of(driver, texts[what])
                # Neo4j looks each ten seconds whether there is something to count.
                if await counted_labels(driver) != {LABEL}:
                    break
                found[what] = plan
    assert walks(found) == []


def test_arcadedb_which_does_not_know_the_demand_is_not_told() -> None:
    text = "MATCH (p:PyPIPackage {purl: $purl}) RETURN p"
    assert ARCADEDB.searching(text) == text
    assert "USING" not in statements(LABEL, ARCADEDB).write


@pytest.mark.parametrize(
    ("text", "hinted"),
    [
        ("MATCH (p:P {purl: $purl}) RETURN p", "MATCH (p:P {purl: $purl}) USING INDEX SEEK p:P(purl) RETURN p"),
        (
            "MATCH (p:P {purl: row[0]})-[:HAVE]->(v:V)<-[w:W]-(a) WHERE v.x",
            "MATCH (p:P {purl: row[0]})-[:HAVE]->(v:V)<-[w:W]-(a) USING INDEX SEEK p:P(purl) WHERE v.x",
        ),
        (
            "MATCH (p:P) WHERE p.purl > $after AND p.x",
            "MATCH (p:P) USING INDEX SEEK p:P(purl) WHERE p.purl > $after AND p.x",
        ),
        ("MATCH (p:P) WHERE p.purl IS NOT NULL RETURN p", "MATCH (p:P) WHERE p.purl IS NOT NULL RETURN p"),
        ("MERGE (p:P {purl: $purl})", "MERGE (p:P {purl: $purl})"),
    ],
)
def test_what_a_match_names_or_compares_is_to_be_searched(text: str, hinted: str) -> None:
    assert NEO4J.searching(text) == hinted


@pytest.mark.parametrize("name", ["known", "read", "write", "resolve", "link", "mark_absent", "namesake", "fill_names"])
def test_a_statement_has_one_text_wherever_it_is_run_so_that_what_is_prepared_is_what_is_asked_later(name: str) -> None:
    text = getattr(KEPT, name)
    assert NEO4J.searching(text) == text


@pytest.mark.parametrize("name", ["version_names", "nodes", "renumber"])
def test_a_statement_that_is_run_within_a_transaction_makes_its_demand_itself(name: str) -> None:
    assert "USING INDEX SEEK" in getattr(IN_PORTIONS, name)
    assert "USING" not in getattr(portion_statements(LABEL, ARCADEDB), name)
