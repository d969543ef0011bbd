"""This measures what an entry of each of the queue's structures takes in Redis, as the product itself writes it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from redis.asyncio import Redis

from benchmarks.harness import STREAM, work_dir
from securechain_ingest.drivers.redis_connection import connect
from securechain_ingest.queue.breakers import Breakers
from securechain_ingest.queue.entries import Entry, read_entry
from securechain_ingest.queue.groups import ensure_groups
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.messages import Message
from securechain_ingest.queue.outcomes import Outcomes
from securechain_ingest.queue.settlement import Failure, Settlement
from securechain_ingest.queue.submission import enqueue, submit
from securechain_ingest.settings import QueueSettings
from tests.stores import local_stores

GROUP, CONSUMER, RUN = "extractors", "package-consumer-host-12345-0a1b2c3d", "20260101T000000-abc"
FAILURE: Final = Failure("unavailable", "the registry answered with status 500 when asked for the package", True)
_AT_ONCE: Final = 500


def structures(count: int) -> list[dict[str, object]]:
    """Return rows: the structure, its entries, and bytes an entry.

    A third each of `count` is postponed, done and dead.
    """
    with work_dir() as folder, local_stores(folder, frozenset({"redis"})) as stores:
        return asyncio.run(_measured(str(stores.redis_url), count))


async def _measured(url: str, count: int) -> list[dict[str, object]]:
    keys = Keys(STREAM)
    queue = QueueSettings.model_validate({"lane_max_length": max(count, 100)})
    lane = keys.lane("npm", Lane.LISTED)
    messages = [Message("NPMPackage", f"package-{number}", internal=True, run=RUN) for number in range(count)]
    async with connect(url, 60.0) as redis:
        await ensure_groups(redis, [keys.submissions, *keys.lanes("npm")], GROUP)
        await enqueue(redis, queue, "npm", Lane.LISTED, messages)
        rows = [
            await _row(redis, "lane", lane, count),
            await _row(redis, "marks", keys.waiting("npm"), count),
        ]
        await submit(redis, queue, messages[: count // 3])
        rows.append(await _row(redis, "submissions", keys.submissions, count // 3))
        async with Outcomes(redis, STREAM, RUN, wait=True):
            third = await _settle(redis, lane, count // 3)
            rows += [
                await _row(redis, "retry set", keys.retries("npm", Lane.LISTED), third),
                await _row(redis, "retry payloads", keys.payloads("npm", Lane.LISTED), third),
                await _row(redis, "dead letters", keys.dead_letters, third),
                await _row(redis, "outcomes", keys.outcomes(RUN), 2 * third),
            ]
        breakers = Breakers(redis, keys)
        for number in range(5):
            await breakers.failed("npm_registry", f"package-{number}", FAILURE.reason, is_probe=False)
        rows += [
            await _row(redis, "breaker of an endpoint", keys.breaker("npm_registry"), 1),
            await _row(redis, "counts of a run", keys.run_counts, 1),
            await _row(redis, "counters", keys.counters, 1),
        ]
    return rows


async def _settle(redis: Redis, lane: str, third: int) -> int:
    """Take three thirds from the lane; one is postponed, one done, one dead. How many each are."""
    settlement = Settlement(redis, Keys(STREAM), GROUP, CONSUMER)
    done = 0
    while done < third:
        answer: Any = await redis.xreadgroup(GROUP, CONSUMER, {lane: ">"}, count=3 * min(_AT_ONCE, third - done))
        entries = [read_entry("npm", Lane.LISTED, *row) for row in answer[0][1]]
        await asyncio.gather(*_ends(settlement, entries))
        done += len(entries) // 3
    return third


def _ends(settlement: Settlement, entries: Sequence[Entry]) -> list[Any]:
    third = len(entries) // 3
    return [
        *(settlement.postpone(entry, FAILURE, 900.0, is_attempt=True) for entry in entries[:third]),
        *(settlement.complete(entry, [], 13) for entry in entries[third : 2 * third]),
        *(settlement.dead_letter(entry, FAILURE, 10_000_000) for entry in entries[2 * third :]),
    ]


async def _row(redis: Redis, structure: str, key: str, entries: int) -> dict[str, object]:
    used: Any = await redis.memory_usage(key, samples=0)
    return {"structure": structure, "entries": entries, "bytes an entry": int(used) / entries}
