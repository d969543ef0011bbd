"""A visit brings one package into the graph: look up, fetch, read import names, rate versions, write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

import structlog

from securechain_ingest.bounds import bounded_package
from securechain_ingest.errors import ArchivesAway, Gone, NotFound
from securechain_ingest.graph.batch import GraphBatcher
from securechain_ingest.model import (
    ImportNames,
    KnownPackage,
    LeftOut,
    Link,
    NamesGap,
    Package,
    PackageRef,
    PackageWrite,
    Rating,
    WriteResult,
)
from securechain_ingest.registries.kit.repository import vendor_of
from securechain_ingest.registries.protocol import Registry, Unchanged
from securechain_ingest.worker.archives import Archives, away
from securechain_ingest.worker.import_names import is_due, read_import_names
from securechain_ingest.worker.import_names_cache import ImportNamesCache
from securechain_ingest.worker.ratings import Ratings
from securechain_ingest.worker.release_changes import ReleaseChanges, with_change
from securechain_ingest.worker.request import Request
from securechain_ingest.worker.second_readings import PackageReader, Reading
from securechain_ingest.worker.spellings import meant

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Served:
    """This is the result of a request."""

    purl: str
    to_queue: tuple[PackageRef, ...] = ()
    """The package requires these packages and the graph lacks them. They are now marked as queued."""
    versions: int = 0
    """The registry's document had so many versions. It is 0 if no document was read."""
    is_partial: bool = False
    """The package was to be read whole and has so many versions that some of them are left for later."""


@dataclass(frozen=True, slots=True)
class Respelled:
    """The registry lacks the name, which probably means the package `ref`."""

    ref: PackageRef
    is_last_guess: bool


Written = Callable[[Package, KnownPackage | None, datetime], None]


def nobody(_package: Package, _known: KnownPackage | None, _now: datetime) -> None:
    """Do nothing. A visitor calls this after a write by default."""


