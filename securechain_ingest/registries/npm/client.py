"""This is the client of the npm registry: a package costs one request, and its newest tarball one (registries.md,
section 3)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import quote

from securechain_ingest.archives.limits import ArchiveLimits
from securechain_ingest.model import ImportNames, KnownPackage, Package, PackageRef
from securechain_ingest.registries.kit.client import RegistryClient
from securechain_ingest.registries.kit.documents import ask_for_package, stale
from securechain_ingest.registries.npm import names
from securechain_ingest.registries.npm.feed import NpmFeed, revision_number
from securechain_ingest.registries.npm.import_names import read_tarball
from securechain_ingest.registries.npm.packument import parse_packument
from securechain_ingest.registries.protocol import Unchanged

# Exactly this: any mention of npm's own media type can select the abbreviated form, without dates and repository.
_ACCEPT: Final = "application/json"


class Npm(RegistryClient):
    """This implements `Registry`. The registry's search is limited too strictly to be asked for near names."""

    ecosystem: Final = names.NPM
    identify = staticmethod(names.identify)
    feed: Final = NpmFeed

    async def fetch(
        self, ref: PackageRef, known: KnownPackage | None, *, at_least: str | None = None, first: bool = False
    ) -> Package | Unchanged:
        """Return all versions with their requirements, read in one request. See `Registry.fetch`."""
        if known is not None:
            # A message may carry the lower-cased name; the registry and the validator need the exact one.
            ref = names.identify(known.registry_name)
        url = self._http.url("npm_registry", quote(ref.registry_name, safe="@"))
        response = await ask_for_package(self._http, url, known, at_least, accept=_ACCEPT)
        if response.not_modified:
            return Unchanged(ref)
        package = await self._pool.parse_document(parse_packument, response.body, ref, url)
        announced, reached = revision_number(at_least), revision_number(package.revision)
        if at_least is not None and announced is not None and reached is not None and reached < announced:
            raise stale(url, f"is of revision {package.revision}", at_least)
        return replace(package, validator=response.validator)

    async def _names_in_artifacts(self, package: Package) -> ImportNames:
        """Return the names of the modules in the newest tarball."""
        parse = partial(read_tarball, limits=self._pool.limits, name=package.ref.registry_name)
        artifact = package.artifacts[0]
        return await self._archives.parse_whole(artifact.url, parse, digest=artifact.digest)

    @staticmethod
    def archive_names(path: str, filename: str, limits: ArchiveLimits) -> ImportNames:
        """Return the modules in a tarball on disk, under the name in its package.json. It raises ArchiveRefused."""
        with Path(path).open("rb") as file:
            return read_tarball(file, limits, None)
