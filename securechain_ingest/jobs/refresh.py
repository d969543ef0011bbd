"""This module does the periodic refresh through the lane `changed`. It covers packages whose last check is old, and
archives that are to be tried again.

A package with an old check is not asked for if a comparison with its registry's list vouches for it. The comparison has
found the package in the state that the list gives, or has queued it, and the feed has announced what has changed since.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

import structlog
from redis.asyncio import Redis

from securechain_ingest.drivers.redis_errors import store_errors
from securechain_ingest.graph.store import Graph
from securechain_ingest.jobs.cursors import Cursors
from securechain_ingest.model import Ecosystem
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.messages import Message
from securechain_ingest.queue.submission import enqueue
from securechain_ingest.settings import QueueSettings, RefreshSettings

UNANSWERED = timedelta(days=1)
"""An archive is asked for again after this time if its message had no effect because the package's document cannot
be read."""

logger = structlog.get_logger(__name__)


async def queue_due_archives(
    redis: Redis, graph: Graph, ecosystems: Iterable[Ecosystem], queue: QueueSettings, refresh: RefreshSettings
) -> int:
    """Ask for at most `refresh.batch` packages an ecosystem whose archive could not be read and is due for another
    attempt.

    They are few and have waited, so they are added however many other messages there are. The result is their number.
    It raises StoreError. If it ends after queueing and before that is noted, the next run asks for them again, which
    costs one request each.
    """
    now = datetime.now(UTC)
    queued = 0
    for ecosystem in ecosystems:
        if due := await graph.due.archives(ecosystem, now, refresh.batch):
            messages = [Message(ecosystem.label, name, refresh=True, internal=True) for name in due.values()]
            await enqueue(redis, queue, ecosystem.name, Lane.CHANGED, messages)
            await graph.due.ask_again_at(due, now, now + UNANSWERED)
            queued += len(messages)
    if queued:
        logger.info("archives_queued", packages=queued)
    return queued


async def queue_stale_packages(
    redis: Redis,
    graph: Graph,
    ecosystems: Iterable[Ecosystem],
    queue: QueueSettings,
    refresh: RefreshSettings,
    reconcile_s: Mapping[str, float],
) -> int:
    """Add a refresh message for at most `refresh.batch` packages an ecosystem, oldest check first. Return their number.

    These are the packages that another program has left and that were never read, and, where no comparison vouches for
    them, those whose last check is older than `refresh.max_age_s`. `reconcile_s` has the seconds between two
    comparisons, by ecosystem. Nothing is added for an ecosystem whose lane `changed` still has work; no cursor is
    needed, because a package that was checked is no longer stale. It raises StoreError.
    """
    keys = Keys(queue.stream)
    cursors = Cursors(redis, queue.stream)
    now = datetime.now(UTC)
    older_than = now - timedelta(seconds=refresh.max_age_s)
    queued = 0
    for ecosystem in ecosystems:
        with store_errors():
            is_busy = await redis.xlen(keys.lane(ecosystem.name, Lane.CHANGED)) > 0
        if is_busy:
            logger.info("refresh_skipped", ecosystem=ecosystem.name, reason="changed packages still wait")
            continue
        due = await graph.due.never_read(ecosystem, older_than, refresh.batch)
        cursor = await cursors.get(ecosystem.name)
        period_s = reconcile_s[ecosystem.name]
        if cursor is None or not cursor.vouches(now, reconcile_s=period_s, max_age_s=refresh.max_age_s):
            due += await graph.due.stale(ecosystem, older_than, refresh.batch - len(due))
        names = dict.fromkeys(ref.registry_name for ref in due)
        messages = [Message(node_type=ecosystem.label, package=name, refresh=True, internal=True) for name in names]
        queued += (await enqueue(redis, queue, ecosystem.name, Lane.CHANGED, messages)).added
    logger.info("refresh_queued", packages=queued)
    return queued
