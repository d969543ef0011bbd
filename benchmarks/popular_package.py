"""This measures a package that very many versions wait for: how long it takes to make their edges, and the longest
transaction.

`python -m benchmarks.popular_package [--versions 100000 1000000]`

A real Neo4j holds the versions, a hundred of each package, each of which waits for one package; then that package is
written as the daemon writes it. After a third of the transactions the writer is broken off, as a kill would, and
another one goes on as it does with a message that comes again. The way before was one transaction for all of it.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from neo4j import Driver

from benchmarks.harness import neo4j, print_header, print_table, work_dir
from benchmarks.packages import connected
from securechain_ingest.graph.batch import GraphBatcher
from securechain_ingest.graph.connection import Connection
from securechain_ingest.graph.store import Graph
from securechain_ingest.graph.transactions import RESOLVED_AT_ONCE
from securechain_ingest.model import ImportNames, Link, Package, PackageWrite, Version
from securechain_ingest.registries.npm.names import NPM, identify
from securechain_ingest.settings import GraphSettings
from tests.stores import GraphTarget

POPULAR = identify("popular")
VERSIONS_A_PACKAGE, FILLED_AT_ONCE = 100, 10_000


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.popular_package")
    parser.add_argument("--versions", type=int, nargs="+", default=[100_000, 1_000_000])
    options = parser.parse_args()
    print_header("What waits for a popular package", f"a real Neo4j, {RESOLVED_AT_ONCE} edges a transaction")
    print_table([asyncio.run(resolved(versions)) for versions in options.versions])


async def resolved(versions: int) -> dict[str, object]:
    """Return the row of one number of waiting versions."""
    with work_dir() as folder, neo4j(Path(folder)) as target, connected(target) as driver:
        async with daemons_graph(target) as (graph, batcher):
            await graph.ensure_schema([NPM])
            await graph.prepare([NPM])
            fill(driver, versions)
            # The server has planned its statements for what it holds by now, as one that has written for a while.
            await batcher.write(one_version("other"))
            took_s: list[float] = []
            a_third = note_transactions(took_s, versions // RESOLVED_AT_ONCE // 3)
            started = time.perf_counter()
            write = asyncio.create_task(batcher.write(one_version("popular")))
            await a_third.wait()
            write.cancel()
        broken_off = len(took_s)
        async with daemons_graph(target) as (_, batcher):
            await batcher.link(Link(POPULAR, (), follow=False, repeat_follow=True, checked_at=None))
        all_s = time.perf_counter() - started
        with driver.session() as session:
            query = "MATCH (:NPMPackage {purl: $purl})<-[r:REQUIRE]-() RETURN count(r) AS edges"
            assert session.run(query, purl=POPULAR.purl).single(strict=True)["edges"] == versions
            assert session.run("MATCH (a:AbsentPackage) RETURN count(a) AS left").single(strict=True)["left"] == 0
    return {
        "waiting versions": versions,
        "seconds": all_s,
        "transactions": len(took_s),
        "broken off after": broken_off,
        "package there after s": took_s[0],
        "longest s": max(took_s),
        "edges/s": versions / all_s,
    }


@asynccontextmanager
async def daemons_graph(target: GraphTarget) -> AsyncIterator[tuple[Graph, GraphBatcher]]:
    """Yield the graph as a daemon has it. What is under way at the end is broken off."""
    settings = GraphSettings()
    async with (
        Graph.connect(target.uri, target.user, target.password, settings, absent_retry_s=1.0) as graph,
        GraphBatcher(graph, settings) as batcher,
    ):
        yield graph, batcher


def one_version(name: str) -> PackageWrite:
    ref = identify(name)
    package = Package(ref, None, None, (Version("1.0.0", f"{ref.purl}@1.0.0", None, ()),), (), None)
    return PackageWrite(package, {}, ImportNames((name,)), datetime.now(UTC), (), follow=False)


def note_transactions(took_s: list[float], count: int) -> asyncio.Event:
    """Have each transaction that writes add the seconds that it took, tries that lost a race included. Return an event
    that is set after so many."""
    are_enough = asyncio.Event()
    for name in ("change", "transaction"):
        plain = getattr(Connection, name)

        async def timed(self: Connection, *arguments: Any, plain: Any = plain) -> Any:
            started = time.perf_counter()
            try:
                return await plain(self, *arguments)
            finally:
                took_s.append(time.perf_counter() - started)
                if len(took_s) >= count:
                    are_enough.set()

        setattr(Connection, name, timed)
    return are_enough


def fill(driver: Driver, versions: int) -> None:
    """Put in the versions that wait."""
    with driver.session() as session:
        session.run("CREATE (:AbsentPackage {purl: $purl, name: 'popular', ecosystem: 'npm'})", purl=POPULAR.purl)
        for first in range(0, versions, FILLED_AT_ONCE):
            session.run(
                "MATCH (a:AbsentPackage {purl: $popular})"
                " UNWIND range($first, $last, $each) AS number"
                " CREATE (p:NPMPackage {name: 'app-' + number, purl: 'pkg:npm/app-' + number})"
                " WITH a, p UNWIND range(1, $each) AS version"
                " CREATE (p)-[:HAVE]->(v:Version {name: '1.0.' + version, purl: p.purl + '@1.0.' + version})"
                " CREATE (a)-[:AWAITED_BY {constraints: '^1.0.0'}]->(v)",
                popular=POPULAR.purl,
                first=first,
                last=min(first + FILLED_AT_ONCE, versions) - 1,
                each=VERSIONS_A_PACKAGE,
            ).consume()


if __name__ == "__main__":
    main()
