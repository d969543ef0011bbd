"""This is the toy registry: one request for a package, one for the newest version's zip."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from securechain_ingest.archives.limits import ArchiveLimits
from securechain_ingest.errors import Malformed
from securechain_ingest.model import (
    ANY,
    Artifact,
    ImportNames,
    KnownPackage,
    Package,
    PackageRef,
    Requirement,
    Version,
)
from securechain_ingest.registries.kit.client import RegistryClient
from securechain_ingest.registries.kit.documents import ask_for_package, stale
from securechain_ingest.registries.kit.identity import version_purl
from securechain_ingest.registries.kit.json_documents import as_table, load_object
from securechain_ingest.registries.protocol import Unchanged
from tests.toybox import names
from tests.toybox.feed import ToyboxFeed
from tests.toybox.import_names import read_toy


class Toybox(RegistryClient):
    """This implements `Registry`."""

    ecosystem: Final = names.TOYBOX
    identify = staticmethod(names.identify)
    feed: Final = ToyboxFeed

    async def fetch(
        self, ref: PackageRef, known: KnownPackage | None, *, at_least: str | None = None, first: bool = False
    ) -> Package | Unchanged:
        """Return all versions with their requirements, in one request; see `Registry.fetch`."""
        url = self._http.url("toybox_index", f"packages/{ref.name}.json")
        response = await ask_for_package(self._http, url, known, at_least)
        if response.not_modified:
            return Unchanged(ref)
        files_url = self._http.url("toybox_files", "")
        package: Package = await self._pool.parse_document(parse_package, response.body, ref, url, files_url)
        if at_least is not None and int(package.revision or "0") < int(at_least):
            raise stale(url, f"is at serial {package.revision}", at_least)
        return replace(package, validator=response.validator)

    async def _names_in_artifacts(self, package: Package) -> ImportNames:
        """Return the modules in the newest zip."""
        parse = partial(read_toy, limits=self._pool.limits)
        return await self._archives.parse_whole(package.artifacts[0].url, parse)

    @staticmethod
    def archive_names(path: str, filename: str, limits: ArchiveLimits) -> ImportNames:
        """Return the modules in a zip on disk. It raises ArchiveRefused."""
        with Path(path).open("rb") as file:
            return read_toy(file, limits)


def parse_package(body: bytes, ref: PackageRef, url: str, files_url: str) -> Package:
    """Return what the document says. It raises Malformed."""
    document = load_object(body, url)
    released = as_table(document.get("versions"))
    if not released:
        raise Malformed(f"{url} lists no version", url=url)
    newest = max(released, key=ref.ecosystem.version_key)
    filename = f"{ref.name}-{newest}.zip"
    return Package(
        ref=ref,
        vendor=None,
        repository_url=None,
        versions=tuple(_version(ref, name, as_table(entry)) for name, entry in released.items()),
        artifacts=(Artifact(f"{files_url}{filename}", filename, newest, size=None),),
        validator=None,
        revision=str(document.get("serial")),
    )


def _version(ref: PackageRef, name: str, entry: dict[str, Any]) -> Version:
    requirements = tuple(
        Requirement(names.identify(target), constraints or ANY)
        for target, constraints in as_table(entry.get("requires")).items()
    )
    return Version(name, version_purl(ref, name), entry.get("date"), requirements)
