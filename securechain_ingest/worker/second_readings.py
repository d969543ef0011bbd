"""This module reads a package from its registry, and reads it again before anything is marked as gone.

A package or a version is marked as gone only if two readings agree that the registry lacks it.

One document may have been cut off, may be an old copy in some cache, or may come from a server that is being set up. So
a document is read once more, past every cache, if it lacks versions that the graph has, or if it is no longer there.
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
    """This is what a registry says about a package."""

    answer: Package | Unchanged
    gone: frozenset[str] = frozenset()
    """These versions are in the graph, and two readings lack them."""
    is_doubtful: bool = False
    """The answer lacks versions of the graph, and could not be confirmed by a second reading. What it has counts, and
    what it lacks proves nothing."""


@dataclass(frozen=True, slots=True)
class PackageReader:
    """This reads one package from its registry on behalf of one message."""

    registry: Registry
    ref: PackageRef
    known: KnownPackage | None
    at_least: str | None
    """This is the argument of `Registry.fetch`."""
    insists: bool
    """True means that a second reading that fails makes the message fail, and the message is tried again. False means
    that nothing is marked as gone then."""
    first: bool = False
    """This is the argument of `Registry.fetch`."""

    async def read(self, *, removed: bool, listed: bool) -> Reading:
        """Return the answer, and the versions that are certainly gone.

        `removed` means that the package is reported as gone; if the registry lacks it, it is read a second time.
        `listed` means that the registry's list has it in another state than the graph; then no cache may answer that
        nothing has changed. UpstreamError and ParserLost are raised if it cannot be read, and Gone, which is an
        UpstreamError, if two readings agree that it is not there.
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
        """Return what the second reading finds. Gone is raised if the package is missing again.

        `first` is the error of the first reading. It is raised if the second reading fails and the reader does not
        insist on it. Withheld is raised unchanged.
        """
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
        """Raise an error after which the message is tried again, if the reader insists; else only log the failure."""
        if self.insists:
            if error.transient:
                raise error
            raise Stale(f"{self.ref.purl} lacks what the graph has, and read again: {error}", url=url) from error
        logger.warning("removal_unconfirmed", package=self.ref.purl, kind=error.kind, reason=str(error))


def _missing(package: Package, known: KnownPackage) -> frozenset[str]:
    """Return the versions that the graph counts as present and the document lacks.

    They count as missing even if the document need not list all versions.
    """
    return known.versions - known.removed - {version.name for version in package.versions}


def _doubtful(package: Package) -> Reading:
    """Return the reading without vendor, repository and validator.

    A document that lacks versions may be an old one, and these fields of the package may be out of date in it.
    """
    return Reading(replace(package, vendor=None, repository_url=None, validator=None), is_doubtful=True)


def _together(first: Package, second: Package) -> Package:
    """Return the second reading with the versions that only the first one has.

    If there are any, the validator is left out, so that the next visit reads the whole document again.
    """
    held = {version.name for version in second.versions}
    more = tuple(version for version in first.versions if version.name not in held)
    return replace(second, versions=second.versions + more, validator=None) if more else second
