"""A registry's whole list against the graph, ten thousand names at a time: what is new, what changed, what is gone.

What is found is queued as messages; the place in the list is kept after each page, so that a run that was broken off is
gone on with there.
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
from securechain_ingest.jobs.digests import Digests
from securechain_ingest.jobs.listing import Listing, let_expire, whole_listing
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
class Registered:
    """One ecosystem's registry as a job sees it, and where the job finds what it needs."""

    registry: Registry
    feed: Feed
    redis: Redis
    names: PackageNames
    queue: QueueSettings
    feeds: FeedSettings
    lane: Lane
    """Where what it finds waits."""

    def message(
        self, ref: PackageRef, run: Run, *, refresh: bool, removed: bool = False, listed: str | None = None
    ) -> Message:
        """What asks for a package on behalf of a run."""
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
"""Whether a listed package is to be read: with `refresh` or without; None: not at all."""


async def ingest_unknown(place: Registered, run: Run) -> None:
    """Queue every package of the registry that the graph does not have completely. Raises IngestError."""

    def wanted(entry: Listed, state: PackageState | None) -> bool | None:
        return None if state is not None and state.is_complete else False

    listing, first = await _listing(place, run)
    run.metrics["total_in_registry"] = listing.names
    await _compare(place, run, listing, first, wanted, None)
    run.metrics["skipped_existing"] = run.metrics["names_compared"] - run.metrics["queued"]
    await _finish(place, run, listing)


async def reconcile(place: Registered, run: Run) -> str:
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

    listing, first = await _listing(place, run)
    listed = Digests()
    await _compare(place, run, listing, first, wanted, listed)
    gone = await _gone(place, run, listed)
    await place.submit([place.message(ref, run, refresh=True, removed=True) for ref in gone], run)
    await _finish(place, run, listing)
    return listing.head


async def refuse_many_removals(place: Registered, run: Run, count: int) -> None:
    """Raises TooManyRemovals if so many packages cannot be gone at once, unless the run was told that they are."""
    if count <= ALWAYS_REMOVABLE or run.options.get("allow_removals") == "true":
        return
    ecosystem = place.registry.ecosystem
    known = await place.names.count(ecosystem)
    if count > known * place.feeds.max_removed_share:
        raise TooManyRemovals(
            f"{count} or more of {known} packages of {ecosystem.name} are gone from the registry, more than [feeds]"
            f" max_removed_share {place.feeds.max_removed_share:g} allows; none was marked: look at the registry;"
            f" if it is right, `schedules run {run.job} --allow-removals`"
        )


def identified(registry: Registry, entries: Iterable[Listed]) -> dict[str, tuple[PackageRef, Listed]]:
    """The packages behind listed names, by purl; names that no package can have are left out."""
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
    place: Registered, run: Run, listing: Listing, first: int, wanted: Wanted, listed: Digests | None
) -> None:
    """Page by page, from the `first`; those before it only for their digests."""
    ecosystem = place.registry.ecosystem
    run.metrics |= {"queued": 0, "names_compared": 0, "errors": 0}
    next_line = place.feeds.progress_every
    for number in range(listing.pages):
        if number < first and listed is None:
            continue
        entries = await listing.page(place.redis, number)
        found = await anyio.to_thread.run_sync(identified, place.registry, entries)
        if listed is not None:
            await anyio.to_thread.run_sync(listed.add, found)
        if number < first:
            continue
        states = await place.names.states(ecosystem, list(found))
        await place.submit(_messages(place, run, found, states, wanted), run)
        await _keep_place(place, run, listing, number + 1)
        run.metrics["names_compared"] += len(entries)
        run.metrics["errors"] += len(entries) - len(found)
        if run.metrics["names_compared"] >= next_line:
            next_line += place.feeds.progress_every
            logger.info("names_compared", job=run.job, **run.metrics)


def _messages(
    place: Registered,
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
            message = place.message(ref, run, refresh=refresh, listed=listed)
            messages.append(replace(message, at_least=entry.at_least))
    return messages


async def _gone(place: Registered, run: Run, listed: Digests) -> list[PackageRef]:
    """The known packages that are not listed. Raises TooManyRemovals as soon as they are too many."""
    ecosystem = place.registry.ecosystem
    gone: list[PackageRef] = []
    after = ""
    while page := await place.names.page(ecosystem, after):
        after = page[-1].purl
        gone += [
            place.registry.identify(known.name) for known in page if not known.is_removed and known.purl not in listed
        ]
        await refuse_many_removals(place, run, len(gone))
    return gone


async def _listing(place: Registered, run: Run) -> tuple[Listing, int]:
    """The list, and the page of it that an earlier run of this job would have compared next; 0 in another list."""
    with store_errors():
        raw = await place.redis.hget(Keys(place.queue.stream).positions, run.job)
    identity, page = _position(raw)
    listing = await whole_listing(
        place.redis,
        place.feed,
        place.registry.ecosystem,
        run,
        ttl_s=place.feeds.listing_ttl_s,
        lease_s=place.queue.lease_s,
        reuse=identity,
    )
    return listing, page if identity == listing.id else 0


def _position(raw: bytes | str | None) -> tuple[str | None, int]:
    """The list and its page; none for what another release has left there in another form."""
    try:
        match orjson.loads(raw or b"null"):
            case [str(identity), int(page), *_] if page >= 0:
                return identity, page
    except orjson.JSONDecodeError:
        pass
    return None, 0


async def _keep_place(place: Registered, run: Run, listing: Listing, page: int) -> None:
    with store_errors():
        position = orjson.dumps([listing.id, page]).decode()
        await place.redis.hset(Keys(place.queue.stream).positions, run.job, position)


async def _finish(place: Registered, run: Run, listing: Listing) -> None:
    with store_errors():
        await place.redis.hdel(Keys(place.queue.stream).positions, run.job)
    await let_expire(place.redis, listing, place.feeds.listing_ttl_s)
