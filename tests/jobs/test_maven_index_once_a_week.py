"""However many daemons an installation has, and however often they start, Maven's index is fetched once a week."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from securechain_ingest.registries.maven.feed import MavenFeed
from securechain_ingest.registries.maven.names import MAVEN, identify
from securechain_ingest.settings import FeedSettings
from tests.jobs.feeds import FeedBench, Identities
from tests.registries.asking import fed
from tests.registry_server import Server, World, serve
from tests.registry_server.history import RegistryHistory, What, history_of

SUNDAY = datetime(2026, 3, 1, 4, tzinfo=UTC)
INDEX = "/.index/nexus-maven-repository-index.gz"


def published(count: int) -> RegistryHistory:
    return history_of((f"org.made:thing{number}", "1.0", What.PUBLISHED) for number in range(count))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve(World(histories={"maven": published(5)})) as running:
        yield running


@dataclass
class IndexReaders:
    """These are three daemons of one installation, each with a state directory, by one clock."""

    graph: FeedBench
    server: Server
    home: Path
    _day: float = 0.0
    _since: float = 0.0

    def now(self) -> datetime:
        return SUNDAY + timedelta(days=self._day, seconds=time.monotonic() - self._since)

    def it_is(self, day: float, *, late_s: float = 0.0) -> None:
        self._day, self._since = day, time.monotonic() - late_s

    async def daemons(self, stack: AsyncExitStack, *names: str) -> list[FeedBench]:
        """Return daemons that have just started."""
        benches = []
        for name in names:
            folder = self.home / name
            folder.mkdir(exist_ok=True)
            feed = await stack.enter_async_context(fed(MavenFeed, self.server, folder))
            benches.append(
                replace(
                    self.graph,
                    feed=feed,  # type: ignore[arg-type]  # a real one
                    feeds=FeedSettings(listing_ttl_s=1e-6),
                    now=self.now,
                    registry=Identities(MAVEN, identify),
                )
            )
        return benches

    def fetched(self) -> int:
        """Return how often the index was fetched since the last call; the first request of each asks for one byte."""
        asked = [request for request in self.server.requests if request.target == INDEX]
        self.server.requests.clear()
        return sum(1 for request in asked if request.headers.get("range") == "bytes=0-0")


@pytest.fixture
async def installation(bench: FeedBench, server: Server, tmp_path: Path) -> IndexReaders:
    server.replace(World(histories={"maven": published(5)}))
    server.requests.clear()
    return IndexReaders(bench, server, tmp_path)


async def test_three_daemons_that_restart_fetch_it_once_a_week(installation: IndexReaders) -> None:
    found: list[int] = []
    for week in range(3):
        # The runs of one week come a little earlier after their tick than those of the week before.
        late_s = 0.6 - 0.3 * week
        installation.server.replace(World(histories={"maven": published(5 + week)}))
        for day in (0, 3, 6):
            async with AsyncExitStack() as stack:
                one, two, three = await installation.daemons(stack, "one", "two", f"three-{week}-{day}")
                installation.it_is(7 * week + day, late_s=late_s)
                listed = [one.ingest(), two.ingest(), three.ingest()] if day in {0, 3} else []
                await asyncio.gather(*listed, two.update(reconcile="true"))
                if day == 0:
                    run = await one.ingest()
                    found.append(int(run.metrics["total_in_registry"]))
            assert installation.fetched() == (day == 0), f"day {day} of week {week}"
    assert found == [5, 6, 7], "each weekly load has that week's index"


async def test_an_index_of_less_than_a_week_serves_every_job(installation: IndexReaders) -> None:
    async with AsyncExitStack() as stack:
        one, two = await installation.daemons(stack, "one", "two")
        installation.it_is(0)
        await one.ingest()
        assert installation.fetched() == 1
        for day in (0.5, 3, 6, 6.9):
            installation.it_is(day)
            for daemon in (one, two):
                await daemon.ingest()
                await daemon.update(reconcile="true")
        assert installation.fetched() == 0
        installation.it_is(7.01)
        await two.ingest()
        assert installation.fetched() == 1
