"""This module compares a registry's whole list with the graph, ten thousand names at a time, and finds what is new,
changed or gone.

First it walks the graph and keeps an outline of each package in a file. Most names of the list are answered by that.
The others are looked up when their turn comes, because much may have been written since. What the module finds is
queued as messages. The position in the list is kept after each page, so that the next run continues there if this one
is interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import anyio.to_thread
import orjson
import structlog
from redis.asyncio import Redis

from securechain_ingest.bounds import require_possible, sentence
from securechain_ingest.drivers.redis_errors import store_errors
from securechain_ingest.errors import InvalidName, TooManyRemovals
from securechain_ingest.graph.names import PackageNames, PackageState
from securechain_ingest.jobs.listing import Listing, let_expire, whole_listing
from securechain_ingest.jobs.outlines import Outline, Outlines, outlines
from securechain_ingest.model import PackageRef
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.messages import Message
from securechain_ingest.queue.submission import enqueue
from securechain_ingest.registries.feed import Feed, Listed
from securechain_ingest.registries.protocol import Registry
from securechain_ingest.runs import Run, utc_now
from securechain_ingest.settings import FeedSettings, QueueSettings

ALWAYS_REMOVABLE = 10
"""So many packages may be gone at once, however few are known."""

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class JobContext:
    """This has what a job needs to know about one ecosystem's registry, and the parts that it uses."""

    registry: Registry
    feed: Feed
    redis: Redis
    names: PackageNames
    queue: QueueSettings
    feeds: FeedSettings
    lane: Lane
    """The job adds what it finds to this lane."""
    folder: Path
    """Comparisons keep their files in this folder."""
    now: Callable[[], datetime] = utc_now
    """The ages of lists are reckoned by this clock (UTC)."""

    def message(
        self, ref: PackageRef, run: Run, *, refresh: bool, removed: bool = False, listed: str | None = None
    ) -> Message:
        """Return the message that asks for a package on behalf of a run.

        Packages that a whole load finds first are read with the fewest requests; the rest of each is read when all of
        them are in the graph.
        """
        return Message(
            self.registry.ecosystem.label,
            ref.registry_name,
            refresh=refresh,
            internal=True,
            removed=removed,
            run=run.id,
            listed=listed,
            first=self.lane is Lane.LISTED and not refresh,
        )

    async def submit(self, messages: Sequence[Message], run: Run) -> None:
        """Add messages to the job's lane and count them; it waits until there is room. It raises StoreError."""
        ecosystem = self.registry.ecosystem
        join = ecosystem.join_announcements
        done = await enqueue(self.redis, self.queue, ecosystem.name, self.lane, messages, announcements=join)
        run.metrics["queued"] = run.metrics.get("queued", 0) + done.added


Wanted = Callable[[Listed, PackageState | None], bool | None]
"""This says whether a listed package is to be read with `refresh` (True), without (False) or not at all (None)."""


IsCurrent = Callable[[Listed, Outline], bool]
"""This says by its outline that a listed package is not to be read, whatever has been written since the graph was
walked."""


async def ingest_unknown(context: JobContext, run: Run) -> None:
    """Queue every package of the registry that the graph does not have completely. It raises IngestError."""

    def wanted(entry: Listed, state: PackageState | None) -> bool | None:
        return None if state is not None and state.is_complete else False

    def is_current(entry: Listed, outline: Outline) -> bool:
        return outline.is_complete

    listing, begin = await _listing(context, run)
    run.metrics["total_in_registry"] = listing.names
    async with _outlines(context, awaited=False) as held:
        await _compare(context, run, listing, begin, held, is_current, wanted, seeks_unknown=True)
    run.metrics["skipped_existing"] = run.metrics["names_compared"] - run.metrics["queued"]
    await _finish(context, run, listing)


@dataclass(frozen=True, slots=True)
class Compared:
    """This is the result of a comparison of all names with the graph."""

    listing: Listing
    """This is the registry's list, with the feed's cursor from before it was read."""
    vouches: bool
    """This says whether each package of the graph is in the state that the list gives, or is queued now. A list that
    gives no state for some package does not say that the package has not changed."""


