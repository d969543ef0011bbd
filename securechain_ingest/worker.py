"""One package, from a name to the graph: look up, fetch, import names, attribution, write.

The worker knows every room; none of them knows another. Whatever it does can be repeated: a message is acknowledged
only after the write that it asked for is committed, and a repeated write leaves no trace.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import structlog

from securechain_ingest.advisories.matching import rated, spellings
from securechain_ingest.advisories.store import AdvisoryStore
from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.bounds import MAX_CONSTRAINTS_BYTES, bounded_constraints, bounded_package, require_possible
from securechain_ingest.confirmation import Reader, Reading
from securechain_ingest.errors import (
    ArchiveRefused,
    Gone,
    IngestError,
    InvalidName,
    NotFound,
    PoisonMessage,
    UpstreamError,
)
from securechain_ingest.graph.batch import GraphBatcher
from securechain_ingest.http.priority import Priority, current_priority, prioritised
from securechain_ingest.import_names_cache import ImportNamesCache
from securechain_ingest.import_names_reading import is_due, read_import_names
from securechain_ingest.model import (
    KnownPackage,
    Link,
    Package,
    PackageRef,
    PackageWrite,
    Parent,
    Rating,
    WriteResult,
)
from securechain_ingest.queue.deliveries import Delivery, Outcome
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.messages import Message
from securechain_ingest.registries.kit.repository import vendor_of
from securechain_ingest.registries.protocol import Registry, Unchanged

MAX_LOST_PARSERS = 6
"""As often an archive may have its parser's process ended from outside before its package goes on with the names that
it has: less often than `[queue] max_deliveries`, which would cost the message."""

MAX_NEAR_NAMES = 5
"""Shown to whoever asked for a package that there is not."""

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """What one message, or one name on the command line, asks of a package."""

    ref: PackageRef
    parents: tuple[Parent, ...] = ()
    refresh: bool = False
    follow: bool = True
    """Whether packages that it requires and the graph lacks are to be asked for next."""
    internal: bool = False
    """The daemon itself asks, for a requirement or a refresh: a registry that lacks it is no failure."""
    exact: bool = False
    """No other spelling of the name is to be tried."""
    at_least: str | None = None
    """What the feed announced; an older document does not do (`Registry.fetch`)."""
    removed: bool = False
    """The feed says that the package is gone; if the registry confirms it, the package is marked as removed."""
    listed: str | None = None
    """What the registry's list calls the state that the graph does not have (`Message.listed`)."""
    attempts: int = 0
    """Earlier failed tries of the same message."""
    redelivered: bool = False


@dataclass(slots=True)
class _Visit:
    """A package that is being fetched; whoever asks for it meanwhile waits for the same answer."""

    at_least: str | None
    """What the document must have reached."""
    priority: Priority
    """That of the most urgent who waits for it."""
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    error: IngestError | None = None
    completed: bool = False
    """The graph has the package now, under this purl."""


async def always_room(_ecosystem: str) -> bool:
    """For whoever queues nothing, and so needs no room for it."""
    return True


