"""This is a feed that a test makes up, and the jobs over real stores."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from redis.asyncio import Redis

from securechain_ingest.errors import CursorLost, Unavailable
from securechain_ingest.graph.store import Graph
from securechain_ingest.jobs.comparison import JobContext, ingest_unknown
from securechain_ingest.jobs.cursors import Cursors
from securechain_ingest.jobs.hints import queue_hints
from securechain_ingest.jobs.updates import queue_changes
from securechain_ingest.model import Ecosystem, PackageRef
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.messages import Message, parse
from securechain_ingest.registries.feed import Change, ChangesPage, Listed, ListingPage, pack
from securechain_ingest.runs import Run, utc_now
from securechain_ingest.settings import FeedSettings, QueueSettings
from tests.graph.builders import PYPI, pypi, write

DAY_S = 86_400.0
QUEUE = QueueSettings(lease_s=60.0)
KEYS = Keys(QUEUE.stream)
STREAM = KEYS.lane("pypi", Lane.CHANGED)
LISTED_STREAM = KEYS.lane("pypi", Lane.LISTED)


@dataclass
class MadeFeed:
    """This lists two names a page; a cursor is the number of changes told."""

    listed: dict[str, str | None] = field(default_factory=dict)
    changed: list[Change] = field(default_factory=list)
    breaks_off_at: int | None = None
    """This is the page of the next listing that cannot be read."""
    resumable: bool = True
    pages_read: int = 0
    forgotten: int = 0
    """Cursors below this one are lost."""

    async def head(self) -> str:
        return str(len(self.changed))

    async def listing(self, position: str) -> AsyncIterator[ListingPage]:
        names = list(self.listed)
        for start in range(int(position or 0), len(names), 2):
            if self.breaks_off_at == start // 2:
                self.breaks_off_at = None
                raise Unavailable("the list broke off", url="made")
            self.pages_read += 1
            page = [Listed(name, self.listed[name]) for name in names[start : start + 2]]
            yield ListingPage(pack(page), len(page), str(start + 2) if self.resumable else "")

    async def changes(self, cursor: str) -> AsyncIterator[ChangesPage]:
        if not cursor.isdecimal() or not self.forgotten <= int(cursor) <= len(self.changed):
            raise CursorLost(f"{cursor} is lost", url="made")
        for start in range(int(cursor), len(self.changed), 2):
            page = tuple(self.changed[start : start + 2])
            yield ChangesPage(page, str(start + len(page)))


@dataclass
class HintingMadeFeed(MadeFeed):
    """This has newest packages, too; what was seen of them is their number."""

    newest: list[str] = field(default_factory=list)

    async def hints(self, seen: str) -> ChangesPage | None:
        names = self.newest[int(seen or 0) :]
        return ChangesPage(tuple(Change(name, None, False) for name in names), str(len(self.newest))) if names else None


@dataclass
class Identities:
    """This has only what a job asks of a registry."""

    ecosystem: Ecosystem
    identify: Callable[[str], PackageRef]


@dataclass
class FeedBench:
    """These are the jobs of one ecosystem."""

    redis: Redis
    graph: Graph
    feed: MadeFeed
    folder: Path
    feeds: FeedSettings = field(default_factory=FeedSettings)
    runs: int = 0

    now: Callable[[], datetime] = utc_now
    """This is the clock by which lists grow old."""

    registry: Identities = field(default_factory=lambda: Identities(PYPI, pypi))

    def __post_init__(self) -> None:
        self.cursors = Cursors(self.redis, QUEUE.stream)

    def context(self, lane: Lane = Lane.CHANGED, **queue: Any) -> JobContext:
        registry: Any = self.registry
        settings = QUEUE.model_copy(update=queue)
        names, folder = self.graph.names, self.folder
        return JobContext(registry, self.feed, self.redis, names, settings, self.feeds, lane, folder, self.now)

    def run(self, job: str, **options: str) -> Run:
        self.runs += 1
        return Run(id=f"run-{self.runs}", job=job, started_at=utc_now(), options=options)

    async def ingest(self, **queue: Any) -> Run:
        run = self.run("pypi_package_ingestion")
        await ingest_unknown(self.context(Lane.LISTED, **queue), run)
        return run

    async def update(self, *, reconcile_s: float | None = DAY_S, **options: str) -> Run:
        run = self.run("pypi_packages_updates", **options)
        await queue_changes(self.context(), self.cursors, run, reconcile_s=reconcile_s)
        return run

    async def hint(self, *, watched: int = 0) -> Run:
        run = self.run("pypi_packages_updates")
        await queue_hints(self.context(), run, watched=watched)
        return run

    async def store(self, *names: str, revision: str | None = "1") -> None:
        """Put packages into the graph."""
        writes = [write(pypi(name), "1.0") for name in names]
        await self.graph.write([replace(each, package=replace(each.package, revision=revision)) for each in writes])

    async def queued(self) -> list[Message]:
        """Return what the jobs have added, a whole load's first."""
        listed: Any = await self.redis.xrange(LISTED_STREAM)
        changed: Any = await self.redis.xrange(STREAM)
        return [parse(fields) for _, fields in (*listed, *changed)]

    async def queued_names(self) -> list[str]:
        return [message.package for message in await self.queued()]

    async def forget_queue(self) -> None:
        await self.redis.delete(STREAM, LISTED_STREAM, KEYS.waiting("pypi"))

    async def place_kept(self) -> Sequence[Any] | None:
        raw: Any = await self.redis.hgetall(KEYS.positions)
        return [orjson.loads(value) for value in raw.values()] or None
