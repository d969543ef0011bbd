"""This is a registry that a test makes up, and a worker on real stores that serves messages from it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from securechain_ingest.configuration import load
from securechain_ingest.errors import NotFound, Unreachable
from securechain_ingest.graph.batch import GraphBatcher
from securechain_ingest.http.priority import Priority, current_priority
from securechain_ingest.model import Artifact, Ecosystem, ImportNames, KnownPackage, Package, PackageRef
from securechain_ingest.oneshot import find_stores
from securechain_ingest.queue.breakers import Breakers
from securechain_ingest.queue.handling import Outcome
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.messages import Message
from securechain_ingest.registries.protocol import Registry, Unchanged
from securechain_ingest.settings import GraphSettings
from securechain_ingest.stores import Stores
from securechain_ingest.worker.archives import Archives
from securechain_ingest.worker.import_names_cache import ImportNamesCache
from securechain_ingest.worker.ratings import Ratings
from securechain_ingest.worker.visitor import Visitor
from securechain_ingest.worker.worker import Worker
from tests.graph.builders import NPM, npm, version, write
from tests.graph.conftest import CypherRunner
from tests.queue.running import entry_of
from tests.stores import AdvisoryTarget, GraphTarget, store_variables


def package(name: str, *versions: str, requires: Mapping[str, str] | None = None, **changes: Any) -> Package:
    """Return a package of npm, whose every version requires the same."""
    ref = npm(name)
    needs = {npm(target): constraints for target, constraints in (requires or {}).items()}
    made = write(ref, *(version(ref, each, needs) for each in versions or ("1.0.0",))).package
    archive = Artifact(f"http://localhost/{name}.tgz", f"{name}.tgz", made.versions[-1].name, None)
    return replace(made, artifacts=(archive,), **changes)


@dataclass
class MadeRegistry:
    """This has what is put into it."""

    packages: dict[str, Package] = field(default_factory=dict)
    near: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    near_error: Exception | None = None
    archive_error: Exception | None = None
    repository: str | None = None
    """This is what every archive says."""
    fetched: list[tuple[str, str | None]] = field(default_factory=list)
    """These are the names asked for, with what was announced of each."""
    priorities: list[Priority] = field(default_factory=list)
    """These are the priorities of the work that has asked."""
    archives_read: int = 0
    names: tuple[str, ...] | None = None
    """This is what every archive offers, if not the package's own name and one more."""
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    """While a test has it cleared, nobody gets an answer."""
    first_readings: list[str] = field(default_factory=list)
    """These are the names of which the fewest requests were to do."""
    portion: int | None = None
    """So many versions are read at one time, if they are to be read whole; None means all."""
    fails_after: int | None = None
    """After so many answers it cannot be reached."""
    documents_error: Exception | None = None
    """This is the error of every document that is to be read whole."""
    ecosystem: Ecosystem = NPM
    identify: Callable[[str], PackageRef] = npm

    def __post_init__(self) -> None:
        self.opened.set()

    def has(self, *packages: Package) -> None:
        self.packages |= {package.ref.registry_name: package for package in packages}

    @property
    def names_fetched(self) -> list[str]:
        return [name for name, _ in self.fetched]

    async def fetch(
        self, ref: PackageRef, known: KnownPackage | None, *, at_least: str | None = None, first: bool = False
    ) -> Package | Unchanged:
        self.fetched.append((ref.registry_name, at_least))
        self.priorities.append(current_priority())
        if self.fails_after is not None and len(self.fetched) > self.fails_after:
            raise Unreachable("nobody answers", url="http://localhost/")
        await self.opened.wait()
        if first:
            self.first_readings.append(ref.registry_name)
        elif self.documents_error is not None:
            raise self.documents_error
        found = self.packages.get(ref.registry_name)
        if found is None:
            raise NotFound(f"{ref.purl} does not exist", url=ref.purl)
        if first or self.portion is not None:
            told = known.read_versions if known else frozenset()
            unread = [each.name for each in found.versions if each.name not in told]
            left = unread[: -1 if first else -(self.portion or 1)]
            versions = (
                replace(each, requirements=None, requirements_pending=True) if each.name in left else each
                for each in found.versions
            )
            found = replace(found, versions=tuple(versions))
        is_same = known is not None and known.validator == found.validator and known.validator is not None
        return Unchanged(ref) if is_same and at_least is None else found

    async def import_names(self, package: Package) -> ImportNames:
        self.archives_read += 1
        if self.archive_error is not None:
            raise self.archive_error
        names = self.names or (package.ref.name, f"{package.ref.name}/more")
        return ImportNames(names, repository_url=self.repository)

    async def near_names(self, ref: PackageRef) -> tuple[str, ...]:
        if self.near_error is not None:
            raise self.near_error
        return self.near.get(ref.registry_name, ())

    def fallback_names(self, ref: PackageRef) -> tuple[str, ...]:
        return (ref.name,)


