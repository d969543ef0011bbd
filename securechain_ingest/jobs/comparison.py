"""Compares a registry's whole list with the graph, ten thousand names at a time, for what is new, changed or gone.

What is found is queued as messages. The position in the list is kept after each page, so that the next run goes on
there if this one is broken off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import anyio.to_thread
import orjson
import structlog
from redis.asyncio import Redis

from securechain_ingest.bounds import require_possible, sentence
from securechain_ingest.errors import InvalidName, TooManyRemovals
from securechain_ingest.graph.names import PackageNames, PackageState
from securechain_ingest.jobs.listing import Listing, let_expire, whole_listing
from securechain_ingest.jobs.name_digests import NameDigests
from securechain_ingest.model import PackageRef
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.messages import Message
from securechain_ingest.queue.submission import enqueue
from securechain_ingest.redis_errors import store_errors
from securechain_ingest.registries.feed import Feed, Listed
from securechain_ingest.registries.protocol import Registry
from securechain_ingest.runs import Run
from securechain_ingest.settings import FeedSettings, QueueSettings

ALWAYS_REMOVABLE = 10
"""So many packages may be gone at once however few are known."""

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class JobContext:
    """What a job needs to know and to use of one ecosystem's registry."""

    registry: Registry
    feed: Feed
    redis: Redis
    names: PackageNames
    queue: QueueSettings
    feeds: FeedSettings
    lane: Lane
    """The lane to which the job adds what it finds."""

    def message(
        self, ref: PackageRef, run: Run, *, refresh: bool, removed: bool = False, listed: str | None = None
    ) -> Message:
        """Make the message that asks for a package on behalf of a run."""
        label = self.registry.ecosystem.label
        return Message(
            label, ref.registry_name, refresh=refresh, internal=True, removed=removed, run=run.id, listed=listed
        )

    async def submit(self, messages: Sequence[Message], run: Run) -> None:
        """Add messages to the job's lane, waiting for room, and count them. Raises StoreError."""
        ecosystem = self.registry.ecosystem
        join = ecosystem.join_announcements
        done = await enqueue(self.redis, self.queue, ecosystem.name, self.lane, messages, announcements=join)
        run.metrics["queued"] = run.metrics.get("queued", 0) + done.added


Wanted = Callable[[Listed, PackageState | None], bool | None]
"""Says whether a listed package is to be read with `refresh` (True), without (False) or not at all (None)."""


async def ingest_unknown(context: JobContext, run: Run) -> None:
    """Queue every package of the registry that the graph does not have completely. Raises IngestError."""

    def wanted(entry: Listed, state: PackageState | None) -> bool | None:
        return None if state is not None and state.is_complete else False

    listing, first = await _listing(context, run)
    run.metrics["total_in_registry"] = listing.names
    await _compare(context, run, listing, first, wanted, None)
    run.metrics["skipped_existing"] = run.metrics["names_compared"] - run.metrics["queued"]
    await _finish(context, run, listing)


async def reconcile(context: JobContext, run: Run) -> str:
    """Queue every package of the graph that its registry has in another state or no longer has.

    Returns the feed's cursor from before the list was read. Raises IngestError, TooManyRemovals among them.
    """

    def wanted(entry: Listed, state: PackageState | None) -> bool | None:
        if state is None:
            return None
        if state.is_awaited:
            return False
        if state.is_complete and not state.is_removed and entry.revision is not None and state.revision is not None:
            return None if state.revision == entry.revision else True
        return True if entry.revision is not None or state.is_removed or not state.is_complete else None

    listing, first = await _listing(context, run)
    listed = NameDigests()
    await _compare(context, run, listing, first, wanted, listed)
    gone = await _gone(context, run, listed)
    await context.submit([context.message(ref, run, refresh=True, removed=True) for ref in gone], run)
    await _finish(context, run, listing)
    return listing.head


async def refuse_many_removals(context: JobContext, run: Run, count: int) -> None:
    """Raise TooManyRemovals if so many packages cannot be gone at once, unless the run's options allow it."""
    if count <= ALWAYS_REMOVABLE or run.options.get("allow_removals") == "true":
        return
    ecosystem = context.registry.ecosystem
    known = await context.names.count(ecosystem)
    if count > known * context.feeds.max_removed_share:
        raise TooManyRemovals(
            f"{count} or more of {known} packages of {ecosystem.name} are gone from the registry, more than [feeds]"
            f" max_removed_share {context.feeds.max_removed_share:g} allows; none was marked: look at the registry;"
            f" if it is right, `schedules run {run.job} --allow-removals`"
        )


