"""This tests a list of which Redis has kept a page whose answer was lost: the driver sends the page again."""

from __future__ import annotations

import asyncio
from typing import Any

import redis

from securechain_ingest.drivers.redis_connection import connect
from securechain_ingest.jobs.listing import whole_listing
from securechain_ingest.runs import Run, utc_now
from tests.graph.builders import PYPI
from tests.jobs.feeds import KEYS, MadeFeed
from tests.queue.cut_connection import Proxy
from tests.waiting import PATIENCE_S, until

NAMES = ["a", "b", "c", "d", "e"]
LIST = KEYS.listing("pypi")


async def test_a_page_whose_answer_is_lost_stands_in_the_list_once(redis_url: str) -> None:
    run = Run(id="run", job="pypi_package_ingestion", started_at=utc_now())
    with redis.Redis.from_url(redis_url) as server:

        def kept_pages() -> int:
            keys: Any = server.keys(f"{LIST}:*")
            return sum(int(server.llen(key)) for key in keys if server.type(key) == b"list")

        async with Proxy(redis_url).listening() as proxy, connect(proxy.url, PATIENCE_S) as client:
            # What Redis has done is not told until the connection is cut.
            proxy.is_held = lambda: kept_pages() > 0
            feed = MadeFeed(listed=dict.fromkeys(NAMES))
            reading = asyncio.create_task(
                whole_listing(client, LIST, feed, PYPI, run, ttl_s=3600, lease_s=3600, reuse=None)
            )
            await until(kept_pages)
            proxy.is_held = lambda: False
            proxy.cut()
            proxy.mend()
            listing = await reading
            found = [entry.name for number in range(listing.pages) for entry in await listing.page(client, number)]
    assert found == NAMES
