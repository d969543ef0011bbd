"""This is `ingest` without a queue: it reads the named packages and, to a depth, their requirements with the
daemon's own worker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field

import anyio

from securechain_ingest.configuration import Settings
from securechain_ingest.embedded.addresses import running_stores, state_lock
from securechain_ingest.embedded.stores import has_begun
from securechain_ingest.errors import IngestError, Paused
from securechain_ingest.http.priority import Priority, prioritised
from securechain_ingest.model import PackageRef
from securechain_ingest.service import Service
from securechain_ingest.store_addresses import GRAPH, configured, merge, missing, no_daemon, refuse_missing
from securechain_ingest.stores import Stores, open_stores
from securechain_ingest.worker.request import Follow, Request
from securechain_ingest.worker.visitor import Served


@asynccontextmanager
async def find_stores(settings: Settings, *, may_begin: bool = True) -> AsyncIterator[Stores]:
    """Yield the configured stores, else those of a daemon that runs on the state directory, else local servers that it
    starts.

    With `may_begin` False, NoDaemon is raised instead where the graph would be a new and empty one: nothing that it
    answers would be about the graph that was meant.
    """
    state_dir = settings.daemon.state_dir
    addresses = configured(settings)
    if missing(addresses) and (local := running_stores(state_dir)):
        addresses = merge(addresses, local)
    needed = missing(addresses)
    refuse_missing(settings, needed)
    if GRAPH in needed and not may_begin and not has_begun(state_dir):
        raise no_daemon(settings, needed)
    with ExitStack() as stack:
        if needed:
            stack.enter_context(state_lock(state_dir))
        async with open_stores(addresses, settings) as (stores, _):
            yield stores


@dataclass(slots=True)
class IngestOutcome:
    """This says what became of the packages."""

    stored: dict[str, str] = field(default_factory=dict)
    """This maps the purl that was asked for to the purl in the graph, which differs if the registry spells the name
    in another case."""
    failed: list[tuple[PackageRef, IngestError]] = field(default_factory=list)


async def ingest(
    service: Service,
    refs: Sequence[PackageRef],
    *,
    depth: int,
    refresh: bool,
    places: Mapping[str, int],
    report: Callable[[int, int], None],
) -> IngestOutcome:
    """Ingest one level of requirements after the other. `places` says how many packages of each ecosystem may be in
    work at once.

    `report` is called with the numbers (done, known so far) after each package. A failure does not stop the other
    packages. What needs a registry that is paused fails with Paused.
    """
    outcome = IngestOutcome()
    seen = {ref.purl for ref in refs}
    level = list(dict.fromkeys(refs))
    for remaining in range(depth, -1, -1):
        found: dict[str, PackageRef] = {}
        places_of = {name: anyio.CapacityLimiter(number) for name, number in places.items()}
        async with anyio.create_task_group() as group:
            for ref in level:
                group.start_soon(
                    _ingest_one,
                    service,
                    # All requirements are followed: there is no queue that could have those that the graph counts as
                    # asked for. There is no further attempt.
                    Request(
                        ref,
                        refresh=refresh and remaining == depth,
                        depth=remaining,
                        follow=Follow.ALL if remaining else Follow.NONE,
                        internal=remaining < depth,
                    ),
                    places_of[ref.ecosystem.name],
                    found,
                    outcome,
                    report,
                    len(seen),
                )
        level = [ref for purl, ref in found.items() if purl not in seen]
        seen.update(ref.purl for ref in level)
    return outcome


async def _ingest_one(
    service: Service,
    request: Request,
    places: anyio.CapacityLimiter,
    found: dict[str, PackageRef],
    outcome: IngestOutcome,
    report: Callable[[int, int], None],
    total: int,
) -> None:
    async with places:
        try:
            # A user waits at the terminal, so all parsers may be used.
            with prioritised(Priority(is_urgent=True)):
                result = await _served(service, request)
        except IngestError as error:
            outcome.failed.append((request.ref, error))
        else:
            outcome.stored[request.ref.purl] = result.purl
            found.update((ref.purl, ref) for ref in result.to_queue)
    report(len(outcome.stored) + len(outcome.failed), max(total, len(outcome.stored) + len(found)))


async def _served(service: Service, request: Request) -> Served:
    """Serve one request. Where the registry may not be asked now, Paused is raised for what needs it."""
    ecosystem = request.ref.ecosystem
    reason = await service.why_stopped(ecosystem)
    if reason is None:
        return await service.worker.ingest(service.registries[ecosystem.label], request)
    if (known := await service.worker.link_if_known(request)) is None:
        raise Paused(reason)
    return known
