"""The npm registry: one request for a package, one for the newest tarball (registries.md, section 3)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import quote

from securechain_ingest.archives.limits import ArchiveLimits
from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.archives.remote import ArchiveReader
from securechain_ingest.errors import Stale
from securechain_ingest.http.client import HttpClient
from securechain_ingest.model import ImportNames, KnownPackage, Package, PackageRef
from securechain_ingest.registries.kit.import_name_rules import clean
from securechain_ingest.registries.npm import names
from securechain_ingest.registries.npm.feed import NpmFeed, revision_number
from securechain_ingest.registries.npm.import_names import read_tarball
from securechain_ingest.registries.npm.packument import parse_packument
from securechain_ingest.registries.protocol import Unchanged

# Exactly this: any mention of npm's own media type can select the abbreviated form, without dates and repository.
_ACCEPT: Final = "application/json"


class Npm:
    """Implements `Registry`."""

    ecosystem: Final = names.NPM
    identify = staticmethod(names.identify)
    feed: Final = NpmFeed

    def __init__(self, http: HttpClient, archives: ArchiveReader, pool: ParserPool) -> None:
        self._http = http
        self._archives = archives
        self._pool = pool

    async def fetch(
        self, ref: PackageRef, known: KnownPackage | None, *, at_least: str | None = None
    ) -> Package | Unchanged:
        """All versions with their requirements, in one request; see `Registry.fetch`."""
        if known is not None:
            # A message may carry the lower-cased name; the registry and the validator need the exact one.
            ref = names.identify(known.registry_name)
        url = self._http.url("npm_registry", quote(ref.registry_name, safe="@"))
        # What the feed has announced is not what the graph has: "not modified" would only mean an old copy.
        validator = known.validator if known and at_least is None else None
        response = await self._http.get(url, accept=_ACCEPT, validator=validator)
        if response.not_modified:
            return Unchanged(ref)
        package = await self._pool.parse_document(parse_packument, response.body, ref, url)
        announced, reached = revision_number(at_least), revision_number(package.revision)
        if announced is not None and reached is not None and reached < announced:
            raise Stale(f"{url} is of revision {package.revision}, and {at_least} has been announced", url=url)
        return replace(package, validator=response.validator)

    async def import_names(self, package: Package) -> ImportNames:
        """The modules in the newest tarball; see `Registry.import_names`."""
        if not package.artifacts:
            return ImportNames(self.fallback_names(package.ref))
        parse = partial(read_tarball, limits=self._pool.limits, name=package.ref.registry_name)
        artifact = package.artifacts[0]
        return await self._archives.parse_whole(artifact.url, parse, digest=artifact.digest)

    async def near_names(self, ref: PackageRef) -> tuple[str, ...]:
        """None: the registry's search is limited too strictly to be asked for a mistyped name."""
        return ()

    def fallback_names(self, ref: PackageRef) -> tuple[str, ...]:
        """The name itself: the root of a package can always be imported."""
        return tuple(clean([ref.registry_name]))

    @staticmethod
    def archive_names(path: str, filename: str, limits: ArchiveLimits) -> ImportNames:
        """The modules in a tarball on disk, under the name in its package.json. Raises ArchiveRefused."""
        with Path(path).open("rb") as file:
            return read_tarball(file, limits, None)
