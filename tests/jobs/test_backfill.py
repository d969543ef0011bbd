"""This tests reading import names anew, from a made registry, into each graph server."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from securechain_ingest.configuration import Settings, load
from securechain_ingest.errors import Paused
from securechain_ingest.jobs.backfill import BATCH_PACKAGES, Backfill, BackfillOutcome, Position
from securechain_ingest.model import Ecosystem, Package
from securechain_ingest.oneshot import find_stores
from securechain_ingest.queue.keys import Keys
from securechain_ingest.registries.npm.client import Npm
from securechain_ingest.registries.npm.names import NPM
from securechain_ingest.service import Service, build_service
from securechain_ingest.stores import Stores
from tests.graph.conftest import CypherRunner, read
from tests.registry_server import Fault, FaultKind, Server, World, npm, serve
from tests.stores import AdvisoryTarget, GraphTarget, store_variables
from tests.waiting import Gate, until

__all__ = ["read"]

LIBRARY = {"index.js": b"", "lib/part.js": b""}
NAMES = [f"package-{number:02}" for number in range(2 * BATCH_PACKAGES + 5)]
GOOD = [npm.Package(name, (npm.Version("1.0.0"), npm.Version("1.1.0", members=LIBRARY))) for name in NAMES]
WITHOUT_ARCHIVE = npm.Package("unarchived", (npm.Version("1.0.0", tarball=False),))
WORLD = World((*GOOD, WITHOUT_ARCHIVE))

WhyStopped = Callable[[Ecosystem], Awaitable[str | None]]


class NpmBackfill:
    """These are the stores, the registry and whatever a backfill of npm needs."""

    def __init__(self, server: Server, stores: Stores, service: Service, read: CypherRunner) -> None:
        self.server = server
        self.stores = stores
        self.service = service
        self.read = read
        self.npm: Npm = service.registries[NPM.label]  # type: ignore[assignment]

    def backfill(
        self,
        counts: Counter[BackfillOutcome],
        *,
        registry: Npm | None = None,
        older_than: int = 0,
        concurrency: int = 8,
        why_stopped: WhyStopped | None = None,
    ) -> Backfill:
        return Backfill(
            self.stores.graph,
            registry or self.npm,
            self.service.import_names,
            self.stores.changes,
            Position(self.stores.redis, "backfills", f"npm {older_than} pending"),
            Position(self.stores.redis, "backfills", f"npm {older_than}"),
            older_than=older_than,
            concurrency=concurrency,
            why_stopped=why_stopped or self.service.why_stopped,
            report=lambda kind: counts.update([kind]),
        )

    async def run(self, limit: int | None = None, **options: Any) -> Counter[BackfillOutcome]:
        counts: Counter[BackfillOutcome] = Counter()
        await self.backfill(counts, **options).run(limit)
        return counts

    async def leave(self, *names: str, **properties: object) -> None:
        """Leave packages as another program has left them."""
        await self.read(
            "UNWIND $names AS name CREATE (p:NPMPackage {name: name}) SET p += $properties"
            " CREATE (p)-[:HAVE]->(:Version {name: '1.0.0', purl: name})",
            names=names,
            properties=properties,
        )

    async def names(self) -> dict[str, list[str] | None]:
        rows = await self.read("MATCH (p:NPMPackage) RETURN p.name AS name, p.import_names AS names")
        return {row["name"]: row["names"] for row in rows}

    def asked_for(self) -> list[str]:
        return [request.target.strip("/") for request in self.server.requests if "/-/" not in request.target]

    def downloads(self) -> int:
        return sum("/-/" in request.target for request in self.server.requests)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve(WORLD) as running:
        yield running


@pytest.fixture
def settings(
    server: Server, redis_url: str, graph_target: GraphTarget, advisory_target: AdvisoryTarget, tmp_path: Path
) -> Settings:
    variables = store_variables(redis_url, graph_target, advisory_target, tmp_path) | {
        "SECURECHAIN_HTTP__RETRIES": "0",
        "SECURECHAIN_ARCHIVES__PROCESSES": "1",
    }
    return load(environment=variables | server.environment())


@pytest.fixture
async def bench(server: Server, settings: Settings, read: CypherRunner) -> AsyncIterator[NpmBackfill]:
    server.requests.clear()
    server.faults.clear()
    async with AsyncExitStack() as stack:
        stores = await stack.enter_async_context(find_stores(settings))
        service = await stack.enter_async_context(build_service(stores, settings, lambda: 0))
        yield NpmBackfill(server, stores, service, read)


def found(name: str) -> list[str]:
    return [name, f"{name}/lib/part"]


async def test_every_package_without_names_gets_its_own_and_nothing_is_left(bench: NpmBackfill) -> None:
    await bench.leave(*NAMES)
    counts: Counter[BackfillOutcome] = Counter()
    backfill = bench.backfill(counts)
    await backfill.run(None)
    assert counts == {BackfillOutcome.FOUND: len(NAMES)}
    assert await bench.names() == {name: found(name) for name in NAMES}
    assert await bench.run() == {}
    assert sorted(bench.asked_for()) == NAMES


async def test_failures_are_counted_and_hold_up_nobody(bench: NpmBackfill) -> None:
    first, second, third, *rest = NAMES[:10]
    bench.server.faults.add(Fault(f"/{first}", FaultKind.STATUS, times=None, status=500))
    bench.server.faults.add(Fault(f"/{second}", FaultKind.HTML, times=None))
    bench.server.faults.add(Fault(f"/{third}/-/*", FaultKind.TRUNCATED, times=None))
    await bench.leave("Not a name!", "not-there", first, second, third, *rest)

    assert await bench.run() == {
        BackfillOutcome.FOUND: len(rest),
        BackfillOutcome.DOWNLOAD_ERROR: 3,
        BackfillOutcome.PARSE_ERROR: 2,
    }

    names = await bench.names()
    assert {name: names[name] for name in rest} == {name: found(name) for name in rest}
    assert [names[name] for name in ("not-there", first, second)] == [None] * 3
    assert names[third] == [third], "the fallback, as after a visit of the daemon"

    bench.server.faults.clear()
    assert await bench.run() == {BackfillOutcome.FOUND: 3, BackfillOutcome.DOWNLOAD_ERROR: 2}


async def test_a_limit_stops_it_and_the_next_goes_on_even_behind_failures(bench: NpmBackfill) -> None:
    await bench.leave("a-failure", *NAMES[:5])
    assert await bench.run(limit=3) == {BackfillOutcome.DOWNLOAD_ERROR: 1, BackfillOutcome.FOUND: 2}
    assert await bench.run(limit=100) == {BackfillOutcome.FOUND: 3}
    assert await bench.run(limit=1) == {BackfillOutcome.DOWNLOAD_ERROR: 1}, "it was through, and began again"


async def test_packages_that_wait_to_be_completed_come_first_and_each_is_tried_once(bench: NpmBackfill) -> None:
    await bench.leave(*NAMES[:3])
    for number, name in enumerate((NAMES[5], NAMES[4], "not-there")):
        waits = {"archive_pending": True, "complete_at": datetime(2026, 1, 5, 12, number, tzinfo=UTC)}
        await bench.leave(name, import_names=[name], **waits)
    assert await bench.run(concurrency=1) == {BackfillOutcome.FOUND: 5, BackfillOutcome.DOWNLOAD_ERROR: 1}
    assert bench.asked_for() == [NAMES[5], NAMES[4], "not-there", *NAMES[:3]]
    rows = await bench.read("MATCH (p:NPMPackage) WHERE p.complete_at IS NOT NULL RETURN p.name AS name")
    assert rows == [{"name": "not-there"}]


async def test_a_limit_stops_among_those_that_wait_to_be_completed(bench: NpmBackfill) -> None:
    at = datetime(2026, 1, 5, 12, tzinfo=UTC)
    for number, name in enumerate(("not-there", *NAMES[:3])):
        await bench.leave(name, archive_pending=True, complete_at=at + timedelta(minutes=number))
    assert await bench.run(limit=2) == {BackfillOutcome.DOWNLOAD_ERROR: 1, BackfillOutcome.FOUND: 1}
    assert await bench.run(limit=2) == {BackfillOutcome.FOUND: 2}
    assert await bench.run() == {BackfillOutcome.DOWNLOAD_ERROR: 1}, "among all of them, and then it was through"


async def test_one_that_is_stopped_goes_on_where_it_stood(bench: NpmBackfill) -> None:
    await bench.leave(*NAMES)
    stalled = NAMES[BATCH_PACKAGES + 3]
    bench.server.faults.add(Fault(f"/{stalled}", FaultKind.STALL, times=1))
    counts: Counter[BackfillOutcome] = Counter()
    run = asyncio.create_task(bench.backfill(counts, concurrency=1).run(None), name="backfill")
    await until(lambda: stalled in bench.asked_for())
    run.cancel()
    await asyncio.wait([run])
    assert run.cancelled()
    written = NAMES[:BATCH_PACKAGES]
    assert {name for name, names in (await bench.names()).items() if names} == set(written)

    bench.server.requests.clear()
    assert await bench.run() == {BackfillOutcome.FOUND: len(NAMES) - BATCH_PACKAGES}
    assert sorted(bench.asked_for()) == NAMES[BATCH_PACKAGES:]
    assert bench.downloads() == len(NAMES) - BATCH_PACKAGES - 3, "what had been extracted was remembered"


async def test_one_that_is_stopped_while_it_writes_ends_the_write_and_reports_it(
    bench: NpmBackfill, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.leave(*NAMES)
    fill_names = bench.stores.graph.fill_names
    gate: Gate[None] = Gate(None)

    async def held(ecosystem: Ecosystem, found: Any) -> None:
        await gate(found)
        await fill_names(ecosystem, found)

    monkeypatch.setattr(bench.stores.graph, "fill_names", held)
    counts: Counter[BackfillOutcome] = Counter()
    run = asyncio.create_task(bench.backfill(counts).run(None), name="backfill")
    await gate.entered.wait()
    run.cancel()
    gate.opened.set()
    await asyncio.wait([run])
    assert run.cancelled()
    assert run.cancelling() == 1, "asyncio.run takes a second cancellation for somebody else's, not for a Ctrl-C"
    assert counts == {BackfillOutcome.FOUND: BATCH_PACKAGES}
    assert sum(names is not None for names in (await bench.names()).values()) == BATCH_PACKAGES


async def test_a_pause_that_comes_meanwhile_ends_it_and_the_next_one_goes_on(bench: NpmBackfill) -> None:
    await bench.leave(*NAMES)
    answers = iter([None] * (BATCH_PACKAGES + 3))

    async def paused(_: Ecosystem) -> str | None:
        return next(answers, "npm has been paused")

    with pytest.raises(ExceptionGroup) as ended:
        await bench.run(why_stopped=paused, concurrency=1)
    assert [str(error) for error in ended.value.exceptions] == ["npm has been paused"]
    assert isinstance(ended.value.exceptions[0], Paused)
    assert set(bench.asked_for()) <= set(NAMES[: BATCH_PACKAGES + 3])
    assert sum(names is not None for names in (await bench.names()).values()) == BATCH_PACKAGES

    assert await bench.run() == {BackfillOutcome.FOUND: len(NAMES) - BATCH_PACKAGES}
    assert all((await bench.names()).values())


async def test_no_more_packages_than_allowed_are_in_hand_at_once(bench: NpmBackfill) -> None:
    in_hand: Counter[str] = Counter()
    most = 0
    are_three = asyncio.Event()

    class Watched(Npm):
        async def import_names(self, package: Package) -> Any:
            nonlocal most
            in_hand[package.ref.purl] += 1
            most = max(most, in_hand.total())
            if most == 3:
                are_three.set()
            await are_three.wait()
            try:
                return await super().import_names(package)
            finally:
                in_hand[package.ref.purl] -= 1

    await bench.leave(*NAMES[:20])
    watched = Watched(bench.npm._http, bench.npm._archives, bench.npm._pool, bench.npm._kept)
    assert await bench.run(registry=watched, concurrency=3) == {BackfillOutcome.FOUND: 20}
    assert most == 3


async def test_names_of_an_older_parser_are_replaced_unless_reading_fails(bench: NpmBackfill) -> None:
    this, later = NPM.import_names_version, NPM.import_names_version + 1

    class Later(Npm):
        """This is the same registry in a later release, whose parser finds other names."""

        ecosystem = replace(NPM, import_names_version=later)  # type: ignore[misc]

    good, damaged = NAMES[:2]
    await bench.leave(good, damaged, import_names=["of-an-older-parser"], import_names_parser=this)
    await bench.leave(NAMES[2], import_names=["of-this-parser"], import_names_parser=later)
    bench.server.faults.add(Fault(f"/{damaged}/-/*", FaultKind.TRUNCATED, times=None))
    assert await bench.run() == {}
    registry = Later(bench.npm._http, bench.npm._archives, bench.npm._pool, bench.npm._kept)

    assert await bench.run(registry=registry, older_than=later) == {
        BackfillOutcome.FOUND: 1,
        BackfillOutcome.PARSE_ERROR: 1,
    }

    assert await bench.names() == {
        good: found(good),
        damaged: ["of-an-older-parser"],
        NAMES[2]: ["of-this-parser"],
    }
    [row] = await bench.read("MATCH (p:NPMPackage {name: $name}) RETURN p.import_names_parser AS parser", name=good)
    assert row == {"parser": later}


async def test_what_this_parser_has_extracted_lately_costs_no_download(bench: NpmBackfill) -> None:
    await bench.leave(NAMES[0])
    await bench.run()
    await bench.read("MATCH (p:NPMPackage) SET p.import_names = []")
    bench.server.requests.clear()
    assert await bench.run() == {BackfillOutcome.FOUND: 1}
    assert (bench.asked_for(), bench.downloads()) == ([NAMES[0]], 0)

    await bench.service.import_names.close()
    key = Keys("package-extraction").import_names("npm", NAMES[0], "1.1.0")
    remembered = await bench.stores.redis.get(key)
    assert isinstance(remembered, bytes)
    entry = orjson.loads(remembered)
    entry |= {"parser": entry["parser"] - 1, "import_names": ["old"]}
    await bench.stores.redis.set(key, orjson.dumps(entry))
    await bench.read("MATCH (p:NPMPackage) SET p.import_names = []")
    assert await bench.run() == {BackfillOutcome.FOUND: 1}
    assert bench.downloads() == 1
    assert await bench.names() == {NAMES[0]: found(NAMES[0])}
