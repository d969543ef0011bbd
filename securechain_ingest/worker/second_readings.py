"""Second readings: whatever is to be marked as gone from its registry, two readings must agree on.

One document may have been cut off, be an old copy in some cache, or come from a server that is being set up. So one
that lacks versions of the graph, or that is not there although it was, is read once more, past every cache.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import structlog

from securechain_ingest.errors import Gone, NotFound, ParserLost, Stale, UpstreamError, Withheld
from securechain_ingest.http.freshness import uncached
from securechain_ingest.model import KnownPackage, Package, PackageRef
from securechain_ingest.registries.protocol import Registry, Unchanged

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a registry says of a package."""

    answer: Package | Unchanged
    gone: frozenset[str] = frozenset()
    """Versions of the graph that two readings lack."""
    is_doubtful: bool = False
    """It lacks versions of the graph, and could not be read again: what it has counts, what it lacks says nothing."""


@dataclass(frozen=True, slots=True)
class PackageReader:
    """One package's registry, asked on behalf of one message."""

    registry: Registry
    ref: PackageRef
    known: KnownPackage | None
    at_least: str | None
    """As `Registry.fetch` has it."""
    insists: bool
    """Whether a second reading that fails is a failure of the message, which is tried again; else nothing is marked."""
    first: bool = False
    """As `Registry.fetch` has it."""

    async def read(self, *, removed: bool, listed: bool) -> Reading:
        """The answer, and what is gone for sure. Raises UpstreamError and ParserLost; Gone if nothing is there.

        `removed`: the package is said to be gone, so that a lack of it is looked at twice. `listed`: the registry's
        list has it in another state than the graph, so that no cache is to say that nothing has changed.
        """
        try:
            if listed:
                with uncached():
                    answer = await self._fetch(self.known)
            else:
                answer = await self._fetch(self.known)
        except NotFound as error:
            if not removed or isinstance(error, Withheld):
                raise
            answer = await self._unless_gone(error)
        return await self._confirmed(answer)

    async def _unless_gone(self, first: NotFound) -> Package | Unchanged:
        """What is there after all. Raises Gone if two readings agree; `first` if the second fails and need not be."""
        try:
            return await self._again()
        except Withheld:
            raise
        except NotFound as error:
            raise Gone(str(error), url=error.url) from error
        except (UpstreamError, ParserLost) as error:
            self._failed(error, first.url)
            raise first from error

    async def _confirmed(self, first: Package | Unchanged) -> Reading:
        if isinstance(first, Unchanged) or self.known is None:
            return Reading(first)
        missing = _missing(first, self.known)
        if not missing:
            return Reading(first)
        try:
            second = await self._again()
        except (UpstreamError, ParserLost) as error:
            self._failed(error, self.ref.purl)
            return _doubtful(first)
        if isinstance(second, Unchanged):
            return _doubtful(first)
        gone = frozenset[str]()
        if first.lists_all_versions and second.lists_all_versions:
            gone = missing & _missing(second, self.known)
        logger.info("versions_missing", package=self.ref.purl, missing=len(missing), gone=len(gone))
        return Reading(_together(first, second), gone)

    async def _again(self) -> Package | Unchanged:
        with uncached():
            return await self._fetch(self.known and replace(self.known, validator=None))

    async def _fetch(self, known: KnownPackage | None) -> Package | Unchanged:
        return await self.registry.fetch(self.ref, known, at_least=self.at_least, first=self.first)

    def _failed(self, error: UpstreamError | ParserLost, url: str) -> None:
        """Raises what lets the message be tried again, if it is to be."""
        if self.insists:
            if error.transient:
                raise error
            raise Stale(f"{self.ref.purl} lacks what the graph has, and read again: {error}", url=url) from error
        logger.warning("removal_unconfirmed", package=self.ref.purl, kind=error.kind, reason=str(error))


def _missing(package: Package, known: KnownPackage) -> frozenset[str]:
    """The versions that the graph has as there; a document that need not list all may have lost them all the same."""
    return known.versions - known.removed - {version.name for version in package.versions}


def _doubtful(package: Package) -> Reading:
    """Of what is the package's as a whole a document that lacks versions may tell what was true of an older one."""
    return Reading(replace(package, vendor=None, repository_url=None, validator=None), is_doubtful=True)


def _together(first: Package, second: Package) -> Package:
    """The second reading, and what only the first has; then the document is to be read whole the next time, too."""
    held = {version.name for version in second.versions}
    more = tuple(version for version in first.versions if version.name not in held)
    return replace(second, versions=second.versions + more, validator=None) if more else second
