"""This measures what a first load of a whole registry costs it, and how long that takes: our way against reading
everything at once.

`python -m benchmarks.first_load [--packages 300] [--ecosystems npm] [--listed 100000,1000000]`

A made registry has packages with the versions of the real ones (13 on average, 5 in the median, one with 1,000) and
archives of real sizes. Both ways list it, and bring all packages into an emptied graph by the messages and the worker
of a daemon. The old way reads each package whole. Ours reads each from the fewest requests first, and the rest when all
are there. What the list itself costs is not counted: it is the same for both.

The days are those of the real registry: its packages times what one has cost here, at the default rate of the endpoint
that takes longest. Then it measures the memory of a daemon that lists a registry of names only (see
`benchmarks.listing_memory`).
"""

from __future__ import annotations

import argparse
import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from statistics import mean, median
from typing import Final

import structlog
from redis.asyncio import Redis

from benchmarks.harness import arcadedb, other_stores, print_header, print_table, work_dir
from benchmarks.listing_memory import memory
from securechain_ingest.configuration import load
from securechain_ingest.oneshot import find_stores
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.messages import Message
from securechain_ingest.registries import declaration_of
from securechain_ingest.registries.building import build_feeds
from securechain_ingest.registries.feed import Listed, unpack
from securechain_ingest.registries.protocol import Registry
from securechain_ingest.service import Service, build_service
from securechain_ingest.stores import Stores
from tests.queue.running import entry_of
from tests.registry_server import ExpectedPackage, Server, Shape, World, generate, npm, serve
from tests.registry_server.shape import ARCHIVE_BYTES
from tests.stores import GraphTarget, empty_graph

SEED: Final = 1
SPREAD: Final = 1.15
"""With one package of a thousand versions among three hundred, this makes 13 on average."""
GIANT_VERSIONS: Final = 1_000
AT_ONCE: Final = 32

PACKAGES: Final[Mapping[str, int]] = {
    "pypi": 736_344,
    "npm": 4_373_599,
    "maven": 700_000,
    "cargo": 200_000,
    "rubygems": 192_000,
    "nuget": 500_000,
}
"""The real registries have so many (registries.md, volumes; that of crates.io is not confirmed)."""

PACKUMENT_README_BYTES: Final = 3_000
"""This is what a readme adds to a document of npm, compressed: real ones have 4 to 9 kB in the mean."""


@dataclass(frozen=True, slots=True)
class Pass:
    """This is how all packages are asked for once."""

    lane: Lane
    first: bool


WHOLE: Final = Pass(Lane.LISTED, first=False)
FIRST: Final = Pass(Lane.LISTED, first=True)
REST: Final = Pass(Lane.COMPLETED, first=False)


@dataclass(frozen=True, slots=True)
class Cost:
    """This counts what the registry was asked, by endpoint."""

    requests: Counter[str]
    received_bytes: Counter[str]

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.requests - other.requests, self.received_bytes - other.received_bytes)

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.requests + other.requests, self.received_bytes + other.received_bytes)

    def row(self, packages: int) -> dict[str, float]:
        """Return the figures for one package."""
        return {
            "requests a package": self.requests.total() / packages,
            "kB a package": self.received_bytes.total() / packages / 1000,
        }

    def days(self, ecosystem: str, packages: int) -> float:
        """Return the days that all packages of the real registry take, at the default rates."""
        endpoints = {endpoint.key: endpoint.rate for endpoint in declaration_of(ecosystem).endpoints}
        scale = PACKAGES[ecosystem] / packages / 86_400
        return max(count * scale / endpoints[key] for key, count in self.requests.items())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.first_load")
    parser.add_argument("--packages", type=int, default=300, help="of each registry, and one with 1,000 versions")
    parser.add_argument("--ecosystems", default=",".join(PACKAGES))
    parser.add_argument("--listed", default="100000,1000000", help="names of a registry that is only listed")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    rows, ratios = [], []
    with work_dir() as folder, arcadedb(folder / "graph") as graph, other_stores(folder, graph) as environment:
        for ecosystem in filter(None, options.ecosystems.split(",")):
            world = made(ecosystem, options.packages)
            packages = list(world.truth().values())
            ways = loads(folder / ecosystem, world, packages, graph, environment)
            rows += [_row(ecosystem, way, cost, len(packages)) for way, cost in ways.items()]
            ratios.append(_ratios(ecosystem, packages, ways))
    if rows:
        print_header("What a first load asks of a registry", _given(options.packages))
        print_table(rows)
        print_table(ratios)
    if sizes := [int(size) for size in options.listed.split(",") if size]:
        print_header("Memory while a registry is listed", "npm, names only; none of the packages is read")
        print_table([memory(size) for size in sizes])


def _given(packages: int) -> str:
    sizes = ", ".join(f"{name} {size // 1000} kB" for name, size in ARCHIVE_BYTES.items())
    counts = ", ".join(f"{name} {count:,}" for name, count in PACKAGES.items())
    return (
        f"{packages} packages of each registry and one of {GIANT_VERSIONS:,} versions; archives: {sizes};"
        f" the days are for {counts} packages at the default rates"
    )


