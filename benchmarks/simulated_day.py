"""This measures what a day costs a registry: following its feed against reading every package again.

`python -m benchmarks.simulated_day [--packages 100000] [--ecosystems npm]`

A made registry of so many packages lists them all; on the day as large a share of them gets a new version as on a real
one (registries.md, volumes). The feed is followed from a cursor taken before, each changed package is read once with
what is known of it. Reading every package again is one conditional request for each, which is the least it can be.

Then it measures a day on which nothing changes, with so many packages in all six together (see
`benchmarks.unchanged_day`).
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from benchmarks.harness import print_header, print_table, work_dir
from benchmarks.unchanged_day import unchanged
from securechain_ingest.errors import CursorLost
from securechain_ingest.model import KnownPackage, Package
from securechain_ingest.registries.building import REGISTRIES
from securechain_ingest.registries.protocol import RegistryClass
from tests.registries.asking import connected, fed, known, listed
from tests.registry_server import Server, Shape, World, generate, serve
from tests.registry_server.history import HistoryEvent, RegistryHistory, What, moment
from tests.registry_server.maven import index

CHANGED_SHARE: Mapping[str, float] = {
    "pypi": 0.008,
    "npm": 0.01,
    "maven": 0.005,
    "cargo": 0.0035,
    "rubygems": 0.0035,
    "nuget": 0.005,
}
SEED = 1


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulated_day")
    parser.add_argument("--packages", type=int, default=100_000, help="in each registry")
    parser.add_argument("--ecosystems", default=",".join(CHANGED_SHARE))
    options = parser.parse_args()
    print_header(
        "Requests of a day",
        f"{options.packages} packages in each registry; changed on the day: as in the real ones, 0.35 to 1 %",
    )
    rows = []
    for registry in REGISTRIES:
        if registry.ecosystem.name in options.ecosystems.split(","):
            with work_dir() as folder:
                rows.append(asyncio.run(day(registry, options.packages, folder)))
    if rows:
        print_table(rows)
    print_header("Requests of a day without a change", f"{options.packages} packages in all registries together")
    with work_dir() as folder:
        print_table(asyncio.run(unchanged(options.packages, folder, past, all_requests)))


def past(ecosystem: str, packages: int) -> RegistryHistory:
    """Return the history of a registry that lists so many packages of one version."""
    return RegistryHistory(tuple(events([filler(ecosystem, number) for number in range(packages)], "1.0.0", 1)))


def all_requests(server: Server) -> int:
    """Return how many requests a made registry has had."""
    return sum(server.counters().get("requests", {}).values())


async def day(registry: RegistryClass, packages: int, folder: Path) -> dict[str, object]:
    """Return one registry's row."""
    ecosystem = registry.ecosystem.name
    count = int(packages * CHANGED_SHARE[ecosystem])
    shape = Shape(packages=count, seed=SEED, ecosystems=(ecosystem,), odd_share=0.0, large_share=0.0)
    made = generate(shape).packages
    # Maven's parents and BOMs are no packages of their own.
    names = [each.truth().registry_name for each in made if each.truth().versions]
    others = [filler(ecosystem, number) for number in range(packages - count)]
    evening = RegistryHistory(tuple(events([*others, *names], "1.0.0", 1)))
    # Maven Central publishes what has come since in one chunk.
    index.EVENTS_A_CHUNK = count
    morning = RegistryHistory((*evening.events, *events(names, "9.9.9", len(evening.events) + 1)))
    with serve(World(made, histories={ecosystem: evening})) as server:
        async with fed(registry.feed, server, folder) as feed, connected(registry, server, folder) as client:
            cursor = await feed.head()
            held: dict[str, KnownPackage] = {}
            for name in names:
                package = await client.fetch(client.identify(name), None)
                assert isinstance(package, Package)
                # All but the newest version, as on the day before.
                held[package.ref.purl] = known(replace(package, versions=package.versions[:-1] or package.versions))
            server.replace(World(made, histories={ecosystem: morning}))
            before, started_at = Counted(server), time.perf_counter()
            try:
                told = [change.name async for page in feed.changes(cursor) for change in page.changes]
            except CursorLost:
                # More in a day than crates.io's feed holds: everything is compared.
                told = list(await listed(feed))
            followed_s = time.perf_counter() - started_at
            feed_requests, feed_bytes = before.since()
            assert {client.identify(name).purl for name in told} >= set(held)
            before = Counted(server)
            for package_held in held.values():
                # The feed has announced another state: the document is asked for whole.
                await client.fetch(client.identify(package_held.registry_name), replace(package_held, validator=None))
            read_requests, read_bytes = before.since()
    total = feed_requests + read_requests
    return {
        "registry": ecosystem,
        "packages": packages,
        "changed": len(held),
        "feed requests": feed_requests,
        "feed MB": feed_bytes / 1e6,
        "feed s": followed_s,
        "package requests": read_requests,
        "package MB": read_bytes / 1e6,
        "all again": packages,
        "ratio": packages / total,
    }


class Counted:
    """This counts requests and bytes from now on."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._before = self._now()

    def since(self) -> tuple[int, int]:
        requests, sent = self._now()
        return requests - self._before[0], sent - self._before[1]

    def _now(self) -> tuple[int, int]:
        counters = self._server.counters()
        return sum(counters.get("requests", {}).values()), sum(counters.get("bytes", {}).values())


def filler(ecosystem: str, number: int) -> str:
    """Return the name of a package that is only listed."""
    return f"org.filler:filler-{number}" if ecosystem == "maven" else f"filler-{number}"


def events(names: list[str], version: str, first: int) -> list[HistoryEvent]:
    return [
        HistoryEvent(number, moment(number), name, version, What.PUBLISHED) for number, name in enumerate(names, first)
    ]


if __name__ == "__main__":
    main()
