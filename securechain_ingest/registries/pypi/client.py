"""This is the client of the PyPI registry. A package costs at most as many requests as it has versions, and three more.

The first request gets the project's document, which says everything except what older versions require. If that is
wanted, one request gets the list of the project's files, and one more for each such version gets either the core
metadata of its wheel or, where that is not offered, the version's own document. The import names take one or two. (Only
core metadata that is announced and missing costs one more.) See registries.md, section 2.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import quote

import structlog

from securechain_ingest.archives.limits import ArchiveLimits
from securechain_ingest.archives.remote import tail_window
from securechain_ingest.errors import ArchiveRefused, Malformed, NotFound, UpstreamError, Withheld
from securechain_ingest.http.freshness import is_uncached
from securechain_ingest.model import Artifact, ImportNames, KnownPackage, Package, PackageRef
from securechain_ingest.registries.kit.client import RegistryClient
from securechain_ingest.registries.kit.concurrency import for_each
from securechain_ingest.registries.kit.documents import ask_for_package, read_document, stale
from securechain_ingest.registries.kit.import_name_rules import clean
from securechain_ingest.registries.kit.portions import newest_portion
from securechain_ingest.registries.protocol import Unchanged
from securechain_ingest.registries.pypi import names
from securechain_ingest.registries.pypi.documents import (
    File,
    SimplePage,
    parse_project,
    parse_simple,
    parse_version,
    releases_of,
)
from securechain_ingest.registries.pypi.feed import PyPIFeed
from securechain_ingest.registries.pypi.filenames import is_sdist, is_wheel
from securechain_ingest.registries.pypi.files import best_wheel
from securechain_ingest.registries.pypi.import_names import read_wheel
from securechain_ingest.registries.pypi.package import assemble
from securechain_ingest.registries.pypi.requirements import DeclaredRequirements, requirements_of_metadata
from securechain_ingest.registries.pypi.source_names import read_sdist

logger = structlog.get_logger(__name__)

_JSON: Final = "application/json"
_SIMPLE_JSON: Final = "application/vnd.pypi.simple.v1+json"
_MAX_METADATA_BYTES: Final = 4 * 1024 * 1024
"""This is in bytes and bounds a wheel's core metadata, most of which is its description."""
_AT_ONCE: Final = 8
"""So many versions of one package are asked for at the same time: enough to hide the latency, few enough not to fill
the connection pool's queue, which costs time for each request that waits."""


