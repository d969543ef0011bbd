"""These are helpers for tests that let a reader run."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
from redis.asyncio import Redis

from securechain_ingest import registries
from securechain_ingest.drivers.redis_connection import blocking_twin
from securechain_ingest.ecosystem_settings import WorkerSettings
from securechain_ingest.progress import Progress
from securechain_ingest.queue.entries import Entry, History
from securechain_ingest.queue.handling import Handler, Link, Outcome
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import LANES, Lane
from securechain_ingest.queue.messages import Message, encode
from securechain_ingest.queue.reader import Reader
from securechain_ingest.settings import QueueSettings
from tests import queue_contents

ECOSYSTEMS = registries.ECOSYSTEMS[:3]
ALL_ECOSYSTEMS = tuple(WorkerSettings.model_fields)


def lane_of(queue: QueueSettings, lane: Lane = Lane.ASKED, ecosystem: str = "pypi") -> str:
    """Return the stream of a lane."""
    return Keys(queue.stream).lane(ecosystem, lane)


async def link_nothing(entries: Sequence[Entry]) -> list[Outcome | None]:
    """Return a graph that knows no package."""
    return [None] * len(entries)


def workers(places: int) -> WorkerSettings:
    """Return settings with so many places for each ecosystem."""
    return WorkerSettings(**dict.fromkeys(ALL_ECOSYSTEMS, places))


def make_reader(
    redis: Redis,
    queue: QueueSettings,
    handler: Handler,
    *,
    places: int = 8,
    link: Link = link_nothing,
    progress: Progress | None = None,
) -> Reader:
    """Return a reader that serves ECOSYSTEMS, with so many places for each."""
    return Reader(redis, queue, workers(places), ECOSYSTEMS, handler, link, progress or Progress(lambda: 600.0))


def entry_of(
    message: Message, *, lane: Lane = Lane.CHANGED, attempts: int = 0, outages: int = 0, claimed: bool = False
) -> Entry:
    """Return a message as a reader gets it from a lane."""
    return Entry(
        "pypi",
        lane,
        "1-1",
        encode(message).encode(),
        message,
        history=History("", attempts, outages=outages),
        claimed=claimed,
    )


def data(package: str = "six", **keys: Any) -> str:
    return json.dumps({"node_type": "PyPIPackage", "package": package, **keys})


async def add(redis: Redis, stream: str, *packages: str) -> list[str]:
    """Add one message for each package; return their entry ids."""
    ids: list[Any] = [await redis.xadd(stream, {"data": data(package)}) for package in packages]
    return [entry_id.decode() for entry_id in ids]


@asynccontextmanager
async def running(
    redis: Redis, queue: QueueSettings, handler: Handler, *, places: int = 8, link: Link = link_nothing
) -> AsyncIterator[Reader]:
    """Yield a reader that takes messages inside the block and is drained after it."""
    reader = make_reader(redis, queue, handler, places=places, link=link)
    async with anyio.create_task_group() as group:
        group.start_soon(reader.run)
        await reader.ready()
        yield reader
        reader.stop()


async def let_leases_run_out(redis: Redis, queue: QueueSettings) -> None:
    """Make it as if whoever has messages in hand had been silent for longer than a lease."""
    with blocking_twin(redis) as twin:
        queue_contents.let_leases_run_out(twin, queue.stream, queue.group)


async def is_idle(redis: Redis, queue: QueueSettings) -> bool:
    """Return whether nothing is queued, in hand or postponed."""
    keys = Keys(queue.stream)
    async with redis.pipeline(transaction=True) as pipeline:
        pipeline.xlen(keys.submissions)
        for ecosystem in ALL_ECOSYSTEMS:
            for lane in LANES:
                pipeline.xlen(keys.lane(ecosystem, lane))
                pipeline.zcard(keys.retries(ecosystem, lane))
        return not any(await pipeline.execute())


async def assert_no_leak(redis: Redis, queue: QueueSettings) -> None:
    """Nothing is left in any key of the queue but dead letters and counters."""
    keys = Keys(queue.stream)
    assert await is_idle(redis, queue)
    streams = [keys.submissions]
    for ecosystem in ALL_ECOSYSTEMS:
        streams += [lane for lane in keys.lanes(ecosystem) if await redis.exists(lane)]
        assert await redis.hlen(keys.waiting(ecosystem)) == 0
        for payloads in keys.all_payloads(ecosystem):
            assert await redis.hlen(payloads) == 0
    for stream in streams:
        pending: Any = await redis.xpending(stream, queue.group)
        assert pending["pending"] == 0


async def dead_letters(redis: Redis, queue: QueueSettings) -> list[dict[str, str]]:
    rows: Any = await redis.xrange(Keys(queue.stream).dead_letters)
    return [{key.decode(): value.decode() for key, value in fields.items()} for _, fields in rows]


class Observer:
    """This is a handler that notes the packages it was given and does what it is told to."""

    def __init__(self, act: Callable[[Entry], Awaitable[Outcome]] | None = None) -> None:
        self.entries: list[Entry] = []
        self._act = act

    @property
    def packages(self) -> list[str]:
        return [entry.message.package for entry in self.entries]

    async def __call__(self, entry: Entry) -> Outcome:
        self.entries.append(entry)
        return await self._act(entry) if self._act else Outcome()
