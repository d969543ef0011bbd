"""This measures packages of very many versions through the whole worker: time, peak memory and the lag of the event
loop.

`python -m benchmarks.big_package [--versions 10000 20000 100000] [--graphs neo4j arcadedb] [--write 200000]`

All but the registry and the stores runs in this process, so that the event loop whose lag is taken is that of the work;
`own` is the processor time that it took between two ticks, which on a busy machine is less than others waited. What
`--write` names is written without having been served by a registry.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.harness import arcadedb, neo4j, other_stores, print_header, print_table, work_dir
from securechain_ingest.configuration import load
from securechain_ingest.daemon import favour_the_event_loop
from securechain_ingest.graph.store import Graph
from securechain_ingest.model import ImportNames, Package, PackageWrite, Requirement, Version
from securechain_ingest.oneshot import find_stores
from securechain_ingest.registries.npm.names import identify
from securechain_ingest.service import build_service
from securechain_ingest.settings import GraphSettings
from securechain_ingest.worker.request import Follow, Request
from tests.registry_server import spawn
from tests.stores import GraphTarget

Launch = Callable[[Path], AbstractContextManager[GraphTarget]]


TICK_S = 0.005


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.big_package")
    parser.add_argument("--versions", type=int, nargs="*", default=[10_000, 20_000, 100_000])
    parser.add_argument("--write", type=int, nargs="*", default=[200_000])
    parser.add_argument("--graphs", nargs="+", default=["neo4j", "arcadedb"])
    options = parser.parse_args()
    print_header("Big packages", "npm, five requirements a version; `again`: everything compared, nothing changed")
    favour_the_event_loop()
    launches: dict[str, Launch] = {"neo4j": neo4j, "arcadedb": arcadedb}
    for name in options.graphs:
        for versions in options.versions:
            arguments = ("--packages", "6", "--seed", "1", "--ecosystems", "npm", "--giant-versions", str(versions))
            with (
                spawn(*arguments) as registry,
                work_dir() as folder,
                launches[name](folder / "graph") as graph,
                other_stores(folder, graph) as environment,
            ):
                found = asyncio.run(_visited(environment | registry.environment()))
            print_table([{"graph": name, "versions": versions, **each} for each in found])
        for versions in options.write:
            with work_dir() as folder, launches[name](folder / "graph") as graph:
                found = asyncio.run(_written(graph, versions))
            print_table([{"graph": name, "versions": versions, **each} for each in found])


async def _visited(environment: Mapping[str, str]) -> list[dict[str, object]]:
    """Measure it through the worker, from the registry to the graph."""
    settings = load(environment=environment)
    async with find_stores(settings) as stores, build_service(stores, settings, lambda: 0) as service:
        registry = service.registries["NPMPackage"]
        await stores.graph.prepare([registry.ecosystem])
        found = []
        for visit in ("first", "again"):
            # What the feed announces is asked for without the validator.
            request = Request(identify("giant"), refresh=True, follow=Follow.NONE)
            if visit == "again":
                await stores.graph._connection.change("MATCH (p:NPMPackage) SET p.validator = null")
            found.append({"visit": visit} | await _timed(service.worker.ingest(registry, request)))
    return found


async def _written(graph: GraphTarget, versions: int) -> list[dict[str, object]]:
    """Measure the graph's part alone, of a package that is made here."""
    settings = GraphSettings(database=graph.database)
    ref, targets = identify("giant"), [identify(f"required-{number}") for number in range(5)]
    made = [
        Version(
            name := f"{number // 1000}.{number % 1000}.0",
            f"{ref.purl}@{name}",
            "2021-05-11T14:05:36Z",
            tuple(Requirement(target, f"^{number % 7}.0.0") for target in targets),
        )
        for number in range(versions)
    ]
    package = Package(ref, None, None, tuple(made), (), '"etag"')
    write = PackageWrite(package, {}, ImportNames(("giant",)), datetime.now(UTC), (), follow=False)
    async with Graph.connect(graph.uri, graph.user, graph.password, settings, absent_retry_s=1.0) as connected:
        await connected.ensure_schema([ref.ecosystem])
        await connected.prepare([ref.ecosystem])
        return [
            {"visit": visit} | await _timed(connected.write_in_portions(write))
            for visit in ("written", "written again")
        ]


async def _timed(work: Coroutine[Any, Any, object]) -> dict[str, object]:
    """Return how long it took, and how the event loop fared meanwhile."""
    late: list[float] = []
    own: list[float] = []
    task = asyncio.create_task(work)
    started = time.perf_counter()
    while not task.done():
        asked, used = time.perf_counter() + TICK_S, time.thread_time()
        await asyncio.sleep(TICK_S)
        late.append((time.perf_counter() - asked) * 1000)
        own.append((time.thread_time() - used) * 1000)
    await task
    taken_s = time.perf_counter() - started
    late.sort()
    own.sort()
    return {
        "s": taken_s,
        "lag p99 ms": late[len(late) * 99 // 100],
        "lag max ms": late[-1],
        "own p99 ms": own[len(own) * 99 // 100],
        "own max ms": own[-1],
        "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


if __name__ == "__main__":
    main()
