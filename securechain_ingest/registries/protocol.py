"""This module says what an ecosystem answers. A new one is a folder beside this file and one line in
`registries/__init__.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from securechain_ingest.archives.limits import ArchiveLimits
from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.archives.remote import ArchiveReader
from securechain_ingest.http.client import HttpClient
from securechain_ingest.model import Ecosystem, ImportNames, KnownPackage, Package, PackageRef
from securechain_ingest.registries.feed import FeedClass
from securechain_ingest.registries.kit.kept_documents import KeptDocuments


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The registry confirmed (304) that the package is as the graph has it."""

    ref: PackageRef
    revision: str | None = None
    """The listing gives this revision to the state by now. It is None if the confirmation does not say, or if the
    revision cannot have changed."""


class Registry(Protocol):
    """This is one ecosystem's registry: identities, documents and import names. It knows neither queue nor stores."""

    @property
    def ecosystem(self) -> Ecosystem: ...

    def identify(self, name: str) -> PackageRef:
        """Return the identity behind any spelling of a name, without asking the registry. It raises InvalidName."""
        ...

    async def fetch(
        self, ref: PackageRef, known: KnownPackage | None, *, at_least: str | None = None, first: bool = False
    ) -> Package | Unchanged:
        """Return everything about one package, read in as few requests as the registry allows, or Unchanged.

        With `known`, the document is asked for conditionally, and requirements of versions that the graph has are not
        asked for again where each costs a request, unless they are pending. `at_least` is what the feed said of the
        package (`Change.at_least`). With `first`, requirements that cost a request each are left for later but those of
        the newest version, and their versions say so (`Version.requirements_pending`). Of a package of very many
        versions the older ones are left for later without `first`, too. It raises UpstreamError, which is Stale if the
        document is older than that, and ParserLost when parsing killed its process.
        """
        ...

    async def import_names(self, package: Package) -> ImportNames:
        """Return what can be imported from the version that a user gets by default.

        It raises UpstreamError if the artifact cannot be read now, ArchiveRefused if it never can be, and ParserLost
        when parsing it killed its process. A package without artifacts has the fallback names.
        """
        ...

    async def near_names(self, ref: PackageRef) -> tuple[str, ...]:
        """Return names, in the registry's spelling, that a person may have meant with one that the registry lacks.

        It costs at most one further request, and finds nothing where the registry has no cheap answer. It raises
        UpstreamError.
        """
        ...

    def fallback_names(self, ref: PackageRef) -> tuple[str, ...]:
        """Return the import names of a package whose artifact could not be read."""
        ...


class RegistryClass(Protocol):
    """A class that implements `Registry` can be asked without a connection for what it knows of the ecosystem, and be
    made."""

    @property
    def ecosystem(self) -> Ecosystem: ...

    @property
    def feed(self) -> FeedClass: ...

    def identify(self, name: str) -> PackageRef: ...

    def archive_names(self, path: str, filename: str, limits: ArchiveLimits) -> ImportNames:
        """Return the import names in one archive on disk. It is synchronous, depends on nothing else, and runs in the
        guarded pool. It raises ArchiveRefused."""
        ...

    def __call__(
        self, http: HttpClient, archives: ArchiveReader, pool: ParserPool, kept: KeptDocuments
    ) -> Registry: ...
