"""This is the client of Maven Central, or of a repository like it (registries.md, section 4).

One request lists a package's versions. Each new version costs one for its POM, and so does each parent and imported BOM
that no other package has needed before; POMs of releases are kept on disk. The import names cost one or two.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import structlog

from securechain_ingest.archives.limits import ArchiveLimits
from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.archives.remote import ArchiveReader
from securechain_ingest.errors import NotFound, Stale
from securechain_ingest.http.client import HttpClient
from securechain_ingest.http.freshness import is_uncached
from securechain_ingest.model import NOT_AVAILABLE, Artifact, ImportNames, KnownPackage, Package, PackageRef, Version
from securechain_ingest.registries.kit.client import RegistryClient
from securechain_ingest.registries.kit.identity import version_purl
from securechain_ingest.registries.kit.import_name_rules import clean
from securechain_ingest.registries.kit.kept_documents import KeptDocuments
from securechain_ingest.registries.kit.portions import newest_portion
from securechain_ingest.registries.kit.repository import vendor_of
from securechain_ingest.registries.maven import names
from securechain_ingest.registries.maven.feed import MavenFeed
from securechain_ingest.registries.maven.import_names import read_jar
from securechain_ingest.registries.maven.index_records import listed_versions, revision
from securechain_ingest.registries.maven.metadata import by_preference, near_folders, parse_metadata
from securechain_ingest.registries.maven.names import Coordinates
from securechain_ingest.registries.maven.package import package_properties, vendor_of_group
from securechain_ingest.registries.maven.presence import refuse_withheld
from securechain_ingest.registries.maven.releases import Release, Releases, Unreadable
from securechain_ingest.registries.maven.versions import version_key
from securechain_ingest.registries.protocol import Unchanged

logger = structlog.get_logger(__name__)

_WINDOW_BYTES: Final = 64 * 1024
"""This is in bytes, and is fetched of an artifact first: many are not larger, and the directory of most others is
not."""

_MAX_NEAR_NAMES: Final = 5
_INLINE_VERSIONS: Final = 1_000
"""So many are put in order in a few milliseconds."""

_MAX_CANDIDATES: Final = 16
"""So many versions that the graph has are looked at, one after the other, for one that has a POM."""

_MAX_LISTING_BYTES: Final = 8 * 1024 * 1024


class Maven(RegistryClient):
    """This implements `Registry`."""

    ecosystem: Final = names.MAVEN
    identify = staticmethod(names.identify)
    feed: Final = MavenFeed

    def __init__(self, http: HttpClient, archives: ArchiveReader, pool: ParserPool, kept: KeptDocuments) -> None:
        super().__init__(http, archives, pool, kept)
        self._releases = Releases(http, pool, kept)

    async def fetch(
        self, ref: PackageRef, known: KnownPackage | None, *, at_least: str | None = None, first: bool = False
    ) -> Package | Unchanged:
        """Return all versions, what those that `known` lacks require, and when they were released. See
        `Registry.fetch`.

        The requirements of a version whose POM cannot be had are None. If its parents or BOMs cannot be had they are
        those that its own POM names, with the constraints that are known. The versions in `at_least` count as listed if
        they have a POM: the repository's list may lack some for good. The repository and the import names are those of
        the newest version that has a POM.
        """
        if known is not None:
            ref = names.identify(known.registry_name)
        in_graph = known.read_versions if known else frozenset()
        announced, is_old = listed_versions(at_least)
        validator = known.validator if known and in_graph.issuperset(announced) else None
        try:
            listing = await self._listing(ref, validator, is_announced=bool(announced))
        except NotFound as error:
            if known is not None and is_uncached():
                await refuse_withheld(self._http, ref, known.versions, error)
            raise
        if listing is None:
            return Unchanged(ref, revision(in_graph))
        listed, new_validator = listing
        versions = tuple(dict.fromkeys((*listed, *announced)))
        if known and known.validator and in_graph.issuperset(versions):
            # Only the date of the list is another: released POMs never change.
            return Unchanged(ref, revision(in_graph))
        # A first reading asks for no more than the newest, and for what may not exist: the index lists it for ever.
        urgent = set(announced).difference(listed) if first else announced
        default, read = await self._read(ref, versions, in_graph, urgent, first=first)
        missing = {name for name in announced if isinstance(read.get(name), NotFound)}.difference(listed)
        if missing:
            logger.warning("indexed_versions_missing", package=ref.purl, versions=sorted(missing))
            versions = tuple(name for name in versions if name not in missing)
            if not versions:
                absent = NotFound if is_old else Stale
                raise absent(
                    f"{ref.registry_name} is in the index, but has no list of versions and none of {at_least} a POM",
                    url=self._metadata_url(ref),
                )
        return self._package(ref, versions, default, read, in_graph, new_validator)

    def _package(
        self,
        ref: PackageRef,
        versions: tuple[str, ...],
        default: str | None,
        read: Mapping[str, Release | Unreadable],
        in_graph: frozenset[str],
        validator: str | None,
    ) -> Package:
        """Return these versions, with what was read of their POMs now; those `in_graph` were read before."""
        complete = in_graph.union(read)
        newest = read[default] if default is not None else None
        repository_url = newest.repository if isinstance(newest, Release) else None
        vendor = vendor_of(repository_url or NOT_AVAILABLE) or vendor_of_group(ref)
        return Package(
            ref=ref,
            # Of a version that the graph has it is not asked again what it inherits.
            vendor=None if default in in_graph else vendor,
            repository_url=repository_url,
            license=newest.license if isinstance(newest, Release) else None,
            versions=tuple(
                _version(ref, version, read.get(version), is_pending=version not in complete) for version in versions
            ),
            artifacts=self._artifacts(ref, default, newest) if default is not None and newest is not None else (),
            validator=validator,
            revision=revision(in_graph.union(versions)),
            lists_all_versions=False,
            properties=package_properties(ref),
        )

    async def _names_in_artifacts(self, package: Package) -> ImportNames:
        """Return the packages in the newest release's jar."""
        fallback = self.fallback_names(package.ref)
        artifact = package.artifacts[0]
        parse = partial(read_jar, limits=self._pool.limits, fallback=fallback)
        return await self._archives.parse_ranged(artifact.url, artifact.size, parse, window_bytes=_WINDOW_BYTES)

    async def near_names(self, ref: PackageRef) -> tuple[str, ...]:
        """Return artifacts of the same group, from its directory. There are none where the repository shows no
        directories.

        Directories are not to be walked, so this is only for a name that a person has asked for in vain.
        """
        group_id, artifact_id = names.ids(ref)
        try:
            url = self._http.url("maven_central", names.group_path(group_id))
            listing = await self._http.get(url, limit_bytes=_MAX_LISTING_BYTES)
        except NotFound:
            return ()
        near = await self._pool.parse_document(near_folders, listing.body, artifact_id, _MAX_NEAR_NAMES)
        return tuple(f"{group_id}:{name}" for name in near)

    def fallback_names(self, ref: PackageRef) -> tuple[str, ...]:
        """Return the group id, which is by convention the root package."""
        return tuple(clean([names.ids(ref)[0]]))

    @staticmethod
    def archive_names(path: str, filename: str, limits: ArchiveLimits) -> ImportNames:
        """Return the packages in a jar, war or aar on disk. It raises ArchiveRefused."""
        with Path(path).open("rb") as file:
            return read_jar(file, limits, ())

    def _metadata_url(self, ref: PackageRef) -> str:
        return self._http.url("maven_central", names.metadata_path(ref))

    async def _listing(
        self, ref: PackageRef, validator: str | None, *, is_announced: bool
    ) -> tuple[tuple[str, ...], str | None] | None:
        """Return the listed versions and the list's validator. The result is None if the list is unchanged. A package
        that the index has just announced may have no list yet."""
        url = self._metadata_url(ref)
        try:
            response = await self._http.get(url, validator=validator)
            if response.not_modified:
                return None
            return await self._pool.parse_document(parse_metadata, response.body, ref, url), response.validator
        except NotFound:
            if not is_announced:
                raise
            return (), None

    async def _read(
        self,
        ref: PackageRef,
        versions: tuple[str, ...],
        in_graph: frozenset[str],
        urgent: Collection[str],
        *,
        first: bool,
    ) -> tuple[str | None, dict[str, Release | Unreadable]]:
        """Return the default version, and the POMs of the default, of the urgent versions, and, without `first`, of the
        newest others that the graph lacks.

        A version whose POM does not exist is never the default: a list may have versions that were never published. The
        default is None if that holds for all of them.
        """
        every = (*versions, *in_graph.difference(versions))
        is_long = len(every) > _INLINE_VERSIONS
        candidates = await self._pool.run(by_preference, every) if is_long else by_preference(every)
        unread = [name for name in versions if name not in in_graph]
        others = () if first else [name for name in unread if name not in urgent]
        chosen = (await newest_portion(self._pool, version_key, others)).union(urgent)
        wanted = [name for name in unread if name in chosen]
        read = await self._releases.read(ref, list(dict.fromkeys((*wanted, candidates[0]))), in_graph)
        asked = 0
        for name in candidates:
            if name not in read:
                asked += 1
                if asked > _MAX_CANDIDATES:
                    break
                read |= await self._releases.read(ref, [name], in_graph)
            if not isinstance(read[name], NotFound):
                return name, read
        return None, read

    def _artifacts(self, ref: PackageRef, version: str, read: Release | Unreadable) -> tuple[Artifact, ...]:
        """The jar of a version may exist although its POM cannot be had."""
        kind = read.extension if isinstance(read, Release) else "jar"
        if kind is None:
            return ()
        path = names.file_path(Coordinates(*names.ids(ref), version), kind)
        return (Artifact(self._http.url("maven_central", path), unquote(path.rpartition("/")[2]), version, size=None),)


def _version(ref: PackageRef, name: str, read: Release | Unreadable | None, *, is_pending: bool) -> Version:
    known = read if isinstance(read, Release) else None
    return Version(
        name=name,
        purl=version_purl(ref, name),
        release_date=known.date if known else None,
        requirements=known.requirements if known else None,
        requirements_pending=is_pending,
    )
