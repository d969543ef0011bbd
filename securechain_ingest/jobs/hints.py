"""This module queues packages by hints at changes, between two looks at a feed. Hints do not move a cursor, so they
cannot make it pass over a change."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from securechain_ingest.drivers.redis_errors import store_errors
from securechain_ingest.jobs.comparison import JobContext
from securechain_ingest.jobs.updates import messages_of
from securechain_ingest.queue.keys import Keys
from securechain_ingest.registries.feed import Change, HintingFeed
from securechain_ingest.runs import Run


async def queue_hints(context: JobContext, run: Run, *, watched: int) -> None:
    """Queue the packages that the registry names as its newest, and the `watched` ones that were active last.

    Packages that the graph neither has nor awaits are left out. It raises IngestError.
    """
    run.metrics |= {"queued": 0, "errors": 0}
    if isinstance(context.feed, HintingFeed):
        await _queue_newest(context, context.feed, run)
    if watched:
        names = await _active(context, watched)
        changes = [Change(name, None, removed=False) for name in names]
        await _queue(context, run, changes)


async def _queue_newest(context: JobContext, feed: HintingFeed, run: Run) -> None:
    ecosystem, key = context.registry.ecosystem.name, Keys(context.queue.stream).hints
    with store_errors():
        seen = await context.redis.hget(key, ecosystem)
    if (hints := await feed.hints(seen.decode() if isinstance(seen, bytes) else "")) is None:
        return
    await _queue(context, run, hints.changes)
    # The cursor is kept only now, so that a hint that was not queued is given again.
    with store_errors():
        await context.redis.hset(key, ecosystem, hints.cursor)


async def _queue(context: JobContext, run: Run, changes: Iterable[Change]) -> None:
    await context.submit([message for _, message in await messages_of(context, run, changes)], run)


async def _active(context: JobContext, count: int) -> list[str]:
    with store_errors():
        key = Keys(context.queue.stream).active(context.registry.ecosystem.name)
        names: Any = await context.redis.zrevrange(key, 0, count - 1)
    return [name.decode() for name in names]
