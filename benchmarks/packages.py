"""This measures how fast packages come into the graph, and what each costs: the daemon against the plain one-at-a-time
loop.

`python -m benchmarks.packages [--ecosystems npm] [--existing 0] [--plain-packages 40]`

Both ways, each on a freshly started Neo4j, read the same made registry, which answers every request after 20 ms. The
daemon gets two sets of packages one after the other: the first meets cold servers, the second warm ones. A third set
goes to another daemon, whose queries and transactions a relay counts; the relay works on the same processors, so that
the first two sets do without it. `machine ms` tells how fast the machine itself was (`harness.machine_ms`), meanwhile.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from neo4j import Driver, GraphDatabase, NotificationMinimumSeverity

from benchmarks.counting_relays import BoltCounter, relaying
from benchmarks.harness import (
    Queue,
    child_named,
    cpu_s,
    machine_speed,
    neo4j,
    other_stores,
    print_header,
    print_table,
    seconds,
    work_dir,
)
from benchmarks.plain_loop import PlainLoop
from securechain_ingest.registries import DECLARATIONS
from tests.end_to_end.daemon_process import DaemonProcess, daemon
from tests.forked_product import SCRIPT
from tests.registry_server import ExpectedPackage, Shape, Spawned, generate, spawn
from tests.stores import GraphTarget

SEED, LATENCY_MS = 1, 20
EXISTING_VERSIONS = 5
GENERATED_AT_ONCE = 5_000
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.packages")
    parser.add_argument("--ecosystems", default=",".join(declared.name for declared in DECLARATIONS))
    parser.add_argument("--packages", type=int, default=150, help="of each set")
    parser.add_argument("--plain-packages", type=int, default=40, help="of the first set, for the plain loop")
    parser.add_argument("--existing", default="0,100000", help="packages in the graph before, for each round")
    options = parser.parse_args()
    for ecosystem in options.ecosystems.split(","):
        # Some made packages are empty or unpublished: there must be enough of the others.
        shape = Shape(packages=3 * options.packages, seed=SEED, ecosystems=(ecosystem,))
        packages = list(generate(shape).truth().values())
        sets = [packages[first : first + options.packages] for first in range(0, len(packages), options.packages)]
        versions = median(len(package.versions) for package in packages)
        print_header(
            f"Packages a second: {ecosystem}",
            f"sets of {options.packages} packages of median {versions:g} versions, {LATENCY_MS} ms a response,"
            f" a real Neo4j, no rate limits; the plain loop gets {options.plain_packages}",
        )
        arguments = ("--packages", str(shape.packages), "--seed", str(SEED), "--ecosystems", ecosystem)
        with spawn(*arguments, "--latency-ms", str(LATENCY_MS)) as registry, work_dir() as folder:
            for existing in map(int, options.existing.split(",")):
                plain = run_plain(folder / f"plain-{existing}", registry, sets[0][: options.plain_packages], existing)
                print_table(compared(plain, run_daemon(folder / f"daemon-{existing}", registry, sets, existing)))


def compared(plain: Row, others: Sequence[Row]) -> list[Row]:
    base = plain["packages/s"]
    assert isinstance(base, float)
    return [
        {**row, "ratio": row["packages/s"] / base} for row in (plain, *others) if isinstance(row["packages/s"], float)
    ]


def run_plain(folder: Path, registry: Spawned, packages: Sequence[ExpectedPackage], existing: int) -> Row:
    with neo4j(folder) as target, connected(target) as driver:
        label = packages[0].label
        fill(driver, label, existing)
        loop = PlainLoop(registry.endpoints(), driver)
        names = [package.registry_name for package in packages]
        before = PackageCosts(registry)
        with machine_speed() as speeds:
            elapsed_s = seconds(lambda: loop.ingest(packages[0].ecosystem, label, names))
        assert stored(driver, label) == existing + len(names)
        return {
            **before.row(f"plain loop, {existing} in the graph", len(names), elapsed_s),
            "neo4j ms/package": None,
            "daemon ms/package": None,
            "queries/package": loop.queries / len(names),
            "packages/transaction": 1 / max(1.0, loop.queries / len(names)),
            "machine ms": median(speeds),
        }


def run_daemon(folder: Path, registry: Spawned, sets: Sequence[Sequence[ExpectedPackage]], existing: int) -> list[Row]:
    rows: list[Row] = []
    with (
        neo4j(folder / "graph") as target,
        connected(target) as driver,
        other_stores(folder, target) as environment,
        Queue(environment) as queue,
    ):
        server = child_named("java")
        label, variables = sets[0][0].label, environment | registry.environment()
        fill(driver, label, existing)

        def measured(process: DaemonProcess, name: str) -> Row:
            """Return the row of the next set."""
            packages = sets[len(rows)]
            before = PackageCosts(registry)
            used = {who: cpu_s(pid) for who, pid in (("neo4j", server), ("daemon", process.process.pid))}
            if rows:
                queue.submit(packages)
            with machine_speed() as speeds:
                elapsed_s = seconds(queue.wait_until_settled)
            return {
                **before.row(f"daemon, {existing} in the graph, {name}", len(packages), elapsed_s),
                "neo4j ms/package": 1000 * (cpu_s(server) - used["neo4j"]) / len(packages),
                "daemon ms/package": 1000 * (cpu_s(process.process.pid) - used["daemon"]) / len(packages),
                "queries/package": None,
                "packages/transaction": None,
                "machine ms": median(speeds),
            }

        # They wait for the daemon, which is timed from the moment at which it is ready.
        queue.submit(sets[0])
        with daemon(variables, command=(SCRIPT,)) as process:
            rows += [measured(process, "cold")]
            rows += [measured(process, "warm")]
            assert process.stop() == 0
        with (
            relaying(BoltCounter(target.uri)) as bolt,
            daemon(variables | {"GRAPH_DB_URI": bolt.uri}, command=(SCRIPT,)) as process,
        ):
            bolt.messages.clear()
            row = measured(process, "counted")
            row["queries/package"] = bolt.messages["RUN"] / len(sets[2])
            row["packages/transaction"] = len(sets[2]) / bolt.messages["COMMIT"]
            rows += [row]
            assert process.stop() == 0
        assert stored(driver, label) == existing + sum(map(len, sets))
    return rows


class PackageCosts:
    """This counts requests and "not found" answers from now on."""

    def __init__(self, registry: Spawned) -> None:
        self._registry = registry
        self._before = self._now()

    def row(self, way: str, packages: int, elapsed_s: float) -> Row:
        requests, not_found, megabytes = (now - before for now, before in zip(self._now(), self._before, strict=True))
        return {
            "way": way,
            "packages": packages,
            "seconds": elapsed_s,
            "packages/s": packages / elapsed_s,
            "requests/package": requests / packages,
            "404s": int(not_found),
            "MB": megabytes,
        }

    def _now(self) -> tuple[float, float, float]:
        counters = self._registry.counters()
        requests, sent = (sum(counters.get(kind, {}).values()) for kind in ("requests", "bytes"))
        return requests, counters.get("statuses", {}).get("404", 0), sent / 1e6


def connected(target: GraphTarget) -> Driver:
    return GraphDatabase.driver(
        target.uri, auth=(target.user, target.password), notifications_min_severity=NotificationMinimumSeverity.OFF
    )


def fill(driver: Driver, label: str, count: int) -> None:
    """Put packages with versions into a graph that has no index yet."""
    with driver.session() as session:
        for first in range(0, count, GENERATED_AT_ONCE):
            session.run(
                f"UNWIND range($first, $last) AS number"
                f" CREATE (p:{label} {{name: 'existing-' + number, purl: 'pkg:made/existing-' + number}})"
                f" WITH p UNWIND range(1, $versions) AS version"
                f" CREATE (p)-[:HAVE]->(:Version {{name: '1.' + version, purl: p.purl + '@1.' + version,"
                f" serial_number: version - 1}})",
                first=first,
                last=min(first + GENERATED_AT_ONCE, count) - 1,
                versions=EXISTING_VERSIONS,
            ).consume()


def stored(driver: Driver, label: str) -> int:
    """Return packages that have a version."""
    with driver.session() as session:
        query = f"MATCH (p:{label}) WHERE (p)-[:HAVE]->(:Version) RETURN count(p) AS count"
        record: Mapping[str, Any] = session.run(query).single(strict=True)
        return int(record["count"])


if __name__ == "__main__":
    main()