class Bench:
    """This is a worker, its registry and its stores."""

    def __init__(self, registry: MadeRegistry, stores: Stores, batcher: GraphBatcher, read: CypherRunner) -> None:
        self.registry = registry
        self.stores = stores
        self.read = read
        self.depth: int | None = None
        """This is the setting for messages that carry none."""
        registries: dict[str, Registry] = {NPM.label: registry}
        self.names = ImportNamesCache(stores.redis, "q", 60)
        self.has_room = True
        """This says whether the lane `required` takes follow-ups."""
        self._archives = Archives(Breakers(stores.redis, Keys("q")))
        visitor = Visitor(
            batcher, Ratings(stores.advisories), stores.changes, self.names, self._archives, max_versions=1000
        )

        async def room(_ecosystem: str) -> bool:
            return self.has_room

        self.worker = Worker(registries, visitor, max_strikes=2, depth=lambda: self.depth, has_room=room)

    async def serve(
        self,
        name: str,
        *,
        attempts: int = 0,
        outages: int = 0,
        redelivered: bool = False,
        lane: Lane = Lane.CHANGED,
        **keys: Any,
    ) -> Outcome:
        """Handle one message."""
        message = Message(NPM.label, name, **keys)
        return await self.worker.handle(
            entry_of(message, lane=lane, attempts=attempts, outages=outages, claimed=redelivered)
        )

    async def link_known(self, name: str, **keys: Any) -> Outcome | None:
        """Return what becomes of a message on a package that the graph may know."""
        [outcome] = await self.worker.link_known([entry_of(Message(NPM.label, name, **keys))])
        return outcome

    def forget_what_is_known_of_the_archives(self) -> None:
        """Make it as if a second had passed since they were last looked at."""
        self._archives._known.clear()

    async def follow_ups(self, name: str, **keys: Any) -> dict[str, int | None]:
        """Return the packages that a message leaves to be asked for, with the depth that is left to each."""
        queued = (await self.serve(name, **keys)).queue
        assert all(message.internal and not message.refresh for message in queued)
        return {message.package: message.depth for message in queued}

    async def together(self, *calls: Callable[[], Awaitable[Any]]) -> list[Any]:
        """Return the results, or errors, of calls that begin one after the other, before the first has got any
        answer.
        """
        tasks = []
        for call in calls:
            tasks.append(asyncio.ensure_future(call()))
            await asyncio.sleep(0)
        return await asyncio.gather(*tasks, return_exceptions=True)

    async def nodes(self) -> dict[str, Mapping[str, Any]]:
        """Return the packages' properties by purl."""
        return {node["purl"]: node for node in (await self.read.nodes(NPM.label)).values()}

    async def node(self, name: str) -> Mapping[str, Any]:
        return (await self.nodes())[npm(name).purl]

    async def requirement_file(self) -> str:
        """Return the id of a new one, as depex makes it."""
        [row] = await self.read("CREATE (f:RequirementFile {name: 'package.json'}) RETURN elementId(f) AS id")
        return str(row["id"])

    async def edges_of(self, element_id: str) -> dict[str, str]:
        rows = await self.read(
            "MATCH (f)-[r:REQUIRE]->(p) WHERE elementId(f) = $id RETURN p.purl AS purl, r.constraints AS constraints",
            id=element_id,
        )
        return {row["purl"]: row["constraints"] for row in rows}


@asynccontextmanager
async def made_bench(
    redis_url: str, graph: GraphTarget, advisories: AdvisoryTarget, state_dir: Path, read: CypherRunner
) -> AsyncIterator[Bench]:
    variables = store_variables(redis_url, graph, advisories, state_dir)
    async with (
        find_stores(load(environment=variables)) as stores,
        GraphBatcher(stores.graph, GraphSettings(linger_s=0)) as batcher,
    ):
        await stores.graph.ensure_schema([NPM])
        bench = Bench(MadeRegistry(), stores, batcher, read)
        try:
            yield bench
        finally:
            await bench.names.close()