async def reconcile(context: JobContext, run: Run, limit: RemovalLimit) -> Compared:
    """Queue every package of the graph that its registry has in another state or no longer has.

    It raises IngestError, of which TooManyRemovals is one kind.
    """

    def wanted(entry: Listed, state: PackageState | None) -> bool | None:
        if state is None:
            return None
        if state.is_awaited:
            return False
        if state.is_complete and not state.is_removed and entry.revision is not None and state.revision is not None:
            return None if state.revision == entry.revision else True
        return True if entry.revision is not None or state.is_removed or not state.is_complete else None

    def is_current(entry: Listed, outline: Outline) -> bool:
        if not outline.is_complete or outline.is_removed:
            return False
        return entry.revision is None or outline.is_of(entry.revision)

    listing, begin = await _listing(context, run)
    async with _outlines(context, awaited=True) as held:
        unvouched = await _compare(context, run, listing, begin, held, is_current, wanted, seeks_unknown=False)
        gone = await _gone(context, held, limit)
    await context.submit([context.message(ref, run, refresh=True, removed=True) for ref in gone], run)
    await _finish(context, run, listing)
    return Compared(listing, vouches=unvouched == 0)


class RemovalLimit:
    """This limits for one run how many packages may be gone from a registry at once. The known packages are counted
    once."""

    def __init__(self, context: JobContext, run: Run) -> None:
        self._context = context
        self._run = run
        self._known: int | None = None

    async def check(self, count: int) -> None:
        """Raise TooManyRemovals if so many packages cannot be gone at once, unless the run's options allow it. It
        also raises StoreError."""
        if count <= ALWAYS_REMOVABLE or self._run.options.get("allow_removals") == "true":
            return
        ecosystem, share = self._context.registry.ecosystem, self._context.feeds.max_removed_share
        if self._known is None:
            self._known = await self._context.names.count(ecosystem)
        if count > self._known * share:
            raise TooManyRemovals(
                f"{count} or more of {self._known} packages of {ecosystem.name} are gone from the registry, more than"
                f" [feeds] max_removed_share {share:g} allows; none was marked: look at the registry;"
                f" if it is right, `schedules run {self._run.job} --allow-removals`"
            )


def identified(registry: Registry, entries: Iterable[Listed]) -> dict[str, tuple[PackageRef, Listed]]:
    """Return the packages that listed names mean, by purl. Names that no package can have are left out."""
    found: dict[str, tuple[PackageRef, Listed]] = {}
    for entry in entries:
        try:
            ref = require_possible(registry.identify(entry.name))
        except InvalidName as error:
            logger.debug("listed_name_invalid", name=sentence(entry.name, 60), reason=str(error))
        else:
            found[ref.purl] = ref, entry
    return found


def _outlines(context: JobContext, *, awaited: bool) -> AbstractAsyncContextManager[Outlines]:
    return outlines(context.names, context.registry.ecosystem, context.folder, awaited=awaited)


async def _compare(
    context: JobContext,
    run: Run,
    listing: Listing,
    begin: _ComparisonPosition,
    held: Outlines,
    is_current: IsCurrent,
    wanted: Wanted,
    *,
    seeks_unknown: bool,
) -> int:
    """Compare page by page from the position `begin` on.

    With `seeks_unknown` the names are looked up that the graph neither had nor awaited, since they may be known when
    their turn comes: a first load may take days. Without it they are left out, because a package that has come since
    was read since; and the pages before `begin` are read, too, because `held` has to learn what they list.

    The result is the number of packages in the graph for which the list gives no state.
    """
    ecosystem = context.registry.ecosystem
    unvouched = begin.unvouched
    run.metrics |= {"queued": 0, "names_compared": 0, "errors": 0}
    next_line = context.feeds.progress_every
    for number in range(listing.pages):
        if number < begin.page and seeks_unknown:
            continue
        entries = await listing.page(context.redis, number)
        found = await anyio.to_thread.run_sync(identified, context.registry, entries)
        left, current_unvouched = await anyio.to_thread.run_sync(_left, found, held, is_current, seeks_unknown)
        if number < begin.page:
            continue
        states = await context.names.states(ecosystem, list(left))
        await context.submit(_messages(context, run, left, states, wanted), run)
        unvouched += current_unvouched + _unvouched(left, states)
        await _keep_position(context, run, _ComparisonPosition(listing.id, number + 1, unvouched))
        run.metrics["names_compared"] += len(entries)
        run.metrics["errors"] += len(entries) - len(found)
        if run.metrics["names_compared"] >= next_line:
            next_line += context.feeds.progress_every
            logger.info("names_compared", job=run.job, **run.metrics)
    return unvouched


