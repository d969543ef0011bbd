"""This tests a list that is read by two jobs at once: the lock of the first one ran out while it went on reading."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from securechain_ingest.errors import StoreError
from securechain_ingest.jobs.listing import Listing, whole_listing
from securechain_ingest.registries.feed import ListingPage
from tests.graph.builders import PYPI
from tests.jobs.feeds import KEYS, FeedBench, MadeFeed
from tests.waiting import Gate, until

NAMES = ("a", "b", "c", "d", "e")
LIST = KEYS.listing("pypi")
LOCK = f"{LIST}:reader"


@dataclass
class HeldFeed(MadeFeed):
    """This holds back chosen pages of chosen readers; both are counted from 0."""

    gates: dict[tuple[int, int], Gate[None]] = field(default_factory=dict)
    readers: int = 0

    async def listing(self, position: str) -> AsyncIterator[ListingPage]:
        reader, number = self.readers, int(position or 0) // 2
        self.readers += 1
        async for page in super().listing(position):
            if gate := self.gates.get((reader, number)):
                await gate(None)
            yield page
            number += 1


def hold(bench: FeedBench, *held: tuple[int, int], resumable: bool) -> dict[tuple[int, int], Gate[None]]:
    gates = {each: Gate(None) for each in held}
    bench.feed = HeldFeed(listed=dict.fromkeys(NAMES, "1"), resumable=resumable, gates=gates)
    return gates


async def names_of(bench: FeedBench, listing: Listing) -> list[str]:
    return [entry.name for number in range(listing.pages) for entry in await listing.page(bench.redis, number)]


async def the_list(bench: FeedBench) -> Listing:
    """Return the list as the next job gets it, which reads it only if there is none."""
    run = bench.run("next")
    return await whole_listing(bench.redis, LIST, bench.feed, PYPI, run, ttl_s=3600, lease_s=60, reuse=None)


async def finish(first: asyncio.Task[Any]) -> None:
    with suppress(StoreError):
        await first


async def test_a_package_that_is_listed_does_not_count_as_gone(bench: FeedBench) -> None:
    await bench.store(*NAMES)
    gates = hold(bench, (0, 1), (1, 2), resumable=True)
    first = asyncio.create_task(bench.ingest())
    await gates[0, 1].entered.wait()
    # Redis was away for longer than the lock lasts, and is back before the run gives up its own lease.
    await bench.redis.delete(LOCK)
    second = asyncio.create_task(bench.update())
    await gates[1, 2].entered.wait()
    gates[0, 1].opened.set()
    await finish(first)
    gates[1, 2].opened.set()

    await second

    assert [message.package for message in await bench.queued() if message.removed] == []


@pytest.mark.parametrize("resumable", [True, False])
async def test_the_next_job_gets_the_whole_list(bench: FeedBench, *, resumable: bool) -> None:
    gates = hold(bench, (0, 1), (0, 2), resumable=resumable)
    first = asyncio.create_task(bench.ingest())
    await gates[0, 1].entered.wait()
    await bench.redis.delete(LOCK)
    await bench.update()
    gates[0, 1].opened.set()
    await until(lambda: gates[0, 2].entered.is_set() or first.done())

    read = bench.feed.pages_read
    listing = await the_list(bench)

    assert await names_of(bench, listing) == list(NAMES)
    assert bench.feed.pages_read == read, "the list that the second job has read is good for an hour"
    gates[0, 2].opened.set()
    await finish(first)
