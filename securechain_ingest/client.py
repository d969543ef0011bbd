"""This module is for programs that ask for packages and read the graph: submit, wait, package, find.

It is the part of this package whose names other programs may rely on (docs/client.md). It speaks to Redis, the graph
and MongoDB directly, as the contract says, and never to a registry or to the daemon itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from pydantic import ValidationError
from redis.asyncio import Redis

from securechain_ingest.advisories.store import AdvisoryStore
from securechain_ingest.configuration import load
from securechain_ingest.drivers import redis_connection
from securechain_ingest.embedded.addresses import StoreAddresses
from securechain_ingest.errors import (
    ConfigError,
    IngestError,
    InvalidName,
    NotEnded,
    NotFound,
    NothingKept,
    StoreError,
)
from securechain_ingest.graph.store import Graph
from securechain_ingest.jobs.cursors import Cursors
from securechain_ingest.model import ANY
from securechain_ingest.queue.messages import Message
from securechain_ingest.queue.outcomes import Outcomes, PackageOutcome
from securechain_ingest.queue.submission import submit
from securechain_ingest.registries.naming import named_version
from securechain_ingest.reports.package import PackageReport, report_on
from securechain_ingest.reports.search import packages_affected, packages_offering
from securechain_ingest.runs import new_run_id, utc_now
from securechain_ingest.settings import GraphSettings, QueueSettings, VulnerabilitySettings
from securechain_ingest.store_addresses import of_running_daemon
from securechain_ingest.worker.release_changes import ReleaseChanges

__all__ = [
    "Client",
    "ConfigError",
    "IngestError",
    "InvalidName",
    "NotEnded",
    "NotFound",
    "NothingKept",
    "PackageOutcome",
    "PackageReport",
    "StoreError",
    "Submission",
    "connect",
    "connect_as_configured",
]

T = TypeVar("T")

_STREAM: Final = QueueSettings().stream
_DATABASE: Final = VulnerabilitySettings().database


@dataclass(frozen=True, slots=True)
class Submission:
    """These are packages that were asked for together. Another program may wait for it, too: it needs only these two
    values."""

    run: str
    """The daemon counts the packages under this id."""
    packages: int
    """This is the number of the packages."""


@dataclass(frozen=True, slots=True)
class _Connections:
    """A store is None if the client has no address of it."""

    queue: QueueSettings
    redis: Redis | None
    graph: Graph | None
    advisories: AdvisoryStore | None
    changes: ReleaseChanges | None


class Client:
    """`connect` and `connect_as_configured` yield it. Its methods may be called concurrently.

    A package is named as on the command line: `pypi:requests`, `npm:@babel/core` or a package URL. Every error is an
    IngestError: InvalidName for a name that cannot be one, StoreError if a store is away (another attempt may help),
    ConfigError if the client has no address of a store that it needs or is not let in.
    """

    def __init__(self, connections: _Connections) -> None:
        self._connections = connections

    async def submit(
        self,
        *packages: str,
        refresh: bool = False,
        constraints: str | None = None,
        parent_id: str | None = None,
        depth: int | None = None,
    ) -> Submission:
        """Ask for packages, and return what `wait` needs. Nothing is asked for if one of the names is wrong.

        With `refresh` they are read again even if they are known. `parent_id` is the elementId of a RequirementFile or
        Version, which gets an edge with the `constraints` to each of them. `depth` says how many levels of
        requirements are followed (0 to 1000); None leaves that to the daemon. A package that is named twice is asked
        for once; a version behind its name is left out, since it is read with all of them.
        """
        redis = _needed(self._connections.redis, "redis_url")
        refs = {ref.purl: ref for ref, _ in map(named_version, packages)}
        run = f"submission-{new_run_id(utc_now())}"
        messages = [
            Message(
                ref.ecosystem.label,
                ref.registry_name,
                constraints=constraints or ANY,
                parent_id=parent_id,
                refresh=refresh,
                depth=depth,
                run=run,
            )
            for ref in refs.values()
        ]
        if messages:
            await self._outcomes(redis, run).begin()
            await submit(redis, self._connections.queue, messages)
        return Submission(run, len(messages))

    async def wait(self, submission: Submission, *, timeout_s: float | None = None) -> list[PackageOutcome]:
        """Return what became of each package of a submission, in the order in which they ended.

        After `timeout_s` seconds NotEnded is raised; then it may be waited for again. NothingKept is raised if the
        submission has been waited for to its end before, was made more than a day ago, or if Redis has lost it.
        """
        redis = _needed(self._connections.redis, "redis_url")
        outcomes = self._outcomes(redis, submission.run)
        ended: list[PackageOutcome] = []
        if not submission.packages:
            return ended
        if not await outcomes.are_kept():
            raise NothingKept(f"nothing is kept of {submission.run}: it has ended before, or is older than a day")
        try:
            async with asyncio.timeout(timeout_s) as limit:
                async for outcome in outcomes.follow(submission.packages):
                    ended.append(outcome)  # noqa: PERF401 - what has come before the time is over is counted
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise NotEnded(
                f"{len(ended)} of {submission.packages} packages have ended within {timeout_s} s; is a daemon running?"
            ) from error
        await outcomes.end()
        return ended

    async def package(self, name: str) -> PackageReport:
        """Return what the graph and the advisories know of a package, or of one version of it (`pypi:jinja2@3.1.0`).

        NotFound is raised if the graph lacks it. `PackageReport.as_dict` is what `show --json` prints.
        """
        held = self._connections
        redis, graph = _needed(held.redis, "redis_url"), _needed(held.graph, "graph_uri")
        advisories = _needed(held.advisories, "vulnerabilities_uri")
        changes = _needed(held.changes, "vulnerabilities_uri")
        ref, version = named_version(name)
        return await report_on(graph.reader, advisories, changes, Cursors(redis, held.queue.stream), ref, version)

    async def find(self, import_name: str | None = None, *, advisory: str | None = None) -> list[str]:
        """Return the package URLs of those packages of the graph that offer an import, or that an advisory affects.

        Exactly one of the two is given: a name exactly as in code, or the id of an advisory or one of its aliases
        (CVE-…). NotFound is raised if no advisory has the id.
        """
        graph = _needed(self._connections.graph, "graph_uri")
        if import_name is not None and advisory is None:
            return await packages_offering(graph.reader, import_name)
        if advisory is not None and import_name is None:
            store = _needed(self._connections.advisories, "vulnerabilities_uri")
            return await packages_affected(graph.reader, store, advisory)
        raise TypeError("find takes an import name or an advisory, one of them")

    def _outcomes(self, redis: Redis, run: str) -> Outcomes:
        return Outcomes(redis, self._connections.queue.stream, run, wait=True)


@asynccontextmanager
async def connect(
    *,
    redis_url: str | None = None,
    graph_uri: str | None = None,
    graph_user: str = "neo4j",
    graph_password: str = "",
    graph_database: str | None = None,
    vulnerabilities_uri: str | None = None,
    vulnerabilities_database: str = _DATABASE,
    stream: str = _STREAM,
    timeout_s: float = 30.0,
) -> AsyncIterator[Client]:
    """Yield a client with connections of its own, which the end of the block closes.

    `submit` and `wait` need Redis, `find` needs the graph and for advisories MongoDB, and `package` needs all three.
    Each store is connected to when it is first needed. No answer is waited for longer than `timeout_s` seconds.
    ConfigError is raised for an address that is none.
    """
    try:
        queue = QueueSettings(stream=stream)
        graph_settings = GraphSettings(database=graph_database, query_timeout_s=timeout_s)
        vulnerabilities = VulnerabilitySettings(database=vulnerabilities_database, timeout_s=timeout_s)
    except ValidationError as error:
        raise ConfigError("; ".join(f"{each['loc'][-1]}: {each['msg']}" for each in error.errors())) from error
    addresses = StoreAddresses(redis_url, graph_uri, graph_user, graph_password, graph_database, vulnerabilities_uri)
    async with _connected(addresses, queue, graph_settings, vulnerabilities, timeout_s) as client:
        yield client


@asynccontextmanager
async def connect_as_configured(
    config_file: Path | None = None, *, state_dir: Path | None = None
) -> AsyncIterator[Client]:
    """Yield a client of the stores that the command line uses: those of the configuration, else those of a daemon that
    runs on the state directory.

    ConfigError is raised for a wrong configuration, and StoreError if no daemon runs whose stores could be used.
    """
    settings = load(config_file, flags={("daemon", "state_dir"): ("state_dir", state_dir)})
    addresses = of_running_daemon(settings)
    graph = settings.graph.model_copy(update={"database": addresses.graph_database})
    async with _connected(
        addresses, settings.queue, graph, settings.vulnerabilities, settings.redis.timeout_s
    ) as client:
        yield client


@asynccontextmanager
async def _connected(
    addresses: StoreAddresses,
    queue: QueueSettings,
    graph_settings: GraphSettings,
    vulnerabilities: VulnerabilitySettings,
    redis_timeout_s: float,
) -> AsyncIterator[Client]:
    async with AsyncExitStack() as stack:
        redis = graph = advisories = changes = None
        if addresses.redis_url is not None:
            redis = redis_connection.connect(addresses.redis_url, redis_timeout_s)
            stack.push_async_callback(redis.aclose)
        if addresses.graph_uri is not None:
            graph = await stack.enter_async_context(
                Graph.connect(
                    addresses.graph_uri,
                    addresses.graph_user or "",
                    addresses.graph_password or "",
                    graph_settings,
                    absent_retry_s=0.0,
                )
            )
        if addresses.vulnerability_uri is not None:
            advisories = await stack.enter_async_context(
                AdvisoryStore.connect(addresses.vulnerability_uri, vulnerabilities)
            )
            changes = ReleaseChanges(advisories.sibling(vulnerabilities.changes_collection))
        yield Client(_Connections(queue, redis, graph, advisories, changes))


def _needed(store: T | None, argument: str) -> T:
    if store is None:
        raise ConfigError(f"this needs `{argument}`, which the client was not given")
    return store