class Worker:
    """Serves requests for packages; safe for any number of concurrent calls.

    `depth` gives the setting for messages that carry none (None: without limit), asked anew for each message so that a
    reload takes effect. `has_room` says whether an ecosystem's follow-ups can be queued.
    """

    def __init__(
        self,
        registries: Mapping[str, Registry],
        graph: GraphBatcher,
        advisories: AdvisoryStore,
        names: ImportNamesCache,
        *,
        max_strikes: int,
        max_versions: int,
        depth: Callable[[], int | None],
        has_room: Callable[[str], Awaitable[bool]] = always_room,
        pool: ParserPool | None = None,
    ) -> None:
        self._has_room = has_room
        self._registries = registries
        self._graph = graph
        self._advisories = advisories
        self._names = names
        self._max_strikes = max_strikes
        self._max_versions = max_versions
        self._depth = depth
        self._pool = pool
        self._visits: dict[str, _Visit] = {}

    async def handle(self, delivery: Delivery) -> Outcome:
        """Serve one queue message. Raises IngestError; returns the messages for the packages that it requires."""
        message = delivery.message
        registry = self._registries.get(message.node_type)
        if registry is None:
            known = ", ".join(sorted(self._registries))
            raise PoisonMessage(
                f"node_type {message.node_type} is not served by this release, which knows {known}",
                kind="unsupported_type",
            )
        with prioritised(Priority(is_urgent=delivery.lane is Lane.ASKED)):
            result = await self.ingest(registry, await self._request(registry, delivery))
        return self._outcome(message, result)

    async def link_known(self, deliveries: Sequence[Delivery]) -> list[Outcome | None]:
        """Serve those messages whose packages the graph has completely, without any registry; None for the others.

        Raises IngestError; then nobody is served for sure, and serving again changes nothing.
        """
        return await asyncio.gather(*map(self._link_if_known, deliveries))

    async def _link_if_known(self, delivery: Delivery) -> Outcome | None:
        try:
            request = await self._request(self._registries[delivery.message.node_type], delivery)
        except (InvalidName, PoisonMessage):
            return None  # Whoever takes it from its lane says so.
        if await self._graph.known(request.ref) is None:
            return None
        return self._outcome(delivery.message, await self._link(request))

    async def _request(self, registry: Registry, delivery: Delivery) -> Request:
        message = delivery.message
        if message.at_least is not None and not registry.ecosystem.announced.fullmatch(message.at_least):
            raise PoisonMessage(
                f"at_least is {message.at_least[:60]!r}, which the feed of {registry.ecosystem.name} never says",
                kind="bad_schema",
            )
        depth = self._depth_of(message)
        return Request(
            ref=registry.identify(message.package),
            parents=_parents(message),
            refresh=message.refresh,
            follow=(depth is None or depth > 0) and await self._has_room(registry.ecosystem.name),
            internal=message.internal,
            at_least=message.at_least,
            removed=message.removed,
            listed=message.listed,
            attempts=delivery.attempts,
            redelivered=delivery.redelivered,
        )

    def _outcome(self, message: Message, result: WriteResult) -> Outcome:
        depth = self._depth_of(message)
        next_depth = None if depth is None else depth - 1
        return Outcome(
            queue=tuple(
                Message(node_type=message.node_type, package=ref.registry_name, depth=next_depth, internal=True)
                for ref in result.to_queue
            ),
            versions=result.versions,
        )

    def _depth_of(self, message: Message) -> int | None:
        return self._depth() if message.depth is None else message.depth

    async def ingest(self, registry: Registry, request: Request) -> WriteResult:
        """Bring one package into the graph, or link it if it is there already. Raises IngestError.

        Concurrent requests for one package cause one fetch; each of them still gets its edges. But a change that was
        announced may not be in what was fetched before, nor in what somebody fetches who does not know of it.
        """
        purl = require_possible(request.ref).purl
        while visit := self._visits.get(purl):
            visit.priority.rise()
            await visit.finished.wait()
            if request.at_least not in (None, visit.at_least) or request.removed:
                continue
            if visit.error is not None:
                raise visit.error
            if visit.completed:
                return await self._link(request)
        visit = self._visits[purl] = _Visit(request.at_least, current_priority())
        try:
            result = await self._visit(registry, request)
            visit.completed = result is not None and result.purl == purl
            return result or WriteResult(purl=purl, to_queue=(), lost_parents=())
        except IngestError as error:
            visit.error = error
            raise
        finally:
            del self._visits[purl]
            visit.finished.set()

    async def _visit(self, registry: Registry, request: Request) -> WriteResult | None:
        """None: the registry lacks the package, and nobody but the daemon itself asked for it."""
        known = await self._graph.known(request.ref)
        if known is not None and not request.refresh:
            return await self._link(request)
        checked_at = datetime.now(UTC)
        asked = known
        if known and known.names_failed and (is_due(known.names_failed, checked_at) or not request.internal):
            # "Not modified" would not say where the archive is that has to be tried again.
            asked = replace(known, validator=None)
        insists = request.attempts + 1 < self._max_strikes
        reader = Reader(registry, request.ref, asked, request.at_least, insists)
        try:
            reading = await reader.read(removed=request.removed, listed=request.listed is not None)
        except NotFound as error:
            await self._graph.mark_absent(
                request.ref, checked_at, str(error), removed=isinstance(error, Gone), listed=request.listed
            )
            if known is not None:
                await self._link(request)
            elif not request.internal and not request.exact:
                other, near_names = await self._meant(registry, request.ref)
                if other is not None:
                    logger.info("package_respelled", package=request.ref.purl, as_package=other.purl)
                    is_last_guess = request.ref.registry_name == request.ref.name
                    return await self.ingest(registry, replace(request, ref=other, exact=is_last_guess))
                if near_names:
                    raise NotFound(f"{error}; near names: {', '.join(near_names)}", url=error.url) from error
            if not request.internal:
                raise
            logger.info("package_absent", package=request.ref.purl, reason=str(error))
            return None
        answer = reading.answer
        if isinstance(answer, Unchanged):
            ratings = await self._ratings(answer.ref, known.versions) if known else None
            return await self._link(
                request, checked_at=checked_at, ratings=ratings, revision=answer.revision, listed=request.listed
            )
        package = await bounded_package(answer, max_versions=self._max_versions)
        result = await self._store(registry, request, package, reading, known, checked_at)
        if known is None and result.unconfirmed:
            # Another program's or an older release's package: only now is it known what the document lacks of it.
            again = await self._visit(registry, replace(request, refresh=True))
            return replace(result, to_queue=result.to_queue + again.to_queue) if again else result
        return result

    async def _store(
        self,
        registry: Registry,
        request: Request,
        package: Package,
        reading: Reading,
        known: KnownPackage | None,
        checked_at: datetime,
    ) -> WriteResult:
        failed_before = known.names_failed if known else None
        insist = request.attempts + 1 < self._max_strikes
        names = None
        if not reading.is_doubtful:
            names, _ = await read_import_names(
                self._names,
                registry,
                package,
                failed_before,
                checked_at,
                insist=insist,
                insist_on_parser=request.attempts + 1 < MAX_LOST_PARSERS,
            )
        if names is not None and package.repository_url is None and names.repository_url is not None:
            repository = names.repository_url
            package = replace(package, repository_url=repository, vendor=package.vendor or vendor_of(repository))
        versions = {version.name for version in package.versions} | (known.versions if known else frozenset())
        result = await self._graph.write(
            PackageWrite(
                package=package,
                ratings=await self._ratings(package.ref, versions) or {},
                import_names=names,
                checked_at=checked_at,
                parents=request.parents,
                follow=request.follow,
                gone=reading.gone,
                listed=request.listed,
            )
        )
        self._report_lost(request, result)
        logger.info(
            "package_stored",
            package=result.purl,
            versions=len(package.versions),
            import_names=None if names is None or names.is_stopgap else len(names.names),
            queued=len(result.to_queue),
        )
        # What an earlier delivery committed may never have been queued.
        linked = await self._link(request) if request.redelivered else result
        return replace(linked, versions=len(package.versions), unconfirmed=result.unconfirmed)

    async def _meant(self, registry: Registry, ref: PackageRef) -> tuple[PackageRef | None, tuple[str, ...]]:
        """The package that a name which the registry lacks stands for in another case, or else names near to it.

        Producers lower-case names, or do not. A lower-case name is that of whichever package clients find under it,
        else of one that the registry calls near.
        """
        lower = registry.identify(ref.name)
        if lower.purl != ref.purl:
            return lower, ()
        if namesake := await self._graph.namesake(ref):
            return namesake, ()
        try:
            near_names = await registry.near_names(ref)
        except UpstreamError as error:
            logger.warning("near_names_failed", package=ref.purl, kind=error.kind, reason=str(error))
            near_names = ()
        name_key = ref.ecosystem.name_key
        alike = [registry.identify(name) for name in near_names if name_key(name.lower()) == name_key(ref.name)]
        other = next((other for other in alike if other.purl != ref.purl), None)
        return other, near_names[:MAX_NEAR_NAMES]

    async def _link(
        self,
        request: Request,
        *,
        checked_at: datetime | None = None,
        ratings: Mapping[str, Rating] | None = None,
        revision: str | None = None,
        listed: str | None = None,
    ) -> WriteResult:
        repeat_follow = request.redelivered
        result = await self._graph.link(
            Link(request.ref, request.parents, request.follow, repeat_follow, checked_at, ratings, revision, listed)
        )
        self._report_lost(request, result)
        logger.debug("package_linked", package=result.purl, unchanged=checked_at is not None)
        return result

    async def _ratings(self, ref: PackageRef, versions: Collection[str]) -> dict[str, Rating] | None:
        """None: they cannot be worked out within the limits, and those that the graph has stay."""
        try:
            return await rated(self._pool, ref, versions, await self._advisories.of_package(spellings(ref)))
        except ArchiveRefused as error:
            logger.warning("package_not_rated", package=ref.purl, kind=error.kind, reason=str(error))
            return None

    def _report_lost(self, request: Request, result: WriteResult) -> None:
        for element_id in result.lost_parents:
            logger.warning("parent_not_found", package=request.ref.purl, parent_id=element_id)


def _parents(message: Message) -> tuple[Parent, ...]:
    """The other end of the edge that a message asks for; its constraints byte for byte, unless nobody can mean them."""
    if message.parent_id is None:
        return ()
    constraints = message.constraints
    if len(constraints.encode()) > MAX_CONSTRAINTS_BYTES:
        constraints = bounded_constraints(constraints)
        logger.warning("constraints_too_long", package=message.package, parent_id=message.parent_id)
    return (Parent(message.parent_id, constraints),)
