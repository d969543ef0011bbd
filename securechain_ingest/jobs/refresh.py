"""The periodic refresh: packages whose last check is old are asked for again, through the lane `changed`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import structlog
from redis.asyncio import Redis

from securechain_ingest.graph.store import Graph
from securechain_ingest.model import Ecosystem
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.messages import Message
from securechain_ingest.queue.submission import enqueue
from securechain_ingest.redis_errors import store_errors
from securechain_ingest.settings import QueueSettings, RefreshSettings

logger = structlog.get_logger(__name__)


async def queue_stale_packages(
    redis: Redis, graph: Graph, ecosystems: Iterable[Ecosystem], queue: QueueSettings, refresh: RefreshSettings
) -> int:
    """Add a refresh message for at most `refresh.batch` packages an ecosystem, oldest check first; returns how many.

    Nothing is added for an ecosystem whose lane `changed` still has work; no cursor is needed, because a package that
    was checked is no longer stale. Raises StoreError.
    """
    keys = Keys(queue.stream)
    older_than = datetime.now(UTC) - timedelta(seconds=refresh.max_age_s)
    queued = 0
    for ecosystem in ecosystems:
        with store_errors():
            is_busy = await redis.xlen(keys.lane(ecosystem.name, Lane.CHANGED)) > 0
        if is_busy:
            logger.info("refresh_skipped", ecosystem=ecosystem.name, reason="changed packages still wait")
            continue
        stale = await graph.stale(ecosystem, older_than, refresh.batch)
        messages = [
            Message(node_type=ecosystem.label, package=ref.registry_name, refresh=True, internal=True) for ref in stale
        ]
        queued += (await enqueue(redis, queue, ecosystem.name, Lane.CHANGED, messages)).added
    logger.info("refresh_queued", packages=queued)
    return queued
