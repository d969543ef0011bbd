"""This module has what the clients of all registries do alike. A client inherits it and adds what only its registry
needs."""

from __future__ import annotations

from abc import ABC, abstractmethod

from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.archives.remote import ArchiveReader
from securechain_ingest.http.client import HttpClient
from securechain_ingest.model import ImportNames, Package, PackageRef
from securechain_ingest.registries.kit.import_name_rules import clean
from securechain_ingest.registries.kit.kept_documents import KeptDocuments


class RegistryClient(ABC):
    """This is half of a `Registry`; the other half is `ecosystem`, `feed`, `identify`, `fetch` and `archive_names`."""

    def __init__(self, http: HttpClient, archives: ArchiveReader, pool: ParserPool, kept: KeptDocuments) -> None:
        self._http = http
        self._archives = archives
        self._pool = pool
        self._kept = kept

    async def import_names(self, package: Package) -> ImportNames:
        """Return the names in the package's artifacts. A package without artifacts has its fallback names and no error.
        See `Registry.import_names`."""
        if not package.artifacts:
            return ImportNames(self.fallback_names(package.ref))
        return await self._names_in_artifacts(package)

    async def near_names(self, ref: PackageRef) -> tuple[str, ...]:
        """Return no names, as a registry does that has no cheap search. See `Registry.near_names`."""
        return ()

    def fallback_names(self, ref: PackageRef) -> tuple[str, ...]:
        """Return the package's own name, by which most packages are imported. See `Registry.fallback_names`."""
        return tuple(clean([ref.registry_name]))

    @abstractmethod
    async def _names_in_artifacts(self, package: Package) -> ImportNames:
        """The subclass reads the artifacts, of which there is at least one, and raises what `import_names` raises."""