def _row(ecosystem: str, way: str, cost: Cost, packages: int) -> dict[str, object]:
    return {"registry": ecosystem, "way": way, **cost.row(packages), "days": cost.days(ecosystem, packages)}


def _ratios(ecosystem: str, packages: Sequence[ExpectedPackage], ways: Mapping[str, Cost]) -> dict[str, object]:
    versions = [len(package.versions) for package in packages]
    old, first = ways["whole at once"], ways["first pass"]
    total = ways["until complete"]
    return {
        "registry": ecosystem,
        "versions, mean": mean(versions),
        "median": median(versions),
        "most": max(versions),
        "first pass: requests": first.requests.total() / old.requests.total(),
        "bytes": first.received_bytes.total() / old.received_bytes.total(),
        "until complete: requests": total.requests.total() / old.requests.total(),
        "bytes ": total.received_bytes.total() / old.received_bytes.total(),
    }


def made(ecosystem: str, packages: int) -> World:
    """Return a registry whose packages have the versions, and whose archives have the sizes, of the real one."""
    shape = Shape(
        packages=packages,
        seed=SEED,
        version_spread=SPREAD,
        large_share=1.0,
        large_bytes=None,
        ecosystems=(ecosystem,),
        giant_versions=GIANT_VERSIONS,
    )
    random = Random(SEED)
    # Bytes of a readme that do not compress further; hexadecimal text takes twice as many.
    return World(
        tuple(
            replace(each, readme=random.randbytes(PACKUMENT_README_BYTES).hex())
            if isinstance(each, npm.Package)
            else each
            for each in generate(shape).packages
        )
    )


def loads(
    folder: Path,
    world: World,
    packages: Sequence[ExpectedPackage],
    graph: GraphTarget,
    environment: Mapping[str, str],
) -> dict[str, Cost]:
    """Return the cost of each way and of each part of ours."""
    with serve(world, keep_requests=False) as server:
        [old] = asyncio.run(_load(server, folder / "old", packages, graph, environment, [WHOLE]))
        first, rest = asyncio.run(_load(server, folder / "ours", packages, graph, environment, [FIRST, REST]))
    return {"whole at once": old, "first pass": first, "the rest": rest, "until complete": first + rest}


async def _load(
    server: Server,
    state_dir: Path,
    packages: Sequence[ExpectedPackage],
    graph: GraphTarget,
    environment: Mapping[str, str],
    passes: Sequence[Pass],
) -> list[Cost]:
    """Bring the packages into the emptied graph, pass by pass, and return what each has cost."""
    empty_graph(graph)
    async with Redis.from_url(environment["REDIS_URL"]) as client:
        await client.flushdb()
    own = {**environment, "SECURECHAIN_STATE_DIR": str(state_dir), **server.environment()}
    settings = load(environment=own)
    costs = []
    async with find_stores(settings) as stores, build_service(stores, settings, lambda: 0) as service:
        registry = service.registries[packages[0].label]
        feed = build_feeds(service.http, service.pool, state_dir / "feeds")[registry.ecosystem.name]
        names = {each.registry_name for each in packages}
        listed = [entry async for page in feed.listing("") for entry in unpack(page.packed) if entry.name in names]
        assert len(listed) == len(packages), "every package is listed"
        for each in passes:
            before = _asked(server)
            await _pass(service, registry, listed, each)
            # A package of very many versions is completed in portions.
            while not each.first and (left := await _pending(stores, registry, len(packages))):
                await _pass(service, registry, [entry for entry in listed if entry.name in left], REST)
            costs.append(_asked(server) - before)
            known = await stores.graph.names.states(registry.ecosystem, [package.purl for package in packages])
            assert len(known) == len(packages), "every package is in the graph"
            assert all(state.is_complete for state in known.values())
            pending = await _pending(stores, registry, len(packages))
            assert bool(pending) is each.first, "and only a first pass leaves something for later"
    return costs


async def _pending(stores: Stores, registry: Registry, most: int) -> set[str]:
    """Return the packages of which something has been left for later."""
    due = await stores.graph.pending.due(registry.ecosystem, datetime.now(UTC) + timedelta(days=2), most)
    return {each.name for each in due}


async def _pass(service: Service, registry: Registry, listed: Sequence[Listed], way: Pass) -> None:
    places = asyncio.Semaphore(AT_ONCE)

    async def serve_one(entry: Listed) -> None:
        # What a list says of a package goes along with the messages of a load, not with those that complete it.
        at_least = entry.at_least if way.lane is Lane.LISTED else None
        message = Message(
            registry.ecosystem.label, entry.name, internal=True, first=way.first, at_least=at_least, depth=0
        )
        async with places:
            await service.worker.handle(entry_of(message, lane=way.lane))

    await asyncio.gather(*map(serve_one, listed))


def _asked(server: Server) -> Cost:
    counters = server.counters()
    return Cost(Counter(counters.get("requests", {})), Counter(counters.get("bytes", {})))


if __name__ == "__main__":
    main()
