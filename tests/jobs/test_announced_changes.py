"""What the worker makes of messages that a feed has caused, also beside those that somebody waits for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest

from securechain_ingest.advisories.store import AdvisoryStore
from securechain_ingest.archives.limits import ArchiveLimits
from securechain_ingest.configuration import load
from securechain_ingest.errors import (
    ArchiveRefused,
    IngestError,
    InvalidName,
    NotFound,
    ParserLost,
    PoisonMessage,
    TooLarge,
)
from securechain_ingest.graph.batch import GraphBatcher
from securechain_ingest.http.priority import Priority, current_priority
from securechain_ingest.model import Ecosystem, ImportNames, KnownPackage, Package, PackageRef
from securechain_ingest.oneshot import find_stores
from securechain_ingest.queue.handling import Outcome
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.messages import Message
from securechain_ingest.registries.protocol import Registry, Unchanged
from securechain_ingest.settings import GraphSettings
from securechain_ingest.worker.import_names_cache import ImportNamesCache
from securechain_ingest.worker.request import MAX_LOST_PARSERS
from securechain_ingest.worker.visitor import Visitor
from securechain_ingest.worker.worker import Worker
from tests.graph.builders import PYPI, pypi, version, write
from tests.graph.conftest import Reader, read
from tests.queue.running import entry_of
from tests.stores import AdvisoryTarget, GraphTarget
from tests.waiting import until

__all__ = ["read"]


@dataclass
class Made:
    """A registry of one package, held back while `opened` is not set."""

    package: Package | None
    asked: list[str | None] = field(default_factory=list)
    priorities: list[Priority] = field(default_factory=list)
    """Of the work that has asked."""
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    names_error: IngestError | None = None
    ecosystem: Ecosystem = PYPI
    names: tuple[str, ...] | None = None
    """What the archive offers, if not the package's own name."""

    def identify(self, name: str) -> PackageRef:
        return pypi(name)

    async def fetch(
        self, ref: PackageRef, known: KnownPackage | None, *, at_least: str | None = None
    ) -> Package | Unchanged:
        del known
        self.asked.append(at_least)
        self.priorities.append(current_priority())
        await self.opened.wait()
        if self.package is None:
            raise NotFound(f"{ref.purl} is gone", url=ref.purl)
        return self.package

    async def import_names(self, package: Package) -> ImportNames:
        if self.names_error is not None:
            raise self.names_error
        return ImportNames(self.names or (package.ref.name,))

    async def near_names(self, ref: PackageRef) -> tuple[str, ...]:
        del ref
        return ()

    def fallback_names(self, ref: PackageRef) -> tuple[str, ...]:
        return (ref.name,)

    def archive_names(self, path: str, filename: str, limits: ArchiveLimits) -> ImportNames:
        raise NotImplementedError


SIX = write(pypi("six"), "1.0", "2.0").package


class Bench:
    def __init__(self, worker: Worker, registry: Made, read: Reader) -> None:
        self.worker = worker
        self.registry = registry
        self._read = read

    async def serve(
        self,
        *,
        at_least: str | None = None,
        removed: bool = False,
        refresh: bool = True,
        lane: Lane = Lane.CHANGED,
        attempts: int = 0,
    ) -> Outcome:
        message = Message("PyPIPackage", "six", refresh=refresh, internal=True, at_least=at_least, removed=removed)
        return await self.worker.handle(entry_of(message, lane=lane, tries=attempts))

    async def is_removed(self) -> bool:
        [node] = (await self._read.nodes("PyPIPackage")).values()
        return node.get("removed_at") is not None


@pytest.fixture
async def bench(
    redis_url: str, graph_target: GraphTarget, advisory_target: AdvisoryTarget, read: Reader
) -> AsyncIterator[Bench]:
    variables = {
        "REDIS_URL": redis_url,
        "GRAPH_DB_URI": graph_target.uri,
        "GRAPH_DB_USER": graph_target.user,
        "GRAPH_DB_PASSWORD": graph_target.password,
        "VULN_DB_URI": advisory_target.uri,
        "SECURECHAIN_VULNERABILITIES__DATABASE": advisory_target.database,
    } | ({"SECURECHAIN_GRAPH__DATABASE": graph_target.database} if graph_target.database else {})
    registry = Made(SIX)
    registries: dict[str, Registry] = {PYPI.label: registry}
    async with (
        find_stores(load(environment=variables)) as stores,
        GraphBatcher(stores.graph, GraphSettings()) as graph,
    ):
        await stores.graph.ensure_schema([PYPI])
        advisories: AdvisoryStore = stores.advisories
        names = ImportNamesCache(stores.redis, 60)
        yield Bench(
            Worker(registries, Visitor(graph, advisories, names, max_versions=1000), max_strikes=1, depth=lambda: 0),
            registry,
            read,
        )


