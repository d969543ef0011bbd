"""The worker and `ingest` on real stores and a made registry, whose documents a test spoils."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from neo4j import AsyncGraphDatabase

from securechain_ingest import oneshot
from securechain_ingest.configuration import load
from securechain_ingest.model import PackageRef
from securechain_ingest.oneshot import find_stores
from securechain_ingest.queue.messages import Message
from securechain_ingest.registries import declaration_of
from securechain_ingest.service import Service, build_service
from tests.graph.conftest import Reader
from tests.queue.running import entry_of
from tests.registry_server import Fault, Server, World, serve
from tests.removals.packages import KINDS, Kind
from tests.stores import AdvisoryTarget, GraphTarget, empty_graph

_numbers = count()


@dataclass(frozen=True, slots=True)
class Site:
    """What tests share: each has a package of its own, for what is remembered of another one."""

    server: Server
    service: Service
    read: Reader


@dataclass(frozen=True, slots=True)
class Bench:
    """One package of one ecosystem."""

    kind: Kind
    name: str
    site: Site

    @property
    def ref(self) -> PackageRef:
        return declaration_of(self.kind.ecosystem).identify(self.name)

    @property
    def path(self) -> str:
        """Of the document that lists the versions."""
        return self.kind.path(self.name)

    def serve(self, *versions: str) -> None:
        """Let the registry have these versions of the package, in this order; none: it has no such package."""
        self.site.server.replace(World((self.kind.make(self.name, versions),) if versions else ()))

    def document(self, *versions: str) -> bytes:
        """What the registry answers about the package if it has these versions."""
        return self.kind.document(self.name, versions, self.site.server)

    def spoil(self, fault: Fault, *, times: int | None = 1) -> None:
        """The answer about the package after those that have been spoilt already."""
        self.site.server.faults.add(replace(fault, path=self.path, times=times))

    async def message(self, *, attempts: int = 0, **facts: Any) -> None:
        """As a message of the daemon's own: by default the periodic refresh."""
        message = Message(self.ref.ecosystem.label, self.name, **({"refresh": True, "internal": True} | facts))
        await self.site.service.worker.handle(entry_of(message, tries=attempts, claimed=attempts > 0))

    async def ingest(self) -> None:
        """As `ingest --refresh`."""
        outcome = await oneshot.ingest(
            self.site.service,
            [self.ref],
            depth=0,
            refresh=True,
            places={self.ref.ecosystem.name: 1},
            report=lambda done, total: None,
        )
        assert outcome.failed == []

    async def package(self) -> dict[str, Any]:
        [node] = (await self.site.read.nodes(self.ref.ecosystem.label)).values()
        return dict(node)

    async def is_removed(self) -> bool:
        return (await self.package()).get("removed_at") is not None

    async def removed(self) -> set[str]:
        """The versions that are marked."""
        nodes = (await self.site.read.nodes("Version")).values()
        return {str(node["name"]) for node in nodes if node.get("removed")}

    async def versions(self) -> set[str]:
        return {str(node["name"]) for node in (await self.site.read.nodes("Version")).values()}

    def asked(self) -> list[tuple[int, bool, bool]]:
        """Of each request for the package's document: the status, and whether it was conditional and past caches."""
        conditions = {"if-none-match", "if-modified-since"}
        return [
            (
                request.status,
                bool(conditions & request.headers.keys()),
                request.headers.get("cache-control") == "no-cache",
            )
            for request in self.site.server.requests
            if request.target == self.path
        ]

    def forget_requests(self) -> None:
        self.site.server.requests.clear()


@pytest.fixture(scope="module")
def registries() -> Iterator[Server]:
    with serve(World()) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(
    registries: Server,
    redis_server: str,
    arcadedb_server: GraphTarget,
    advisory_server: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Site]:
    target, advisories = arcadedb_server, AdvisoryTarget(advisory_server, "removals")
    variables = {
        "REDIS_URL": redis_server,
        "GRAPH_DB_URI": target.uri,
        "GRAPH_DB_USER": target.user,
        "GRAPH_DB_PASSWORD": target.password,
        "VULN_DB_URI": advisories.uri,
        "SECURECHAIN_VULNERABILITIES__DATABASE": advisories.database,
        "SECURECHAIN_STATE_DIR": str(tmp_path_factory.mktemp("state")),
        "SECURECHAIN_HTTP__RETRIES": "0",
        "SECURECHAIN_HTTP__NOT_FOUND_TTL_S": "0.001",
        "SECURECHAIN_GRAPH__LINGER_S": "0",
        "SECURECHAIN_ARCHIVES__PROCESSES": "1",
    } | ({"SECURECHAIN_GRAPH__DATABASE": target.database} if target.database else {})
    settings = load(environment=variables | registries.environment())
    async with (
        find_stores(settings) as stores,
        build_service(stores, settings, lambda: 0) as service,
        AsyncGraphDatabase.driver(
            target.uri, auth=(target.user, target.password), notifications_min_severity="OFF"
        ) as driver,
    ):
        yield Site(registries, service, Reader(driver, target.database))


@pytest_asyncio.fixture(loop_scope="module", params=KINDS, ids=lambda kind: kind.ecosystem)
async def bench(request: pytest.FixtureRequest, site: Site, arcadedb_server: GraphTarget, tmp_path: Path) -> Bench:
    """The package alone is in the graph, with the versions 1.0.0 and 2.0.0, as its registry has it."""
    del tmp_path
    empty_graph(arcadedb_server)
    site.server.faults.clear()
    kind: Kind = request.param
    made = Bench(kind, kind.name(next(_numbers)), site)
    made.serve("1.0.0", "2.0.0")
    await made.message()
    made.forget_requests()
    return made
