"""This is the client of crates.io: a crate costs one request, and its newest archive one (registries.md, section 5).

The sparse index has versions, requirements and dates but no repository. The archive's manifest has that, so that the
API, which allows one request a second, is never asked.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import quote

from securechain_ingest.archives.limits import ArchiveLimits
from securechain_ingest.errors import NotFound
from securechain_ingest.model import Artifact, ImportNames, KnownPackage, Package, PackageRef
from securechain_ingest.registries.cargo import names
from securechain_ingest.registries.cargo.feed import CargoFeed
from securechain_ingest.registries.cargo.import_names import read_crate
from securechain_ingest.registries.cargo.index import parse_index
from securechain_ingest.registries.kit.client import RegistryClient
from securechain_ingest.registries.kit.documents import ask_for_package, read_document, stale
from securechain_ingest.registries.kit.import_name_rules import clean
from securechain_ingest.registries.protocol import Unchanged


class Cargo(RegistryClient):
    """This implements `Registry`."""

    ecosystem: Final = names.CARGO
    identify = staticmethod(names.identify)
    feed: Final = CargoFeed

    async def fetch(
        self, ref: PackageRef, known: KnownPackage | None, *, at_least: str | None = None, first: bool = False
    ) -> Package | Unchanged:
        """Return all versions with their requirements, read in one request. See `Registry.fetch`."""
        if known is not None:
            ref = names.identify(known.registry_name)
        url = self._index_url(ref.registry_name)
        response = await ask_for_package(self._http, url, known, at_least)
        if response.not_modified:
            return Unchanged(ref)
        package = await self._pool.parse_document(parse_index, response.body, ref, url)
        if at_least is not None and at_least not in {version.name for version in package.versions}:
            raise stale(url, "has other versions", at_least)
        return replace(package, artifacts=tuple(map(self._located, package.artifacts)), validator=response.validator)

    async def _names_in_artifacts(self, package: Package) -> ImportNames:
        """Return the public paths in the newest archive, whose manifest also names the repository."""
        parse = partial(read_crate, limits=self._pool.limits)
        [artifact] = package.artifacts
        return await self._archives.parse_whole(artifact.url, parse, sha256=artifact.sha256)

    async def near_names(self, ref: PackageRef) -> tuple[str, ...]:
        """Return the crate whose name has `-` for `_` or the other way round, if there is one. The registry takes both
        for the same name."""
        spelling = names.other_spelling(ref.registry_name)
        if spelling is None:
            return ()
        url = self._index_url(spelling)
        try:
            package = await read_document(self._http, self._pool, url, parse_index, names.identify(spelling))
        except NotFound:
            return ()
        return (package.ref.registry_name,)

    def fallback_names(self, ref: PackageRef) -> tuple[str, ...]:
        """Return the name as Rust code writes it: nearly every library has that name."""
        return tuple(clean([names.library_name(ref.registry_name)]))

    @staticmethod
    def archive_names(path: str, filename: str, limits: ArchiveLimits) -> ImportNames:
        """Return the public paths in a `.crate` on disk. It raises ArchiveRefused."""
        with Path(path).open("rb") as file:
            return read_crate(file, limits)

    def _index_url(self, name: str) -> str:
        return self._http.url("crates_index", names.index_path(name))

    def _located(self, artifact: Artifact) -> Artifact:
        name = artifact.filename.removesuffix(f"-{artifact.version}.crate")
        # Object stores take a plus sign for a blank.
        url = self._http.url("crates_static", f"crates/{name}/{quote(artifact.filename, safe='')}")
        return replace(artifact, url=url)
