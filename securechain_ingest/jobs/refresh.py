"""The periodic refresh, through the bulk stream: packages whose last check is old, and archives to be tried again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from securechain_ingest.errors import StoreError
from securechain_ingest.graph.store import Graph
from securechain_ingest.intake.keys import Keys
from securechain_ingest.intake.messages import Message
from securechain_ingest.intake.submission import submit
from securechain_ingest.model import Ecosystem
from securechain_ingest.settings import QueueSettings, RefreshSettings

UNANSWERED = timedelta(days=1)
"""After which an archive is asked for again if nothing came of the message: its package's document cannot be read."""

logger = structlog.get_logger(__name__)


async def queue_due_archives(
    redis: Redis, graph: Graph, ecosystems: Iterable[Ecosystem], queue: QueueSettings, refresh: RefreshSettings
) -> int:
    """Ask for at most `refresh.batch` packages an ecosystem whose archive could not be read and is to be tried by now.

    They are few and have waited, so they are added however many bulk messages there are. Returns how many; raises
    StoreError. If it ends between queueing and noting that, the next run asks again, which costs one request.
    """
    now = datetime.now(UTC)
    queued = 0
    for ecosystem in ecosystems:
        if due := await graph.names.due_tries(ecosystem, now, refresh.batch):
            messages = [Message(ecosystem.label, name, refresh=True, internal=True) for name in due.values()]
            await submit(redis, queue, messages, bulk=True)
            await graph.names.ask_again_at(due, now, now + UNANSWERED)
            queued += len(messages)
    if queued:
        logger.info("archives_queued", packages=queued)
    return queued


async def queue_stale_packages(
    redis: Redis, graph: Graph, ecosystems: Iterable[Ecosystem], queue: QueueSettings, refresh: RefreshSettings
) -> int:
    """Add a refresh message for at most `refresh.batch` packages an ecosystem, oldest check first; returns how many.

    Nothing is added while bulk messages still wait, so one package never stands in the stream twice for this reason; no
    cursor is needed, because a package that was checked is no longer stale. Raises StoreError.
    """
    keys = Keys(queue.stream)
    try:
        waiting = await redis.xlen(keys.bulk)
    except RedisError as error:
        raise StoreError(f"the bulk stream could not be read from Redis ({type(error).__name__}: {error})") from error
    if waiting:
        logger.info("refresh_skipped", reason="bulk messages still wait")
        return 0
    older_than = datetime.now(UTC) - timedelta(seconds=refresh.max_age_s)
    queued = 0
    for ecosystem in ecosystems:
        stale = await graph.stale(ecosystem, older_than, refresh.batch)
        messages = [
            Message(node_type=ecosystem.label, package=ref.registry_name, refresh=True, internal=True) for ref in stale
        ]
        await submit(redis, queue, messages, bulk=True)
        queued += len(messages)
    logger.info("refresh_queued", packages=queued)
    return queued
