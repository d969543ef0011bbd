"""This compares ways to find which of a registry's names the graph has.

`python -m benchmarks.known_names [--packages 200000] [--outlines 100000,1000000,5000000]`

The ways are one query a name, ten thousand names a query, and a walk of the graph first. A real Neo4j holds the
packages, each with a revision. Two lists are put to it: one in which every name is known, as most are in a comparison
of a whole registry, and one in which half of them are. Then a page of known names is profiled, and the outlines of very
many packages are kept in a process of their own, for the memory that takes.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from neo4j import Driver

from benchmarks.harness import child_named, cpu_s, most_resident_mb, neo4j, print_header, print_table, work_dir
from benchmarks.packages import connected, fill
from securechain_ingest.graph import names as graph_names
from securechain_ingest.graph.dialect import NEO4J
from securechain_ingest.graph.names import NAMES_A_QUERY, WalkedPackage
from securechain_ingest.graph.properties import FORMAT
from securechain_ingest.graph.statements import for_label
from securechain_ingest.graph.store import Graph
from securechain_ingest.jobs.outlines import Outlines, outlines
from securechain_ingest.registries.npm.names import NPM
from securechain_ingest.settings import GraphSettings

ONE_BY_ONE: Final = 500
"""The oldest way is given so many names."""

Way = Callable[[Graph, Sequence[str]], Awaitable[int]]
"""The result is how many of the names are known."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.known_names")
    parser.add_argument("--packages", type=int, default=200_000, help="in the graph")
    parser.add_argument("--outlines", default="100000,1000000,5000000", help="packages whose outlines are kept")
    options = parser.parse_args()
    print_header("Known or unknown", f"a real Neo4j with {options.packages} packages")
    with work_dir() as folder:
        asyncio.run(all_ways(folder, options.packages))
    rows = []
    for count in map(int, options.outlines.split(",")):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
            rows.append(alone.submit(kept, count).result())
    print_table(rows)


async def all_ways(folder: Path, packages: int) -> None:
    """Print the rows of each way and of each list, and what a name costs the server."""
    with neo4j(folder) as target, connected(target) as driver:
        fill(driver, NPM.label, packages)
        with driver.session() as session:
            session.run(
                f"MATCH (p:{NPM.label}) SET p.format = $format, p.revision = '1-' + p.purl", format=FORMAT
            ).consume()
        server, settings = child_named("java"), GraphSettings()
        async with Graph.connect(target.uri, target.user, target.password, settings, absent_retry_s=1.0) as graph:
            await graph.ensure_schema([NPM])
            for share, wanted in ((1.0, list(names(packages))), (0.5, list(names(2 * packages)))):
                for way, use, given in (
                    ("one query a name", one_by_one, wanted[-ONE_BY_ONE:]),
                    (f"{NAMES_A_QUERY} names a query", looked_up, wanted),
                    ("the graph walked, the others looked up", walked, wanted),
                ):
                    # Once for the plans and the compiler, then for the figures.
                    await use(graph, given)
                    costs = NamesCosts(server)
                    found = await use(graph, given)
                    assert way == "one query a name" or found == packages
                    print_table([{"known": f"{share:.0%}", "way": way, **costs.row(len(given))}])
        print_table(profiles(driver))


async def one_by_one(graph: Graph, wanted: Sequence[str]) -> int:
    return sum([len(await graph.names.states(NPM, [name])) for name in wanted])


async def looked_up(graph: Graph, wanted: Sequence[str]) -> int:
    """Look all names up, as before the graph was walked, and as the changes of a day are looked up still."""
    pages = [wanted[start : start + NAMES_A_QUERY] for start in range(0, len(wanted), NAMES_A_QUERY)]
    return sum([len(await graph.names.states(NPM, page)) for page in pages])


async def walked(graph: Graph, wanted: Sequence[str]) -> int:
    """Compare as a whole list is compared: what the walk does not settle is looked up."""
    found = 0
    with TemporaryDirectory() as folder:
        async with outlines(graph.names, NPM, Path(folder), awaited=True) as held:
            for start in range(0, len(wanted), NAMES_A_QUERY):
                left = dict.fromkeys(wanted[start : start + NAMES_A_QUERY])
                for name, outline in held.listed(list(left)):
                    if outline.is_of(f"1-{name}"):
                        found += 1
                        del left[name]
                found += len(await graph.names.states(NPM, list(left)))
    return found


class NamesCosts:
    """This measures seconds and processor time from now on."""

    def __init__(self, server: int) -> None:
        self._server = server
        self._before = self._now()

    def row(self, count: int) -> dict[str, object]:
        elapsed_s, own_s, server_s = (now - then for now, then in zip(self._now(), self._before, strict=True))
        return {
            "names": count,
            "names/s": count / elapsed_s,
            "our µs/name": 1e6 * own_s / count,
            "the server's µs/name": 1e6 * server_s / count,
            "names/s of processor time": count / (own_s + server_s),
        }

    def _now(self) -> tuple[float, float, float]:
        return time.perf_counter(), time.process_time(), cpu_s(self._server)


def profiles(driver: Driver) -> list[dict[str, object]]:
    """Return the hits in the server's store that a name costs, by statement."""
    known, unknown = list(names(2_500)), [f"pkg:made/unknown-{number}" for number in range(2_500)]
    walk = {"after": "pkg:made/", "limit": NAMES_A_QUERY, "format": FORMAT}
    statements: list[tuple[str, str, dict[str, Any], int]] = [
        ("known, looked up", graph_names._HELD, {"rows": {"purls": known}, "format": FORMAT}, 2_500),
        ("unknown, looked up", graph_names._HELD, {"rows": {"purls": unknown}, "format": FORMAT}, 2_500),
        ("known, walked", graph_names._WALK, walk, NAMES_A_QUERY),
    ]
    rows = []
    with driver.session() as session:
        for what, cypher, parameters, count in statements:
            profile = (
                session.run("PROFILE " + NEO4J.searching(for_label(cypher, NPM.label)), parameters).consume().profile
            )
            rows.append({"name": what, "hits": hits(profile) / count})
    return rows


def hits(plan: Any) -> int:
    return int(plan.get("dbHits", 0)) + sum(map(hits, plan.get("children", [])))


def kept(count: int) -> dict[str, object]:
    """Return what the outlines of so many packages take: memory, and a file."""
    before, used = most_resident_mb("self"), time.process_time()
    with TemporaryDirectory() as folder, closing(Outlines(Path(folder))) as held:
        packages = made(count)
        while page := list(islice(packages, NAMES_A_QUERY)):
            held.add(page)
        filled = time.process_time()
        asked = names(count)
        while purls := list(islice(asked, NAMES_A_QUERY)):
            assert sum(1 for _ in held.listed(purls)) == len(purls)
        found = time.process_time()
        assert held.count_unlisted() == 0
        grown = most_resident_mb("self") - before
    return {
        "outlines": count,
        "µs to keep one": 1e6 * (filled - used) / count,
        "µs to find one": 1e6 * (found - filled) / count,
        "MB before": before,
        "more MB": grown,
    }


def made(count: int) -> Iterator[WalkedPackage]:
    return ((name, True, f"1-{name}", False) for name in names(count))


def names(count: int) -> Iterator[str]:
    return (f"pkg:made/existing-{number}" for number in range(count))


if __name__ == "__main__":
    main()
