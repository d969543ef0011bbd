"""This is the toy registry: one request for a package, one for the preferred version's zip."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from securechain_ingest.archives.limits import ArchiveLimits
from securechain_ingest.errors import InvalidName, Malformed
from securechain_ingest.model import (
    ANY,
    NOT_AVAILABLE,
    Artifact,
    ImportNames,
    KnownPackage,
    Package,
    PackageRef,
    Requirement,
    Version,
)
from securechain_ingest.registries.kit.client import RegistryClient
from securechain_ingest.registries.kit.dates import utc_seconds
from securechain_ingest.registries.kit.documents import ask_for_package, stale
from securechain_ingest.registries.kit.identity import own_spelling, version_purl
from securechain_ingest.registries.kit.json_documents import as_table, as_text, load_object
from securechain_ingest.registries.kit.licenses import license_of
from securechain_ingest.registries.kit.preferred_version import preference
from securechain_ingest.registries.kit.repository import normalise_repository, vendor_of
from securechain_ingest.registries.kit.semver import is_prerelease, version_key
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
        """Return the modules in the preferred version's zip."""
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
    ref = own_spelling(document.get("name"), ref, names.identify, url)
    serial = document.get("serial")
    released = {name: as_table(entry) for name, entry in as_table(document.get("versions")).items() if name}
    if type(serial) is not int or not released:
        raise Malformed(f"{url} has no serial number or no version", url=url)
    preferred = max(
        released,
        key=lambda name: preference(
            name, version_key, lambda key: (not _is_recalled(released[name]), not is_prerelease(key))
        ),
    )
    filename = f"{ref.name}-{preferred}.zip"
    repository = normalise_repository([document.get("source")])
    return Package(
        ref=ref,
        vendor=vendor_of(repository) or NOT_AVAILABLE,
        repository_url=repository,
        license=license_of(released[preferred].get("license")),
        versions=tuple(_version(ref, name, entry) for name, entry in released.items()),
        artifacts=(Artifact(f"{files_url}{filename}", filename, preferred, size=None),),
        validator=None,
        revision=str(serial),
    )


def _version(ref: PackageRef, name: str, entry: dict[str, Any]) -> Version:
    return Version(
        name,
        version_purl(ref, name),
        utc_seconds(entry.get("date")),
        _requirements(as_table(entry.get("requires"))),
        yanked=_is_recalled(entry),
    )


def _is_recalled(entry: dict[str, Any]) -> bool:
    return entry.get("recalled") is True


def _requirements(requires: dict[str, Any]) -> tuple[Requirement, ...]:
    """Return one requirement for each target, though it may be spelled in several ways. Names that no toy can have
    are left out."""
    found: dict[str, tuple[PackageRef, list[str]]] = {}
    for name, constraints in requires.items():
        try:
            target = names.identify(name)
        except InvalidName:
            continue
        _, clauses = found.setdefault(target.purl, (target, []))
        clauses += filter(None, [as_text(constraints)])
    return tuple(Requirement(target, ", ".join(clauses) or ANY) for target, clauses in found.values())
