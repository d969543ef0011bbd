"""This module queues what has changed in a registry since the cursor: the feed announces it, or everything is compared.

The cursor moves only when everything before it is durably queued. If the same change is queued twice, nothing is
different afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import structlog

from securechain_ingest.bounds import require_possible, sentence
from securechain_ingest.errors import CursorLost, InvalidName
from securechain_ingest.jobs.comparison import JobContext, RemovalLimit, reconcile
from securechain_ingest.jobs.cursors import Cursor, Cursors
from securechain_ingest.jobs.listing import note_outlived
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.messages import Message
from securechain_ingest.registries.feed import Change
from securechain_ingest.runs import Run

logger = structlog.get_logger(__name__)


async def queue_changes(context: JobContext, cursors: Cursors, run: Run, *, reconcile_s: float | None) -> None:
    """Queue the packages that have changed and that the graph has or awaits. It raises IngestError; the cursor then
    stays.

    Everything is compared if there is no cursor, the feed has lost it, the last comparison is older than `reconcile_s`
    seconds (None means that its age does not matter), or the run was asked to compare. The list may have been read for
    another job, and reading and comparing take their time; so the changes since then are followed at once.
    """
    name = context.registry.ecosystem.name
    limit = RemovalLimit(context, run)
    cursor = await cursors.get(name)
    run.metrics |= {"queued": 0, "errors": 0}
    run.cursor_before = run.cursor_after = cursor.value if cursor else None
    if cursor is not None and _may_follow(cursor, run, reconcile_s):
        try:
            await _follow(context, cursors, run, cursor.value, limit)
        except CursorLost as lost:
            logger.warning("cursor_lost", ecosystem=name, reason=str(lost))
        else:
            return
    if await _compare_and_follow(context, cursors, run, limit):
        # The list that was kept is from before all that the feed still tells. It is old enough to be read again, and
        # what has changed since then must not wait for the next run.
        await _compare_and_follow(context, cursors, run, limit)


async def _compare_and_follow(context: JobContext, cursors: Cursors, run: Run, limit: RemovalLimit) -> bool:
    """Compare everything, and follow what has changed since the list was read. Return whether another list is needed
    for that and may be read now."""
    name = context.registry.ecosystem.name
    compared = await reconcile(context, run, limit)
    head = compared.listing.head
    await cursors.move(name, head, run.id, reconciled=True, vouches=compared.vouches)
    run.cursor_after = head
    try:
        await _follow(context, cursors, run, head, limit)
    except CursorLost as lost:
        # The next run compares again, with a list that is younger as soon as there may be one.
        logger.warning("cursor_lost", ecosystem=name, reason=str(lost))
        return await note_outlived(
            context.redis,
            Keys(context.queue.stream).listing(name),
            compared.listing,
            context.registry.ecosystem,
            ttl_s=context.feeds.listing_ttl_s,
            now=context.now(),
        )
    return False


def _may_follow(cursor: Cursor, run: Run, reconcile_s: float | None) -> bool:
    if run.options.get("reconcile") == "true":
        return False
    return reconcile_s is None or not cursor.reconciled_before(datetime.now(UTC) - timedelta(seconds=reconcile_s))


async def _follow(context: JobContext, cursors: Cursors, run: Run, cursor: str, limit: RemovalLimit) -> None:
    """Queue the changes page by page. Removals and the cursor wait until all changes are known, because too many
    removals are refused."""
    removals: list[Message] = []
    run.metrics["changes_read"] = 0
    async for page in context.feed.changes(cursor):
        found = await messages_of(context, run, page.changes)
        removals += [message for change, message in found if change.removes_package]
        await limit.check(len(removals))
        await context.submit([message for change, message in found if not change.removes_package], run)
        run.metrics["changes_read"] += len(page.changes)
        run.cursor_after = page.cursor
        if not removals:
            await cursors.move(context.registry.ecosystem.name, page.cursor, run.id)
    if removals and run.cursor_after is not None:
        await context.submit(removals, run)
        await cursors.move(context.registry.ecosystem.name, run.cursor_after, run.id)
    await cursors.note_followed(context.registry.ecosystem.name)


async def messages_of(context: JobContext, run: Run, changes: Iterable[Change]) -> list[tuple[Change, Message]]:
    """Return the last change of each package that the graph has in another state or awaits, and a message for it."""
    newest = {}
    for change in changes:
        try:
            ref = require_possible(context.registry.identify(change.name))
        except InvalidName as error:
            logger.debug("changed_name_invalid", name=sentence(change.name, 60), reason=str(error))
            continue
        newest[ref.purl] = ref, change
    found = []
    states = await context.names.states(context.registry.ecosystem, list(newest))
    for purl, state in states.items():
        ref, change = newest[purl]
        if state.revision is not None and state.revision == change.at_least and state.is_removed == change.removed:
            continue
        message = context.message(ref, run, refresh=not state.is_awaited, removed=change.removed)
        # A revision that a message cannot carry is left out; the package is then read again without it.
        says = change.at_least is not None and context.registry.ecosystem.announced.fullmatch(change.at_least)
        at_least = change.at_least if says and not change.removed else None
        found.append((change, replace(message, at_least=at_least)))
    return found
