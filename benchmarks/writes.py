"""This measures what the graph's own write costs a Neo4j that has just started, without a daemon.

`python -m benchmarks.writes [--ecosystem npm] [--packages 200] [--runs 6] [--batch 25]`

Made packages, those of `benchmarks.packages`, are written in batches, one batch after the other. The figures are
processor time: the server's, which its just-in-time compiler shares, and this process's, which makes the statements.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.harness import child_named, cpu_s, neo4j, print_header, print_table, work_dir
from securechain_ingest.graph.store import Graph
from securechain_ingest.model import ImportNames, Package, PackageWrite, Requirement, Version
from securechain_ingest.registries import declaration_of, named_package
from securechain_ingest.settings import GraphSettings
from tests.registry_server import ExpectedPackage, Shape, generate

SEED = 1
Row = dict[str, object]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.writes")
    parser.add_argument("--ecosystem", default="npm")
    parser.add_argument("--packages", type=int, default=200, help="of each run")
    parser.add_argument("--runs", type=int, default=6)
    parser.add_argument("--batch", type=int, default=25, help="packages a transaction")
    options = parser.parse_args()
    wanted = options.packages * options.runs
    # Some made packages are empty or unpublished: there must be enough of the others.
    shape = Shape(packages=3 * wanted // 2, seed=SEED, ecosystems=(options.ecosystem,))
    packages = list(generate(shape).truth().values())[:wanted]
    runs = [packages[first : first + options.packages] for first in range(0, wanted, options.packages)]
    print_header(
        f"The graph's write: {options.ecosystem}",
        f"runs of {options.packages} packages in batches of {options.batch}, a real Neo4j that has just started",
    )
    with work_dir() as folder:
        print_table(asyncio.run(written(folder, options.ecosystem, runs, options.batch)))


async def written(folder: Path, ecosystem: str, runs: Sequence[Sequence[ExpectedPackage]], batch: int) -> list[Row]:
    """Return a row of the preparation and one of each run."""
    declared = declaration_of(ecosystem).ecosystem
    with neo4j(folder) as target:
        server, settings = child_named("java"), GraphSettings()
        async with Graph.connect(target.uri, target.user, target.password, settings, absent_retry_s=1.0) as graph:
            await graph.ensure_schema([declared])
            before = _Spent(server)
            await graph.prepare([declared])
            rows = [before.row("prepared", 0)]
            for number, packages in enumerate(runs, 1):
                before = _Spent(server)
                for first in range(0, len(packages), batch):
                    started_at = time.perf_counter()
                    await graph.write(list(writes(packages[first : first + batch])))
                    before.longest_s = max(before.longest_s, time.perf_counter() - started_at)
                rows.append(before.row(f"run {number}", len(packages)))
    return rows


def writes(packages: Sequence[ExpectedPackage]) -> Iterator[PackageWrite]:
    """Yield what the daemon would write for these packages."""
    for package in packages:
        versions = tuple(
            Version(
                version.name,
                version.purl,
                version.release_date,
                tuple(Requirement(named_package(purl), text) for purl, text in version.requirements.items()),
                version.yanked,
                version.deprecated,
            )
            for version in package.versions
        )
        found = Package(
            named_package(package.purl), package.vendor, package.repository_url, versions, (), '"a validator"'
        )
        names = ImportNames(package.import_names or (package.name,), version=package.versions[-1].name)
        yield PackageWrite(found, {}, names, datetime.now(UTC), (), follow=True)


class _Spent:
    """This counts from now on."""

    def __init__(self, server: int) -> None:
        self._server = server
        self._server_s, self._own_s, self._started_at = cpu_s(server), time.process_time(), time.perf_counter()
        self.longest_s = 0.0

    def row(self, what: str, packages: int) -> Row:
        server_s, own_s = cpu_s(self._server) - self._server_s, time.process_time() - self._own_s
        seconds = time.perf_counter() - self._started_at
        return {
            "run": what,
            "seconds": seconds,
            "neo4j s": server_s,
            "neo4j ms/package": 1000 * server_s / packages if packages else None,
            "own ms/package": 1000 * own_s / packages if packages else None,
            "longest transaction s": self.longest_s or None,
        }


if __name__ == "__main__":
    main()
