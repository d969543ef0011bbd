"""This measures how long `find import` and `find advisory` take among a million packages, by the indexes of both graph
servers.

`python -m benchmarks.find [--packages 1000000] [--servers neo4j,arcadedb]`

The packages are made in the graph directly, each with one version and three import names; a thousand of them have an
advisory. Each search is done fifty times, for another name or advisory each time, over one connection.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from neo4j import GraphDatabase, NotificationMinimumSeverity

from benchmarks.harness import arcadedb, neo4j, print_header, print_table, work_dir
from securechain_ingest.advisories.store import AdvisoryStore
from securechain_ingest.graph.store import Graph
from securechain_ingest.registries import ECOSYSTEMS
from securechain_ingest.registries.npm.names import NPM
from securechain_ingest.reports.search import packages_affected, packages_offering
from securechain_ingest.settings import GraphSettings, VulnerabilitySettings
from tests.stores import GraphTarget, local_stores

SEARCHES = 50
AT_ONCE = 20_000
AFFECTED_EVERY = 1_000

FILL = f"""
UNWIND $numbers AS n
CREATE (p:{NPM.label} {{name: 'made-' + n, purl: 'pkg:npm/made-' + n,
                        import_names: ['made-' + n, 'made-' + n + '/api', 'made-' + n + '/lib/core']}})
CREATE (p)-[:HAVE]->(:Version {{name: '1.0.0', purl: 'pkg:npm/made-' + n + '@1.0.0', serial_number: 0,
                               vulnerabilities: CASE WHEN n % {AFFECTED_EVERY} = 0 THEN ['GHSA-' + n] ELSE [] END}})
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.find")
    parser.add_argument("--packages", type=int, default=1_000_000, help="in the graph")
    parser.add_argument("--servers", default="neo4j,arcadedb")
    options = parser.parse_args()
    print_header("Searches", f"{options.packages:,} packages; {SEARCHES} searches of each kind")
    rows = []
    for kind in options.servers.split(","):
        with work_dir() as folder, served(kind, folder) as (target, advisories):
            rows += asyncio.run(measured(kind, target, advisories, options.packages))
    print_table(rows)


@contextmanager
def served(kind: str, folder: Path) -> Iterator[tuple[GraphTarget, str]]:
    """Yield a graph server, and the address of an advisory database."""
    graph = neo4j if kind == "neo4j" else arcadedb
    with graph(folder / "graph") as target, local_stores(folder, frozenset({"vulnerabilities"})) as stores:
        assert stores.vulnerability_uri is not None
        yield target, stores.vulnerability_uri


async def measured(kind: str, target: GraphTarget, advisories: str, packages: int) -> list[dict[str, object]]:
    """Return a row for each search."""
    settings = GraphSettings(database=target.database)
    async with (
        Graph.connect(target.uri, target.user, target.password, settings, absent_retry_s=1.0) as graph,
        AdvisoryStore.connect(advisories, VulnerabilitySettings()) as store,
    ):
        await graph.ensure_schema(ECOSYSTEMS)
        seconds = fill(target, packages)
        affected = [AFFECTED_EVERY * (number % (packages // AFFECTED_EVERY)) for number in range(SEARCHES)]
        await store.ensure_indexes()
        await store.upsert([advisory(number) for number in set(affected)], forgotten)
        spread = [number * (packages // SEARCHES) for number in range(SEARCHES)]
        by_import = await timed(
            [f"made-{number}/api" for number in spread], lambda name: packages_offering(graph.reader, name)
        )
        by_advisory = await timed(
            [f"GHSA-{number}" for number in affected], lambda name: packages_affected(graph.reader, store, name)
        )
    return [
        {"server": kind, "find": what, "median ms": median(times), "slowest ms": max(times), "filled in s": seconds}
        for what, times in (("import", by_import), ("advisory", by_advisory))
    ]


def fill(target: GraphTarget, packages: int) -> float:
    """Make the packages and return the seconds that it took, the indexes' own way behind the writes included."""
    options: dict[str, Any] = {"notifications_min_severity": NotificationMinimumSeverity.OFF}
    began = time.perf_counter()
    with (
        GraphDatabase.driver(target.uri, auth=(target.user, target.password), **options) as driver,
        driver.session(database=target.database) as session,
    ):
        for start in range(0, packages, AT_ONCE):
            numbers = [str(number) for number in range(start, min(start + AT_ONCE, packages))]
            session.run(FILL.replace("n %", "toInteger(n) %"), numbers=numbers).consume()
        if target.kind == "neo4j":
            session.run("CALL db.index.fulltext.awaitEventuallyConsistentIndexRefresh()").consume()
    return time.perf_counter() - began


async def forgotten(_: object) -> None:
    """Nothing has to be rated anew."""


def advisory(number: int) -> dict[str, Any]:
    return {
        "id": f"GHSA-{number}",
        "modified": "2026-08-01T00:00:00Z",
        "affected": [{"package": {"ecosystem": "npm", "name": f"made-{number}"}, "versions": ["1.0.0"]}],
    }


async def timed(names: list[str], search: Callable[[str], Awaitable[list[str]]]) -> list[float]:
    """Return the milliseconds of each search; the first one of a connection is not counted."""
    await search(names[-1])
    times = []
    for name in names:
        began = time.perf_counter()
        found = await search(name)
        times.append((time.perf_counter() - began) * 1000)
        assert len(found) == 1, (name, found)
    return times


if __name__ == "__main__":
    main()