async def test_a_package_is_marked_as_removed_only_if_the_feed_says_so_and_its_document_is_gone(bench: Bench) -> None:
    bench.registry.opened.set()
    assert (await bench.serve(removed=True)).versions == 2
    assert not await bench.is_removed()
    bench.registry.package = None
    await bench.serve()
    assert not await bench.is_removed()
    await bench.serve(removed=True)
    assert await bench.is_removed()
    bench.registry.package = SIX
    await bench.serve()
    assert not await bench.is_removed()


@pytest.mark.parametrize("at_least", ["9" * 4301, "7 8", "7\x00"])
async def test_an_announcement_that_no_feed_makes_is_refused_at_once(bench: Bench, at_least: str) -> None:
    with pytest.raises(PoisonMessage, match="at_least") as refused:
        await bench.serve(at_least=at_least)
    assert refused.value.kind == "bad_schema"
    assert bench.registry.asked == []


async def test_a_parser_that_was_ended_from_outside_is_no_strike_against_its_archive(bench: Bench) -> None:
    bench.registry.opened.set()
    bench.registry.names_error = ParserLost("the parsing process died (SIGKILL)")
    for attempts in range(MAX_LOST_PARSERS - 1):
        with pytest.raises(ParserLost):
            await bench.serve(attempts=attempts)
    # But it must not cost the message.
    assert (await bench.serve(attempts=MAX_LOST_PARSERS - 1)).versions == 2


async def test_an_archive_that_took_more_than_a_parse_may_have_costs_its_names_at_once(bench: Bench) -> None:
    bench.registry.opened.set()
    bench.registry.names_error = ArchiveRefused("that takes over 10 s of processor time", reason="cpu_time")
    assert (await bench.serve()).versions == 2


async def test_a_change_announced_during_a_fetch_is_fetched_after_it(bench: Bench) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(bench.serve(refresh=False))
        await until(lambda: bench.registry.asked == [None])
        later = tasks.create_task(bench.serve(at_least="7"))
        bench.registry.opened.set()
        await later
    assert bench.registry.asked == [None, "7"]


async def test_bulk_work_on_a_package_becomes_urgent_when_somebody_asks_for_it(bench: Bench) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(bench.serve(refresh=False))
        await until(lambda: bench.registry.priorities)
        [priority] = bench.registry.priorities
        assert not priority.is_urgent
        tasks.create_task(bench.serve(refresh=False, lane=Lane.ASKED))
        await until(lambda: priority.is_urgent)
        bench.registry.opened.set()
    assert bench.registry.asked == [None]


async def test_what_somebody_asks_for_is_urgent_from_the_beginning(bench: Bench) -> None:
    bench.registry.opened.set()
    await bench.serve(lane=Lane.ASKED)
    assert [priority.is_urgent for priority in bench.registry.priorities] == [True]


async def test_what_is_out_of_bounds_in_a_registrys_answer_does_not_reach_the_graph(bench: Bench, read: Reader) -> None:
    target = pypi("attrs")
    odd = replace(target, name="a\0b", registry_name="a\0b")
    versions = (
        version(SIX.ref, "1.0", {target: "x" * 100_000, odd: "any"}),
        version(SIX.ref, "9" * 5_000),
    )
    bench.registry.package = replace(SIX, versions=versions)
    bench.registry.names = ("six", "x" * 256)
    bench.registry.opened.set()
    assert (await bench.serve()).versions == 1
    assert [node["name"] for node in (await read.nodes("Version")).values()] == ["1.0"]
    assert await read.awaited() == [("pkg:pypi/attrs", "pkg:pypi/six@1.0", "any")]
    [node] = (await read.nodes("PyPIPackage")).values()
    assert node["import_names"] == ["six"]
    assert "1 of 2 names are left out" in node["import_names_error"]


async def test_a_package_of_more_versions_than_are_allowed_is_refused(bench: Bench) -> None:
    bench.registry.package = write(pypi("six"), *(f"1.{number}" for number in range(1001))).package
    bench.registry.opened.set()
    with pytest.raises(TooLarge, match=r"1001 versions; at most 1000"):
        await bench.serve()


async def test_a_message_for_an_impossible_name_is_refused(bench: Bench) -> None:
    message = Message("PyPIPackage", "a\0b")
    with pytest.raises(InvalidName):
        await bench.worker.handle(entry_of(message))
