"""This compares two ways to find which of a registry's names the graph has: ten thousand a query, and one query a name.

`python -m benchmarks.known_names [--packages 100000] [--listed 5000000]`

A real Neo4j holds the packages; half of the names that are asked for are there. Besides, a list of millions of names is
put through the digests that find what is gone, for the memory that takes.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from benchmarks.harness import neo4j, print_header, print_table, work_dir
from benchmarks.packages import connected, fill
from securechain_ingest.graph.names import NAMES_A_QUERY
from securechain_ingest.graph.store import Graph
from securechain_ingest.jobs.name_digests import NameDigests
from securechain_ingest.registries.npm.names import NPM
from securechain_ingest.settings import GraphSettings

ONE_BY_ONE = 500
"""These are names that the old way is given."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.known_names")
    parser.add_argument("--packages", type=int, default=100_000, help="in the graph")
    parser.add_argument("--listed", type=int, default=5_000_000, help="names whose digests are kept")
    options = parser.parse_args()
    print_header("Known or unknown", f"a real Neo4j with {options.packages} packages; twice as many names asked for")
    with work_dir() as folder:
        print_table(asyncio.run(both_ways(folder, options.packages)))
    print_table([digests(options.listed)])


async def both_ways(folder: Path, packages: int) -> list[dict[str, object]]:
    """Return rows of the two ways."""
    with neo4j(folder) as target, connected(target) as driver:
        fill(driver, NPM.label, packages)
        settings = GraphSettings()
        async with Graph.connect(target.uri, target.user, target.password, settings, absent_retry_s=1.0) as graph:
            await graph.ensure_schema([NPM])
            wanted = list(names(2 * packages))
            await graph.names.states(NPM, wanted[:NAMES_A_QUERY])
            started_at, found = time.perf_counter(), 0
            for start in range(0, len(wanted), NAMES_A_QUERY):
                found += len(await graph.names.states(NPM, wanted[start : start + NAMES_A_QUERY]))
            ours = len(wanted) / (time.perf_counter() - started_at)
            assert found == packages
            started_at = time.perf_counter()
            for name in wanted[:ONE_BY_ONE]:
                await graph.names.states(NPM, [name])
            theirs = ONE_BY_ONE / (time.perf_counter() - started_at)
    return [
        {"way": "one query a name", "names/s": theirs, "ratio": 1.0},
        {"way": f"{NAMES_A_QUERY} names a query", "names/s": ours, "ratio": ours / theirs},
    ]


def digests(count: int) -> dict[str, object]:
    """Return what the digests of so many names take."""
    before, started_at, held = resident_mb(), time.perf_counter(), NameDigests()
    listed = names(count)
    while page := list(islice(listed, NAMES_A_QUERY)):
        held.add(page)
    assert "pkg:made/existing-0" in held
    assert "pkg:made/nothing" not in held
    return {"names": count, "seconds": time.perf_counter() - started_at, "more resident MB": resident_mb() - before}


def names(count: int) -> Iterator[str]:
    return (f"pkg:made/existing-{number}" for number in range(count))


def resident_mb() -> float:
    """Return the most resident memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


if __name__ == "__main__":
    main()
