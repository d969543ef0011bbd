"""This module reads what the POMs of a package's versions say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import structlog

from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.errors import ArchiveRefused, Malformed, UpstreamError
from securechain_ingest.http.client import HttpClient
from securechain_ingest.model import NOT_AVAILABLE, PackageRef, Requirement
from securechain_ingest.registries.kit.concurrency import for_each
from securechain_ingest.registries.kit.kept_documents import KeptDocuments
from securechain_ingest.registries.maven.names import Coordinates, ids
from securechain_ingest.registries.maven.package import requirements
from securechain_ingest.registries.maven.pom import Dependency, Pom
from securechain_ingest.registries.maven.poms import Poms
from securechain_ingest.registries.maven.resolution import Effective, Effectives

logger = structlog.get_logger(__name__)

_AT_ONCE: Final = 8
"""So many versions of one package are asked for at the same time."""

_MAX_RELOCATIONS: Final = 8

_INLINE_DEPENDENCIES: Final = 300
"""So many become requirements in a few milliseconds."""


@dataclass(frozen=True, slots=True)
class Release:
    """One version's POM says this."""

    date: str | None
    requirements: tuple[Requirement, ...] | None
    """None means that they were not asked for."""
    extension: str | None
    """This is the extension of its main file; None means that it has none."""
    repository: str | None
    """The repository is normalised, or NOT_AVAILABLE; it is None if it is not known what the POM inherits."""
    license: str | None = None
    gaps: tuple[str, ...] = ()
    """These words say which of its parents and BOMs could not be had."""


Unreadable: TypeAlias = UpstreamError | ArchiveRefused


class Releases:
    """This reads releases; what packages have in common is read once for all."""

    def __init__(self, http: HttpClient, pool: ParserPool, kept: KeptDocuments) -> None:
        self._poms = Poms(http, pool, kept)
        self._pool = pool
        self._effectives = Effectives(self._pom, self._poms.versions, pool.run)

    async def read(
        self, ref: PackageRef, versions: Sequence[str], in_graph: frozenset[str]
    ) -> dict[str, Release | Unreadable]:
        """Return each version's release, or why its POM cannot be had. If the graph has a version already (`in_graph`),
        nothing but its own POM counts.

        It raises UpstreamError or ParserLost for the first failure that another attempt can mend.
        """
        read: dict[str, Release | Unreadable] = {}

        async def ask(version: str) -> None:
            own = Coordinates(*ids(ref), version)
            try:
                read[version] = await (self._alone(own) if version in in_graph else self._effective(own))
            except (UpstreamError, ArchiveRefused) as error:
                if error.transient:
                    raise
                read[version] = error

        await for_each(versions, ask, at_once=_AT_ONCE, name=f"poms-{ref.purl}")
        _report(ref, read)
        return read

    async def _alone(self, own: Coordinates) -> Release:
        published = await self._poms.get(own)
        reading = await self._effectives.alone(own, published.pom)
        return Release(published.date, None, reading.file, None)

    async def _effective(self, own: Coordinates) -> Release:
        published = await self._poms.get(own)
        effective = await self._effectives.of(own, published.pom)
        final, gaps = await self._relocated(own, effective)
        dependencies = final.dependencies if final.relocation is None else (_plain(final.relocation),)
        is_large = len(dependencies) > _INLINE_DEPENDENCIES
        return Release(
            date=published.date,
            requirements=await self._pool.run(requirements, dependencies) if is_large else requirements(dependencies),
            extension=effective.file,
            repository=None if effective.repository == NOT_AVAILABLE and gaps else effective.repository,
            license=effective.license,
            gaps=gaps,
        )

    async def _relocated(self, own: Coordinates, effective: Effective) -> tuple[Effective, tuple[str, ...]]:
        """An artifact that moved to another version of its package ends here; the second value has all gaps on the
        way."""
        gaps = effective.gaps
        passed = [own]
        while (target := effective.relocation) is not None and target[:2] == own[:2]:
            if target in passed or len(passed) > _MAX_RELOCATIONS:
                raise Malformed(f"{own} is relocated in a circle", url=str(own))
            passed.append(target)
            effective = await self._effectives.of(target, await self._pom(target))
            gaps += effective.gaps
        return effective, gaps

    async def _pom(self, coordinates: Coordinates) -> Pom:
        return (await self._poms.get(coordinates)).pom


def _plain(target: Coordinates) -> Dependency:
    """An artifact that has moved to another package requires that one."""
    return Dependency(*target, type="jar", classifier=None, scope="compile", optional=None)


def _report(ref: PackageRef, read: Mapping[str, Release | Unreadable]) -> None:
    """Many versions lack the same, or much the same, so that all lacks are reported in one line, with one of the
    versions; those that cannot be read at all, in one line a kind of failure."""
    gaps: dict[str, str] = {}
    incomplete = 0
    unreadable: dict[str, list[str]] = {}
    for version, said in read.items():
        if isinstance(said, Release):
            incomplete += bool(said.gaps)
            for gap in said.gaps:
                gaps.setdefault(gap, version)
        else:
            unreadable.setdefault(said.kind, []).append(version)
    if gaps:
        reason, version = next(iter(gaps.items()))
        logger.warning(
            "pom_incomplete",
            package=ref.purl,
            reason=reason,
            package_version=version,
            count=incomplete,
            reasons=len(gaps),
        )
    for kind, versions in unreadable.items():
        reason = str(read[versions[0]])
        logger.warning(
            "pom_unreadable",
            package=ref.purl,
            kind=kind,
            reason=reason,
            package_version=versions[0],
            count=len(versions),
        )