class Visitor:
    """The visitor brings one package into the graph on behalf of one request.

    The caller must prevent two visits of the same package at the same time. A package with more than
    `max_versions` versions is refused. `written` is called after each write with the package, what the graph had of it
    before, and the time (aware, in UTC).
    """

    def __init__(
        self,
        graph: GraphBatcher,
        ratings: Ratings,
        changes: ReleaseChanges,
        names: ImportNamesCache,
        archives: Archives,
        *,
        max_versions: int,
        written: Written = nobody,
    ) -> None:
        self._graph = graph
        self._ratings = ratings
        self._changes = changes
        self._names = names
        self._archives = archives
        self._max_versions = max_versions
        self._written = written

    async def visit(self, registry: Registry, request: Request) -> Served | Respelled | None:
        """Bring the package into the graph, or link it if the graph has enough of it. IngestError is raised.

        A package of very many versions is read and written in portions. Somebody who waits for it gets all of them, and
        otherwise the rest is left for later, so that others get their turn. The result is None if the registry lacks
        the package and only the daemon itself asked for it.
        """
        served = await self._visit(registry, request)
        while isinstance(served, Served) and served.is_partial and not request.internal:
            request = replace(request, refresh=False, removed=False)
            again = await self._visit(registry, request)
            if not isinstance(again, Served):
                break
            served = replace(again, to_queue=tuple(dict.fromkeys(served.to_queue + again.to_queue)))
        return served

    async def _visit(self, registry: Registry, request: Request) -> Served | Respelled | None:
        known = await self._graph.known(request.ref)
        if _is_enough(None if known is None else known.is_pending, request):
            return await self.link(request)
        first = request.first
        if not first and await self._archives.are_away(request.ref.ecosystem):
            if request.insistence.on_archives:
                raise away(request.ref, "nothing is asked of it for a while")
            if known is not None and not request.refresh:
                return await self.link(request)
            first = True
        checked_at = datetime.now(UTC)
        if not first and known is not None and _lacks_only_archive(known, request):
            return await self._complete(registry, request, known, checked_at)
        try:
            reading, first = await self._read(registry, request, known, checked_at, first=first)
        except NotFound as error:
            return await self._absent(registry, request, known, checked_at, error)
        answer = reading.answer
        if isinstance(answer, Unchanged):
            ratings = await self._ratings.of(answer.ref, known.versions) if known else None
            return await self.link(request, _Confirmed(checked_at, ratings, answer.revision, request.listed))
        package = await bounded_package(answer, max_versions=self._max_versions)
        result = await self._write(registry, request, package, reading, known, checked_at, first=first)
        is_partial = not first and any(version.requirements_pending for version in package.versions)
        served = Served(result.purl, result.to_queue, len(package.versions), is_partial)
        if known is None and result.unconfirmed:
            # Another program or an older release wrote the package: only now is it known which of its versions the
            # document lacks.
            again = await self._visit(registry, replace(request, refresh=True))
            return replace(served, to_queue=served.to_queue + (again.to_queue if isinstance(again, Served) else ()))
        if request.follow.is_repeated:
            # What an earlier delivery committed may never have been queued.
            return replace(served, to_queue=(await self.link(request)).to_queue)
        return served

    async def link_known(self, requests: Sequence[Request]) -> list[Served | None]:
        """Serve in one transaction the requests that need no registry, and return None for each that needs one. The
        results are in the order of the requests. StoreError and ConfigError are raised."""
        pending = await self._graph.pending_of({request.ref for request in requests})
        enough = [request for request in requests if _is_enough(pending.get(request.ref.purl), request)]
        results = iter(await self._graph.link_all([_link(request, _Confirmed()) for request in enough]))
        served: list[Served | None] = []
        queued: set[str] = set()
        for request in requests:
            if not _is_enough(pending.get(request.ref.purl), request):
                served.append(None)
                continue
            # What a package requires is queued once, however many requests there are for the package.
            answer = _served(request, next(results))
            served.append(replace(answer, to_queue=()) if answer.purl in queued else answer)
            queued.add(answer.purl)
        return served

    async def link(self, request: Request, confirmed: _Confirmed | None = None) -> Served:
        """Serve a request for a package that the graph has. StoreError and ConfigError are raised."""
        link = _link(request, confirmed or _Confirmed())
        return _served(request, await self._graph.link(link), unchanged=link.checked_at is not None)

    async def _complete(self, registry: Registry, request: Request, known: KnownPackage, now: datetime) -> Served:
        """Read the archive that a first reading has left for later, and not the registry's document once more."""
        ref = registry.identify(known.registry_name)
        archives = (known.pending_archive,) if known.pending_archive else ()
        package = Package(ref, None, None, versions=(), artifacts=archives, validator=None)
        names, is_left = await self._import_names(registry, request, package, known, now, first=False)
        if names is not None and not is_left:
            await self._graph.fill_names(ref.ecosystem, NamesGap(known.element_id, ref.name, "", known), names)
        return await self.link(request)

    async def _absent(
        self, registry: Registry, request: Request, known: KnownPackage | None, checked_at: datetime, error: NotFound
    ) -> Respelled | None:
        """Note that the registry lacks the package.

        The result is None if the daemon itself asked for it, and another spelling to try if one is found. Otherwise
        NotFound is raised.
        """
        ref = request.ref
        await self._graph.mark_absent(
            ref, checked_at, str(error), removed=isinstance(error, Gone), listed=request.listed
        )
        if known is not None:
            await self.link(request)
        if request.internal:
            logger.info("package_absent", package=ref.purl, reason=str(error))
            return None
        if known is None and not request.exact:
            other, near_names = await meant(self._graph, registry, ref)
            if other is not None:
                return Respelled(other, is_last_guess=ref.registry_name == ref.name)
            if near_names:
                raise NotFound(f"{error}; near names: {', '.join(near_names)}", url=error.url) from error
        raise error

    async def _write(
        self,
        registry: Registry,
        request: Request,
        package: Package,
        reading: Reading,
        known: KnownPackage | None,
        checked_at: datetime,
        *,
        first: bool,
    ) -> WriteResult:
        names, archive_pending = None, known is not None and known.archive_pending
        if not reading.is_doubtful:
            names, archive_pending = await self._import_names(
                registry, request, package, known, checked_at, first=first
            )
        if names is not None and package.repository_url is None and names.repository_url is not None:
            repository = names.repository_url
            package = replace(package, repository_url=repository, vendor=package.vendor or vendor_of(repository))
        if names is not None and package.license is None:
            package = replace(package, license=names.license)
        if names is not None:
            names = await with_change(names, package, known, self._graph.import_names, self._changes)
        versions = {version.name for version in package.versions} | (known.versions if known else frozenset())
        result = await self._graph.write(
            PackageWrite(
                package=package,
                ratings=await self._ratings.of(package.ref, versions) or {},
                import_names=names,
                checked_at=checked_at,
                parents=request.parents,
                follow=request.follow.is_now,
                gone=reading.gone,
                listed=request.listed,
                leave_out=_leave_out(request),
                archive_pending=archive_pending,
                complete_depth=request.depth,
            )
        )
        self._written(package, known, datetime.now(UTC))
        _report_lost(request, result)
        logger.info(
            "package_stored",
            package=result.purl,
            versions=len(package.versions),
            import_names=None if names is None or names.is_stopgap else len(names.names),
            queued=len(result.to_queue),
        )
        return result

    async def _read(
        self, registry: Registry, request: Request, known: KnownPackage | None, now: datetime, *, first: bool
    ) -> tuple[Reading, bool]:
        """Return what the registry says, and whether it was read with the fewest requests.

        The second value is True if `first` is, or if the archives' endpoint turned out to be away.
        """
        asked = known
        if known is not None:
            has_failed_before = known.names_failed is not None and (
                is_due(known.names_failed, now) or not request.internal
            )
            if has_failed_before or (known.is_pending and not first):
                # "Not modified" would not say where the archive is, nor what has been left for later.
                asked = replace(known, validator=None)
        reader = PackageReader(registry, request.ref, asked, request.at_least, request.insistence.on_readings, first)
        flags = {"removed": request.removed, "listed": request.listed is not None}
        try:
            async with self._archives.needed(request.ref, has_waited=request.has_waited):
                return await reader.read(**flags), first
        except ArchivesAway:
            if first or request.insistence.on_archives:
                raise
        return await replace(reader, first=True).read(**flags), True

    async def _import_names(
        self,
        registry: Registry,
        request: Request,
        package: Package,
        known: KnownPackage | None,
        now: datetime,
        *,
        first: bool,
    ) -> tuple[ImportNames | None, bool]:
        """Return the import names, and whether the archive is left for later.

        None instead of names means that the graph keeps the names that it has.
        """
        left_for_later = None if known else ImportNames(registry.fallback_names(package.ref), is_stopgap=True), True
        if first and package.artifacts:
            return left_for_later
        if known is not None and _has_names_of(known, package) and not request.refresh:
            return None, False
        before = known.names_failed if known else None
        asking = partial(self._archives.asked, package.ref, has_waited=request.has_waited)
        try:
            names, _ = await read_import_names(
                self._names, registry, package, before, now, request.insistence, asking, remember=request.remember
            )
        except ArchivesAway:
            if request.insistence.on_archives:
                raise
            return left_for_later
        return names, False