class PyPI(RegistryClient):
    """This implements `Registry`. PyPI answers to any spelling of a name and has no search: there are no near names."""

    ecosystem: Final = names.PYPI
    identify = staticmethod(names.identify)
    feed: Final = PyPIFeed

    async def fetch(
        self, ref: PackageRef, known: KnownPackage | None, *, at_least: str | None = None, first: bool = False
    ) -> Package | Unchanged:
        """Return all versions with their requirements. See `Registry.fetch`.

        The requirements are None for a version without files, for one that `known` has, and for one whose metadata is
        malformed. The document has those of the newest version alone. Where more than PORTION others are to be read,
        those of the older ones are left for later.
        """
        url = self._http.url("pypi", f"pypi/{names.normal_name(ref.registry_name)}/json")
        try:
            response = await ask_for_package(self._http, url, known, at_least, accept=_JSON)
        except NotFound as error:
            if known is not None and is_uncached():
                await self._refuse_withheld(ref, error)
            raise
        if response.not_modified:
            return Unchanged(ref)
        project = await self._pool.parse_document(parse_project, response.body, ref, url)
        announced = int(at_least) if at_least is not None and at_least.isdecimal() else 0
        if project.serial is not None and project.serial < announced:
            raise stale(url, f"is at serial {project.serial}", str(announced))
        page = await self._simple_page(project.ref) if project.releases is None else None
        releases = project.releases if page is None else releases_of(page)
        if not releases:
            if page is None:
                # Of a project without releases PyPI has no document, only a page without files.
                raise Malformed(f"the registry's answer about {project.ref.registry_name} lists no release", url=url)
            raise NotFound(f"{project.ref.registry_name} has no versions on PyPI", url=url)
        read_before = {project.latest} | (known.read_versions if known else frozenset())
        wanted = {version: files for version, files in releases.items() if files and version not in read_before}
        declared: dict[str, DeclaredRequirements | None] = {}
        chosen = frozenset() if first else await newest_portion(self._pool, names.version_key, wanted)
        if chosen:
            page = page or await self._page_if_there(project.ref)
            asked_for = {version: files for version, files in wanted.items() if version in chosen}
            declared = await self._declared(project.ref, asked_for, page)
        if project.latest is not None:
            declared[project.latest] = project.requires
        _report_unreadable(project.ref, declared)
        requirements = {version: found.requirements for version, found in declared.items() if found is not None}
        package = assemble(project, releases, requirements, response.validator)
        return left_for_later(package, wanted.keys() - chosen)

    async def _names_in_artifacts(self, package: Package) -> ImportNames:
        """Return the names in the wheel or, if no wheel can be read, in the source archive."""
        fallback = self.fallback_names(package.ref)
        problems: list[UpstreamError | ArchiveRefused] = []
        for artifact in package.artifacts:
            try:
                found = await self._names_in(artifact, fallback)
            except (UpstreamError, ArchiveRefused) as error:
                if error.transient:
                    raise
                problems.append(error)
            else:
                return replace(found, error=str(problems[0]), retry=True) if problems else found
        raise problems[0]

    def fallback_names(self, ref: PackageRef) -> tuple[str, ...]:
        """Return the normalised name as most packages spell it in code: `my_package` for My-Package."""
        return _fallback(ref.registry_name)

    @staticmethod
    def archive_names(path: str, filename: str, limits: ArchiveLimits) -> ImportNames:
        """Return the names in a wheel or source archive on disk. It raises ArchiveRefused."""
        # Names have no hyphens in a wheel's filename, versions none in an sdist's.
        fallback = _fallback(filename.partition("-")[0] if is_wheel(filename) else filename.rpartition("-")[0])
        with Path(path).open("rb") as file:
            if is_wheel(filename):
                return read_wheel(file, limits, fallback)
            if is_sdist(filename):
                return read_sdist(file, limits, filename, fallback)
        raise ArchiveRefused(f"{filename} is neither a wheel nor a source archive", reason="unknown_format")

    async def _names_in(self, artifact: Artifact, fallback: tuple[str, ...]) -> ImportNames:
        limits = self._pool.limits
        if not is_wheel(artifact.filename):
            parse_sdist = partial(read_sdist, limits=limits, filename=artifact.filename, fallback=fallback)
            return await self._archives.parse_whole(artifact.url, parse_sdist, digest=artifact.digest)
        window_bytes = tail_window(artifact.size or 0)
        parse_wheel = partial(read_wheel, limits=limits, fallback=fallback)
        return await self._archives.parse_ranged(
            artifact.url, artifact.size, parse_wheel, window_bytes=window_bytes, digest=artifact.digest
        )

    async def _refuse_withheld(self, ref: PackageRef, missing: NotFound) -> None:
        """This raises Withheld if the other interface still has the project whose document is missing. It raises
        UpstreamError."""
        try:
            page = await self._simple_page(ref)
        except NotFound:
            return
        if page.status == "quarantined" or page.files:
            raise Withheld(
                f"{ref.registry_name} is {page.status} on PyPI, with {len(page.files)} files: {missing}",
                url=missing.url,
            ) from missing

    async def _simple_page(self, ref: PackageRef) -> SimplePage:
        url = self._http.url("pypi", f"simple/{names.normal_name(ref.registry_name)}/")
        return await read_document(self._http, self._pool, url, parse_simple, ref, accept=_SIMPLE_JSON)

    async def _page_if_there(self, ref: PackageRef) -> SimplePage:
        """Without this page each version is asked for by its own document, so it is not a failure if the page is
        missing."""
        try:
            return await self._simple_page(ref)
        except UpstreamError as error:
            if error.transient:
                raise
            logger.warning("simple_page_unreadable", package=ref.purl, kind=error.kind, reason=str(error))
            return SimplePage((), ())

    async def _declared(
        self, ref: PackageRef, wanted: Mapping[str, tuple[File, ...]], page: SimplePage
    ) -> dict[str, DeclaredRequirements | None]:
        """Read what each version requires; the first failure that another attempt can mend ends them all."""
        offered = {file.filename for file in page.files if file.has_metadata}
        declared: dict[str, DeclaredRequirements | None] = {}
        failed: dict[str, UpstreamError] = {}

        async def ask(version: str) -> None:
            wheel = best_wheel(file for file in wanted[version] if file.filename in offered)
            try:
                declared[version] = await self._declared_by(ref, version, wheel)
            except UpstreamError as error:
                if error.transient:
                    raise
                declared[version], failed[version] = None, error

        await for_each(wanted, ask, at_once=_AT_ONCE, name=f"requirements-{ref.purl}")
        _report_unknown(ref, failed)
        return declared

    async def _declared_by(self, ref: PackageRef, version: str, wheel: File | None) -> DeclaredRequirements | None:
        """The wheel's metadata is read, or else the version's document."""
        if wheel is not None:
            url = f"{wheel.url}.metadata"
            with suppress(NotFound):
                return await read_document(
                    self._http, self._pool, url, requirements_of_metadata, ref, limit_bytes=_MAX_METADATA_BYTES
                )
        url = self._http.url("pypi", f"pypi/{names.normal_name(ref.registry_name)}/{quote(version, safe='')}/json")
        return await read_document(self._http, self._pool, url, parse_version, ref, accept=_JSON)


def left_for_later(package: Package, versions: Collection[str]) -> Package:
    """Return the package, of which some versions say that their requirements have not been read."""
    return replace(
        package,
        versions=tuple(
            replace(version, requirements_pending=True) if version.name in versions else version
            for version in package.versions
        ),
    )


def _fallback(name: str) -> tuple[str, ...]:
    return tuple(clean([names.normal_name(name).replace("-", "_")]))


def _report_unknown(ref: PackageRef, failed: Mapping[str, UpstreamError]) -> None:
    """Many versions fail for the same reason, so that all of them are reported in one line, with one of them."""
    if failed:
        version = min(failed)
        error = failed[version]
        logger.warning(
            "requirements_unknown",
            package=ref.purl,
            count=len(failed),
            package_version=version,
            kind=error.kind,
            reason=str(error),
        )


def _report_unreadable(ref: PackageRef, declared: Mapping[str, DeclaredRequirements | None]) -> None:
    """Old versions repeat the same lines, so that each line is reported once."""
    lines = {line for found in declared.values() if found is not None for line in found.unreadable}
    if lines:
        logger.warning("requirements_unreadable", package=ref.purl, count=len(lines), first=min(lines))