def identified(registry: Registry, entries: Iterable[Listed]) -> dict[str, tuple[PackageRef, Listed]]:
    """Find the packages that listed names mean, by purl. Names that no package can have are left out."""
    found: dict[str, tuple[PackageRef, Listed]] = {}
    for entry in entries:
        try:
            ref = require_possible(registry.identify(entry.name))
        except InvalidName as error:
            logger.debug("listed_name_invalid", name=sentence(entry.name, 60), reason=str(error))
        else:
            found[ref.purl] = ref, entry
    return found


async def _compare(
    context: JobContext, run: Run, listing: Listing, first: int, wanted: Wanted, listed: NameDigests | None
) -> None:
    """Compare page by page from the page `first` on; the pages before it are read for their digests only."""
    ecosystem = context.registry.ecosystem
    run.metrics |= {"queued": 0, "names_compared": 0, "errors": 0}
    next_line = context.feeds.progress_every
    for number in range(listing.pages):
        if number < first and listed is None:
            continue
        entries = await listing.page(context.redis, number)
        found = await anyio.to_thread.run_sync(identified, context.registry, entries)
        if listed is not None:
            await anyio.to_thread.run_sync(listed.add, found)
        if number < first:
            continue
        states = await context.names.states(ecosystem, list(found))
        await context.submit(_messages(context, run, found, states, wanted), run)
        await _keep_position(context, run, listing, number + 1)
        run.metrics["names_compared"] += len(entries)
        run.metrics["errors"] += len(entries) - len(found)
        if run.metrics["names_compared"] >= next_line:
            next_line += context.feeds.progress_every
            logger.info("names_compared", job=run.job, **run.metrics)


def _messages(
    context: JobContext,
    run: Run,
    found: Mapping[str, tuple[PackageRef, Listed]],
    states: Mapping[str, PackageState],
    wanted: Wanted,
) -> list[Message]:
    messages = []
    for purl, (ref, entry) in found.items():
        state = states.get(purl)
        if state is not None and entry.revision is not None and entry.revision == state.listed:
            # A difference that its registry does not mend would be found with every list.
            continue
        refresh = wanted(entry, state)
        if refresh is not None:
            # Of a package that is read for the first time no cache is bothered: there is nothing to differ from yet.
            listed = None if state is None else entry.revision
            message = context.message(ref, run, refresh=refresh, listed=listed)
            messages.append(replace(message, at_least=entry.at_least))
    return messages


async def _gone(context: JobContext, run: Run, listed: NameDigests) -> list[PackageRef]:
    """Find the known packages that are not listed. Raises TooManyRemovals as soon as they are too many."""
    ecosystem = context.registry.ecosystem
    gone: list[PackageRef] = []
    after = ""
    while page := await context.names.page(ecosystem, after):
        after = page[-1].purl
        gone += [
            context.registry.identify(known.name) for known in page if not known.is_removed and known.purl not in listed
        ]
        await refuse_many_removals(context, run, len(gone))
    return gone


async def _listing(context: JobContext, run: Run) -> tuple[Listing, int]:
    """Give the list, and the page of it that an earlier run of this job would have compared next, else 0."""
    with store_errors():
        raw = await context.redis.hget(Keys(context.queue.stream).positions, run.job)
    identity, page = _position(raw)
    listing = await whole_listing(
        context.redis,
        context.feed,
        context.registry.ecosystem,
        run,
        ttl_s=context.feeds.listing_ttl_s,
        lease_s=context.queue.lease_s,
        reuse=identity,
    )
    return listing, page if identity == listing.id else 0


def _position(raw: bytes | str | None) -> tuple[str | None, int]:
    """Read a list's id and page; None and 0 if another release has left something else there."""
    try:
        match orjson.loads(raw or b"null"):
            case [str(identity), int(page), *_] if page >= 0:
                return identity, page
    except orjson.JSONDecodeError:
        pass
    return None, 0


async def _keep_position(context: JobContext, run: Run, listing: Listing, page: int) -> None:
    with store_errors():
        position = orjson.dumps([listing.id, page]).decode()
        await context.redis.hset(Keys(context.queue.stream).positions, run.job, position)


async def _finish(context: JobContext, run: Run, listing: Listing) -> None:
    with store_errors():
        await context.redis.hdel(Keys(context.queue.stream).positions, run.job)
    await let_expire(context.redis, listing, context.feeds.listing_ttl_s)