@dataclass(frozen=True, slots=True)
class _Confirmed:
    """A registry has just confirmed this about an unchanged package; by default it has confirmed nothing.

    The fields are those of `Link`.
    """

    checked_at: datetime | None = None
    ratings: Mapping[str, Rating] | None = None
    revision: str | None = None
    listed: str | None = None


def _is_enough(is_pending: bool | None, request: Request) -> bool:
    """Return whether the graph has everything that the request asks for, so that no registry must be asked.

    `is_pending` says whether a part of the package was left for later. It is None if the graph lacks the package.
    """
    return is_pending is not None and not request.refresh and (request.first or not is_pending)


def _lacks_only_archive(known: KnownPackage, request: Request) -> bool:
    """Return whether the request can be served by the archive alone. An archive that could not be read, or whose names
    are to be compared with an older version's, needs the document, too."""
    is_left = known.pending_archive is not None and not known.pending
    return is_left and known.names_failed is None and known.names_of is None and not request.asks_for_document


def _has_names_of(known: KnownPackage, package: Package) -> bool:
    """Return whether the archive has been read with an earlier portion of the versions."""
    is_read = bool(known.pending) and not known.archive_pending and known.names_failed is None
    return is_read and bool(package.artifacts) and package.artifacts[0].version in known.versions


def _link(request: Request, confirmed: _Confirmed) -> Link:
    return Link(
        ref=request.ref,
        parents=request.parents,
        follow=request.follow.is_now,
        repeat_follow=request.follow.is_repeated,
        leave_out=_leave_out(request),
        checked_at=confirmed.checked_at,
        ratings=confirmed.ratings,
        revision=confirmed.revision,
        listed=confirmed.listed,
    )


def _served(request: Request, result: WriteResult, *, unchanged: bool = False) -> Served:
    """Return what was linked, and log it."""
    _report_lost(request, result)
    logger.debug("package_linked", package=result.purl, unchanged=unchanged)
    return Served(result.purl, result.to_queue)


def _leave_out(request: Request) -> LeftOut | None:
    """Return how the packages that the package requires are queued later, or None if they are not left for later."""
    if not request.follow.is_later:
        return None
    return LeftOut(None if request.depth is None else request.depth - 1, request.first)


def _report_lost(request: Request, result: WriteResult) -> None:
    for element_id in result.lost_parents:
        logger.warning("parent_not_found", package=request.ref.purl, parent_id=element_id)
