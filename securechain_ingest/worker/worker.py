"""The worker serves the queue's entries. Requests for one package at the same time share one visit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog

from securechain_ingest.bounds import require_possible
from securechain_ingest.errors import IngestError, InvalidName, PoisonMessage
from securechain_ingest.http.metering import metered
from securechain_ingest.http.priority import Priority, current_priority, prioritised
from securechain_ingest.progress import waiting
from securechain_ingest.queue.entries import Entry
from securechain_ingest.queue.handling import Outcome
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.messages import Message
from securechain_ingest.registries.protocol import Registry
from securechain_ingest.worker.request import Request, request_of
from securechain_ingest.worker.visitor import Respelled, Served, Visitor

logger = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Visit:
    """A package is being visited. Other requests for it wait for the same answer meanwhile."""

    at_least: str | None
    """The document must contain this announced change. None means that any document is accepted."""
    first: bool
    """The package is read with the fewest requests only."""
    has_read: bool
    """The registry's document is read, whatever the graph has, or it has been read."""
    priority: Priority
    """The visit has the priority of the most urgent request that waits for it."""
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    error: IngestError | None = None
    is_in_graph: bool = False
    """The graph has the package now, under the purl of the visit, and the visit has left none of it for later."""

    def answers(self, request: Request) -> bool:
        """Return whether this visit answers the request, too.

        The visit must be as complete as the request demands, and must look for the change that the request announces.
        A document that was fetched before, or without knowledge of the change, may not contain it.
        """
        if request.asks_for_document and not self.has_read:
            return False
        return request.at_least in (None, self.at_least) and not request.removed and self.first <= request.first


async def always_room(_ecosystem: str) -> bool:
    """Return True. A worker uses this if nothing is queued and so no room is needed."""
    return True


class Worker:
    """Any number of calls may run at the same time.

    `depth` returns the levels of requirements to follow for messages that have no depth; None means no limit. It is
    called for each message, so that a reload of the settings takes effect. `has_room` tells whether the requirements of
    an ecosystem's packages can be queued. In every attempt before number `max_strikes`, an archive that cannot be read
    fails the request.
    """

    def __init__(
        self,
        registries: Mapping[str, Registry],
        visitor: Visitor,
        *,
        max_strikes: int,
        depth: Callable[[], int | None],
        has_room: Callable[[str], Awaitable[bool]] = always_room,
    ) -> None:
        self._registries = registries
        self._visitor = visitor
        self._max_strikes = max_strikes
        self._depth = depth
        self._has_room = has_room
        self._visits: dict[str, _Visit] = {}

    async def handle(self, entry: Entry) -> Outcome:
        """Serve one entry. IngestError is raised if that fails."""
        registry = self._registry_of(entry.message)
        request = await self._request(entry, registry)
        with prioritised(Priority(is_urgent=entry.lane is Lane.ASKED)), metered() as meter:
            served = await self.ingest(registry, request)
        return replace(outcome(request, served), asked_registry=meter.requests > 0)

    async def link_known(self, entries: Sequence[Entry]) -> list[Outcome | None]:
        """Serve the entries whose packages the graph has completely, without any registry.

        The results are in the order of the entries, and None stands for each entry that was not served. If IngestError
        is raised, it is unknown which entries were served; serving them again changes nothing.
        """
        requests = [await self._request_or_none(entry) for entry in entries]
        asked = [request for request in requests if request is not None]
        served = iter(await self._visitor.link_known(asked))
        return [
            None if request is None or (answer := next(served)) is None else outcome(request, answer)
            for request in requests
        ]

    async def link_if_known(self, request: Request) -> Served | None:
        """Serve a request for a package that the graph has completely, without any registry; return None for any other.

        IngestError is raised if that fails.
        """
        [served] = await self._visitor.link_known([request])
        return served

    async def _request_or_none(self, entry: Entry) -> Request | None:
        try:
            return await self._request(entry, self._registry_of(entry.message))
        except (InvalidName, PoisonMessage):
            return None  # The error is raised again when the entry is taken from its lane.

    async def ingest(self, registry: Registry, request: Request) -> Served:
        """Bring one package into the graph, or link it if it is there already. IngestError is raised if that fails.

        Concurrent requests for one package cause one fetch, and each of them still gets its edges.
        """
        purl = require_possible(request.ref).purl
        while visit := self._visits.get(purl):
            visit.priority.rise()
            with waiting():
                await visit.finished.wait()
            if not visit.answers(request):
                continue
            if visit.error is not None:
                raise visit.error
            if visit.is_in_graph:
                return await self._visitor.link(request)
        answer = await self._visit(registry, request, purl)
        if isinstance(answer, Respelled):
            logger.info("package_respelled", package=purl, as_package=answer.ref.purl)
            return await self.ingest(registry, replace(request, ref=answer.ref, exact=answer.is_last_guess))
        return answer or Served(purl)

    async def _visit(self, registry: Registry, request: Request, purl: str) -> Served | Respelled | None:
        visit = self._visits[purl] = _Visit(
            request.at_least, request.first, request.asks_for_document, current_priority()
        )
        # Whatever is logged during the visit names the package.
        named = structlog.contextvars.bind_contextvars(package=purl)
        try:
            answer = await self._visitor.visit(registry, request)
            # Of a visit that has read a portion nobody else may think that the rest has been read, too.
            visit.has_read |= isinstance(answer, Served) and answer.versions > 0
            visit.is_in_graph = isinstance(answer, Served) and answer.purl == purl and not answer.is_partial
            return answer
        except IngestError as error:
            visit.error = error
            raise
        finally:
            structlog.contextvars.reset_contextvars(**named)
            del self._visits[purl]
            visit.finished.set()

    def _registry_of(self, message: Message) -> Registry:
        if (registry := self._registries.get(message.node_type)) is None:
            known = ", ".join(sorted(self._registries))
            raise PoisonMessage(
                f"node_type {message.node_type} is not served by this release, which knows {known}",
                kind="unsupported_type",
            )
        return registry

    async def _request(self, entry: Entry, registry: Registry) -> Request:
        return await request_of(
            entry, registry, depth=self._depth(), max_strikes=self._max_strikes, has_room=self._has_room
        )


def outcome(request: Request, served: Served) -> Outcome:
    """Return the messages to queue: one for each required package that the graph lacks, with the depth less one."""
    depth = None if request.depth is None else request.depth - 1
    return Outcome(
        queue=tuple(
            Message(ref.ecosystem.label, ref.registry_name, depth=depth, internal=True, first=request.first)
            for ref in served.to_queue
        ),
        versions=served.versions,
    )