def _left(
    found: Mapping[str, tuple[PackageRef, Listed]], held: Outlines, is_current: IsCurrent, seeks_unknown: bool
) -> tuple[dict[str, tuple[PackageRef, Listed]], int]:
    """Return the packages that have to be looked up, and the number of the others that the graph has and for which the
    list gives no state."""
    left = dict(found) if seeks_unknown else {}
    unvouched = 0
    for purl, outline in held.listed(found):
        package = found[purl]
        if not is_current(package[1], outline):
            left[purl] = package
        else:
            left.pop(purl, None)
            unvouched += package[1].revision is None
    return left, unvouched


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
            # Otherwise a difference that the registry does not mend would be found with every list.
            continue
        refresh = wanted(entry, state)
        if refresh is not None:
            # A package that is read for the first time may come from a cache: the graph has no other state of it.
            listed = None if state is None else entry.revision
            message = context.message(ref, run, refresh=refresh, listed=listed)
            messages.append(replace(message, at_least=entry.at_least))
    return messages


async def _gone(context: JobContext, held: Outlines, limit: RemovalLimit) -> list[PackageRef]:
    """Return the known packages that are not listed. It raises TooManyRemovals."""
    count = await anyio.to_thread.run_sync(held.count_unlisted)
    await limit.check(count)
    gone: list[PackageRef] = []
    if not count:
        return gone
    async for page in context.names.known(context.registry.ecosystem):
        names = {known.purl: known.name for known in page if not known.is_removed}
        unlisted = await anyio.to_thread.run_sync(held.unlisted, names)
        gone += [context.registry.identify(name) for purl, name in names.items() if purl in unlisted]
    return gone


@dataclass(frozen=True, slots=True)
class _ComparisonPosition:
    """This is how far a comparison has come; the next run continues there if this one is interrupted."""

    listing: str | None = None
    """This is the id of the list."""
    page: int = 0
    """This is the number of the page that is compared next."""
    unvouched: int = 0
    """For so many packages of the graph the pages before it gave no state."""


async def _listing(context: JobContext, run: Run) -> tuple[Listing, _ComparisonPosition]:
    """Return the list, and the position in it where an earlier run of this job has stopped, or else its beginning."""
    with store_errors():
        raw = await context.redis.hget(Keys(context.queue.stream).positions, run.job)
    kept = _kept_position(raw)
    listing = await whole_listing(
        context.redis,
        Keys(context.queue.stream).listing(context.registry.ecosystem.name),
        context.feed,
        context.registry.ecosystem,
        run,
        ttl_s=context.feeds.listing_ttl_s,
        lease_s=context.queue.lease_s,
        reuse=kept.listing,
        now=context.now,
    )
    return listing, kept if kept.listing == listing.id else _ComparisonPosition()


def _kept_position(raw: bytes | str | None) -> _ComparisonPosition:
    """Return a kept position. It is the beginning if another release has left something else there."""
    try:
        match orjson.loads(raw or b"null"):
            case [str(listing), int(page), int(unvouched), *_] if page >= 0:
                return _ComparisonPosition(listing, page, unvouched)
            case [str(listing), int(page)] if page >= 0:
                # The release before did not count these packages, so that comparison vouches for nothing.
                return _ComparisonPosition(listing, page, unvouched=1)
    except orjson.JSONDecodeError:
        pass
    return _ComparisonPosition()


async def _keep_position(context: JobContext, run: Run, kept: _ComparisonPosition) -> None:
    with store_errors():
        position = orjson.dumps([kept.listing, kept.page, kept.unvouched]).decode()
        await context.redis.hset(Keys(context.queue.stream).positions, run.job, position)


def _unvouched(found: Mapping[str, tuple[PackageRef, Listed]], states: Mapping[str, PackageState]) -> int:
    """Count the packages of the graph that the list has without their state."""
    return sum(1 for purl, state in states.items() if not state.is_awaited and found[purl][1].revision is None)


async def _finish(context: JobContext, run: Run, listing: Listing) -> None:
    with store_errors():
        await context.redis.hdel(Keys(context.queue.stream).positions, run.job)
    ttl_s = max(context.feeds.listing_ttl_s, context.registry.ecosystem.listing_kept_s)
    await let_expire(context.redis, listing, ttl_s)
