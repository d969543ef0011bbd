"""This is the worker and `ingest` on real stores and a made registry, whose documents a test spoils."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from securechain_ingest import oneshot
from securechain_ingest.model import PackageRef
from securechain_ingest.queue.messages import Message
from securechain_ingest.registries import declaration_of
from tests.queue.running import entry_of
from tests.registry_server import Fault, Server, World, serve
from tests.removals.packages import KINDS, Packages
from tests.stores import AdvisoryTarget, GraphTarget, empty_graph
from tests.worker.everything import Everything, everything

_numbers = count()


@dataclass(frozen=True, slots=True)
class Subject:
    """This is one package of one ecosystem."""

    kind: Packages
    short_name: str
    daemon: Everything

    @property
    def name(self) -> str:
        return self.kind.traits.name.format(self.short_name)

    @property
    def ref(self) -> PackageRef:
        return declaration_of(self.kind.ecosystem).identify(self.name)

    @property
    def path(self) -> str:
        """Return the path of the document that lists the versions."""
        return self.kind.traits.document(self.short_name)

    def serve(self, *versions: str) -> None:
        """Let the registry have these versions of the package, in this order; none: it has no such package."""
        self.daemon.server.replace(World((self.kind.make(self.short_name, versions),) if versions else ()))

    def document(self, *versions: str) -> bytes:
        """Return what the registry answers about the package if it has these versions."""
        return self.kind.document(self.short_name, versions, self.daemon.server)

    def spoil(self, fault: Fault, *, times: int | None = 1) -> None:
        """Spoil the answer about the package after those that have been spoilt already."""
        self.daemon.server.faults.add(replace(fault, path=self.path, times=times))

    async def message(self, *, attempts: int = 0, **facts: Any) -> None:
        """Handle a message of the daemon's own: by default the periodic refresh."""
        message = Message(self.ref.ecosystem.label, self.name, **({"refresh": True, "internal": True} | facts))
        await self.daemon.service.worker.handle(entry_of(message, attempts=attempts, claimed=attempts > 0))

    async def ingest(self) -> None:
        """Do as `ingest --refresh` does."""
        outcome = await oneshot.ingest(
            self.daemon.service,
            [self.ref],
            depth=0,
            refresh=True,
            places={self.ref.ecosystem.name: 1},
            report=lambda done, total: None,
        )
        assert outcome.failed == []

    async def package(self) -> dict[str, Any]:
        [node] = (await self.daemon.read.nodes(self.ref.ecosystem.label)).values()
        return dict(node)

    async def is_removed(self) -> bool:
        return (await self.package()).get("removed_at") is not None

    async def removed(self) -> set[str]:
        """Return the versions that are marked."""
        nodes = (await self.daemon.read.nodes("Version")).values()
        return {str(node["name"]) for node in nodes if node.get("removed")}

    async def versions(self) -> set[str]:
        return {str(node["name"]) for node in (await self.daemon.read.nodes("Version")).values()}

    def asked(self) -> list[tuple[int, bool, bool]]:
        """Return for each request for the package's document the status, and whether it was conditional and past
        caches.
        """
        conditions = {"if-none-match", "if-modified-since"}
        return [
            (
                request.status,
                bool(conditions & request.headers.keys()),
                request.headers.get("cache-control") == "no-cache",
            )
            for request in self.daemon.server.requests
            if request.target == self.path
        ]

    def forget_requests(self) -> None:
        self.daemon.server.requests.clear()


@pytest.fixture(scope="module")
def registries() -> Iterator[Server]:
    with serve(World()) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def daemon(
    registries: Server,
    redis_server: str,
    arcadedb_server: GraphTarget,
    advisory_server: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Everything]:
    """Yield what tests share: each has a package of its own, for what is remembered of another one."""
    advisories, state_dir = AdvisoryTarget(advisory_server, "removals"), tmp_path_factory.mktemp("removals")
    strikes = {"SECURECHAIN_ARCHIVES__MAX_STRIKES": "2"}
    async with everything(registries, redis_server, arcadedb_server, advisories, state_dir, strikes) as daemon:
        yield daemon


@pytest_asyncio.fixture(loop_scope="module", params=KINDS, ids=lambda kind: kind.ecosystem)
async def subject(
    request: pytest.FixtureRequest, daemon: Everything, arcadedb_server: GraphTarget, tmp_path: Path
) -> Subject:
    """The package alone is in the graph, with the versions 1.0.0 and 2.0.0, as its registry has it."""
    del tmp_path
    empty_graph(arcadedb_server)
    daemon.server.faults.clear()
    kind: Packages = request.param
    made = Subject(kind, f"thing{next(_numbers)}", daemon)
    made.serve("1.0.0", "2.0.0")
    await made.message()
    made.forget_requests()
    return made
