"""This is what the tests of every registry's client need: the client itself, over real HTTP, and what a graph would
know.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar

from securechain_ingest.archives.limits import ArchiveLimits
from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.archives.remote import ArchiveReader
from securechain_ingest.ecosystem_settings import ConnectionSettings, EndpointSettings, RateSettings
from securechain_ingest.http.client import HttpClient
from securechain_ingest.model import KnownPackage, Package
from securechain_ingest.registries.feed import Change, Feed, FeedClass, unpack
from securechain_ingest.registries.kit.kept_documents import KeptDocuments
from securechain_ingest.registries.protocol import Registry
from securechain_ingest.settings import ArchiveSettings, HttpSettings
from tests.kept_parsers import KeptParserPool
from tests.registry_server import Server, World
from tests.registry_server.history import RegistryHistory
from tests.registry_server.traits import Made

MAX_ARTIFACT_BYTES = 10_000_000
LIMITS = ArchiveLimits.from_settings(ArchiveSettings())
"""These are the limits of a configuration that says nothing of archives."""

Client = TypeVar("Client", bound=Registry)
Make: TypeAlias = Callable[[HttpClient, ArchiveReader, ParserPool, KeptDocuments], Client]
"""This is what a registry's class is, once it is called."""


@asynccontextmanager
async def connected(make: Make[Client], server: Server, spool_dir: Path) -> AsyncIterator[Client]:
    """Yield a registry's client that asks `server` with `tools`. What it keeps on disk lies below `spool_dir`, too."""
    async with tools(server) as (http, pool):
        yield make(http, ArchiveReader(http, pool, spool_dir, MAX_ARTIFACT_BYTES), pool, kept_in(spool_dir))


def kept_in(folder: Path) -> KeptDocuments:
    """Return the documents that are kept below this folder, as many as by default."""
    return KeptDocuments(folder / "documents", HttpSettings().kept_documents_bytes)


@asynccontextmanager
async def tools(server: Server, **others: str) -> AsyncIterator[tuple[HttpClient, ParserPool]]:
    """Yield what asks `server`, or other endpoints than its own: without limits, without second tries, with one
    parsing process.
    """
    unlimited = dict.fromkeys(RateSettings.model_fields, "unlimited")
    async with (
        HttpClient(
            HttpSettings(retries=0),
            EndpointSettings(**server.endpoints() | others),
            RateSettings.model_validate(unlimited),
            ConnectionSettings.model_validate(unlimited),
        ) as http,
        KeptParserPool() as pool,
    ):
        yield http, pool


@asynccontextmanager
async def fed(make: FeedClass, server: Server, folder: Path, **others: str) -> AsyncIterator[Feed]:
    """Yield a registry's feed that asks `server` with `tools`."""
    async with tools(server, **others) as (http, pool):
        yield make(http, pool, folder)


@dataclass(frozen=True)
class Site:
    """This is a made registry, and what asks it."""

    server: Server

    def targets(self) -> list[str]:
        """Return what was asked for: path and query of each request."""
        return [request.target for request in self.server.requests]


@dataclass(frozen=True)
class RegistrySite(Site, Generic[Client]):
    """This is a made registry with a registry's client."""

    registry: Client

    async def fetched(self, name: str) -> Package:
        """Return what the client answers about a package that the graph lacks."""
        return await first_visit(self.registry, name)


@asynccontextmanager
async def registry_site(
    make: Make[Client],
    server: Server,
    spool_dir: Path,
    world: World,
) -> AsyncIterator[RegistrySite[Client]]:
    """Yield a client and the world that it asks, without faults; no request has been made yet."""
    server.faults.clear()
    server.replace(world)
    server.requests.clear()
    async with connected(make, server, spool_dir) as registry:
        yield RegistrySite(server, registry)


@dataclass(frozen=True)
class FeedSite(Site):
    """This is a made registry with a feed."""

    feed: Feed
    folder: Path
    """This is where the feed keeps what it has to keep."""
    ecosystem: str
    packages: tuple[Made, ...]
    """These are the packages that have documents."""

    def serve(self, past: RegistryHistory) -> None:
        """Serve another past from now on, and forget the requests so far."""
        self.server.replace(World(self.packages, histories={self.ecosystem: past}))
        self.server.requests.clear()


@asynccontextmanager
async def feed_site(
    make: FeedClass, server: Server, folder: Path, ecosystem: str, past: RegistryHistory, *packages: Made
) -> AsyncIterator[FeedSite]:
    """Yield a feed of a registry with that past, without faults."""
    server.faults.clear()
    async with fed(make, server, folder) as feed:
        site = FeedSite(server, feed, folder, ecosystem, packages)
        site.serve(past)
        yield site


async def listed(feed: Feed, position: str = "") -> dict[str, str | None]:
    """Return revisions by name, as the listing has them from a position."""
    return {entry.name: entry.revision async for page in feed.listing(position) for entry in unpack(page.packed)}


async def changed(feed: Feed, cursor: str) -> tuple[list[Change], str]:
    """Return all changes since a cursor, and the cursor after them."""
    found: list[Change] = []
    async for page in feed.changes(cursor):
        found += page.changes
        cursor = page.cursor
    return found, cursor


async def first_visit(registry: Registry, name: str) -> Package:
    """Return what the registry answers about a package that the graph lacks."""
    package = await registry.fetch(registry.identify(name), None)
    assert isinstance(package, Package)
    return package


def known(package: Package) -> KnownPackage:
    """Return what the graph knows once the package is written."""
    versions = frozenset(version.name for version in package.versions)
    return KnownPackage(package.ref.purl, package.ref.registry_name, versions, datetime.now(UTC), package.validator)


def pending(package: Package) -> KnownPackage:
    """Return what the graph knows once a first reading of the package is written."""
    left = frozenset(version.name for version in package.versions if version.requirements_pending)
    return replace(known(package), validator=None, pending=left, archive_pending=True)
