"""What an ecosystem answers. Adding one is a folder beside this file and one line in `registries/__init__.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from securechain_ingest.archives.limits import ArchiveLimits
from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.archives.remote import ArchiveReader
from securechain_ingest.http.client import HttpClient
from securechain_ingest.model import Ecosystem, ImportNames, KnownPackage, Package, PackageRef
from securechain_ingest.registries.feed import FeedClass


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The registry confirmed (304) that the package is as the graph has it."""

    ref: PackageRef
    revision: str | None = None
    """What the listing calls this state by now, where the confirmation tells and it may have moved."""


class Registry(Protocol):
    """One ecosystem's registry: identities, documents and import names. Knows neither queue nor stores."""

    @property
    def ecosystem(self) -> Ecosystem: ...

    def identify(self, name: str) -> PackageRef:
        """The identity behind any spelling of a name, without asking the registry. Raises InvalidName."""
        ...

    async def fetch(
        self, ref: PackageRef, known: KnownPackage | None, *, at_least: str | None = None
    ) -> Package | Unchanged:
        """Everything about one package, in as few requests as the registry allows.

        With `known`, the document is asked for conditionally and requirements of versions that the graph has are not
        asked for again where each costs a request. `at_least` is what the feed said of it (`Change.at_least`). Raises
        UpstreamError, Stale among them if the document is older than that; ParserLost when parsing killed its process.
        """
        ...

    async def import_names(self, package: Package) -> ImportNames:
        """What can be imported from the version that a user gets by default.

        Raises UpstreamError if the artifact cannot be read now, ArchiveRefused if it never can, ParserLost when parsing
        it killed its process. A package without artifacts answers with the fallback name.
        """
        ...

    async def near_names(self, ref: PackageRef) -> tuple[str, ...]:
        """Names, in the registry's spelling, that a person may have meant with one that it lacks.

        At most one further request; none where the registry has no cheap answer. Raises UpstreamError.
        """
        ...

    def fallback_names(self, ref: PackageRef) -> tuple[str, ...]:
        """The import names of a package whose artifact could not be read."""
        ...


class RegistryClass(Protocol):
    """A class that implements `Registry`: what can be said of the ecosystem without a connection, and the making."""

    @property
    def ecosystem(self) -> Ecosystem: ...

    @property
    def feed(self) -> FeedClass: ...

    def identify(self, name: str) -> PackageRef: ...

    def archive_names(self, path: str, filename: str, limits: ArchiveLimits) -> ImportNames:
        """What one archive on disk gives; synchronous and pure, run inside the guarded pool. Raises ArchiveRefused."""
        ...

    def __call__(self, http: HttpClient, archives: ArchiveReader, pool: ParserPool) -> Registry: ...
