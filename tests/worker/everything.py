"""This is all that a daemon consists of in this process, for a module of tests: stores, worker, reader and a
registry.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import redis
from neo4j import AsyncGraphDatabase
from neo4j.time import DateTime

from securechain_ingest import oneshot
from securechain_ingest.configuration import Settings, load
from securechain_ingest.graph.dialect import aware
from securechain_ingest.jobs.backfill import Backfill, BackfillOutcome, Position
from securechain_ingest.jobs.wiring import build_jobs
from securechain_ingest.model import PackageRef
from securechain_ingest.oneshot import find_stores
from securechain_ingest.progress import Progress
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.reader import Reader
from securechain_ingest.registries import ECOSYSTEMS
from securechain_ingest.registries.protocol import Registry
from securechain_ingest.runs import Run, utc_now
from securechain_ingest.service import Service, build_service
from securechain_ingest.settings import QueueSettings
from securechain_ingest.stores import Stores
from tests.graph.conftest import CypherRunner
from tests.queue.running import assert_no_leak, dead_letters, is_idle
from tests.registry_server import Server
from tests.stores import AdvisoryTarget, GraphTarget, empty_graph, store_variables
from tests.waiting import until

QUEUE = QueueSettings(lease_s=60, retry_base_s=0.001, retry_max_s=0.002)
MARKS = ("error", "failed_version", "tries", "tried_at", "retry_at")
"""This is what stands on a package whose archive could not be read, behind `import_names_`."""


@dataclass(frozen=True, slots=True)
class Everything:
    """Each package of a test is one of its own, so that the graph need not be emptied between tests."""

    server: Server
    settings: Settings
    stores: Stores
    service: Service
    read: CypherRunner

    def registry(self, label: str) -> Registry:
        return self.service.registries[label]

    async def ask(self, ref: PackageRef, **keys: Any) -> None:
        """Add a message as other programs do, and wait until the daemon is done with it."""
        body = orjson.dumps({"node_type": ref.ecosystem.label, "package": ref.registry_name, **keys})
        await self.stores.redis.xadd(QUEUE.stream, {"data": body})
        await self.settled()

    async def refresh_as_the_daemon(self, ref: PackageRef) -> None:
        """Ask as the periodic refresh does for a package whose last check is old."""
        await self.ask(ref, refresh=True, internal=True)

    async def due(self) -> int:
        """Run the job that asks for what is to be tried again, and wait until that is done; return how many it was."""
        queued = await self.queue_due()
        assert await dead_letters(self.stores.redis, QUEUE) == []
        return queued

    async def queue_due(self) -> int:
        """Do the same, where a message may come to nothing."""
        run = Run(id="run", job="packages_refresh", started_at=utc_now())
        await build_jobs(self.stores, self.service, lambda: self.settings).by_name[run.job](run)
        await until(lambda: is_idle(self.stores.redis, QUEUE))
        assert run.metrics["packages_queued"] == 0
        return int(run.metrics["archives_queued"])

    async def forget_dead_letters(self) -> None:
        await self.stores.redis.delete(Keys(QUEUE.stream).dead_letters)

    async def settled(self) -> None:
        await until(lambda: is_idle(self.stores.redis, QUEUE))
        assert await dead_letters(self.stores.redis, QUEUE) == []

    async def ingest(self, *refs: PackageRef, refresh: bool = False) -> None:
        """Do as the command `ingest` does."""
        done = await oneshot.ingest(
            self.service,
            refs,
            depth=0,
            refresh=refresh,
            places=self.settings.workers.model_dump(),
            report=lambda done, total: None,
        )
        assert done.failed == []

    async def backfill(self, label: str, *, older_than: int = 0) -> Counter[BackfillOutcome]:
        """Do as the command `backfill import-names` does."""
        counts: Counter[BackfillOutcome] = Counter()
        backfills = Keys(QUEUE.stream).backfills
        await Backfill(
            self.stores.graph,
            self.registry(label),
            self.service.import_names,
            self.stores.changes,
            Position(self.stores.redis, backfills, f"{label} pending"),
            Position(self.stores.redis, backfills, label),
            older_than=older_than,
            concurrency=8,
            why_stopped=self.service.why_stopped,
            report=lambda kind: counts.update([kind]),
        ).run(None)
        return counts

    async def node(self, ref: PackageRef) -> dict[str, Any]:
        """Return the properties of a package."""
        [row] = await self.read(
            f"MATCH (p:{ref.ecosystem.label} {{purl: $purl}}) RETURN properties(p) AS properties", purl=ref.purl
        )
        found: dict[str, Any] = row["properties"]
        return found

    async def names(self, ref: PackageRef) -> list[str]:
        found: list[str] = (await self.node(ref))["import_names"]
        return found

    async def marks(self, ref: PackageRef) -> dict[str, Any]:
        """Return what is said of a failure, those that are there."""
        node = await self.node(ref)
        found = {mark: node[f"import_names_{mark}"] for mark in MARKS if f"import_names_{mark}" in node}
        return {mark: aware(value) if isinstance(value, DateTime) else value for mark, value in found.items()}

    async def set(self, ref: PackageRef, **properties: Any) -> None:
        await self.read(f"MATCH (p:{ref.ecosystem.label} {{purl: $purl}}) SET p += $new", purl=ref.purl, new=properties)

    async def let_pass(self, ref: PackageRef, time: timedelta) -> None:
        """Make it as if what failed had failed so much earlier."""
        marks = await self.marks(ref)
        earlier = {f"import_names_{mark}": marks[mark] - time for mark in ("tried_at", "retry_at") if mark in marks}
        await self.set(ref, **earlier)

    def requests(self, pattern: str) -> int:
        """Return how many requests have had this text in their path."""
        return sum(pattern in request.target for request in self.server.requests)


@asynccontextmanager
async def everything(
    server: Server,
    redis_url: str,
    graph: GraphTarget,
    advisories: AdvisoryTarget,
    state_dir: Path,
    settings: Mapping[str, str] | None = None,
) -> AsyncIterator[Everything]:
    """Yield an Everything on emptied stores; failures cost no waits, and one failed try of an archive is enough."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    empty_graph(graph)
    variables = store_variables(redis_url, graph, advisories, state_dir) | {
        "SECURECHAIN_HTTP__RETRIES": "0",
        "SECURECHAIN_HTTP__NOT_FOUND_TTL_S": "0.001",
        "SECURECHAIN_ARCHIVES__PROCESSES": "1",
        "SECURECHAIN_ARCHIVES__MAX_STRIKES": "1",
        "SECURECHAIN_GRAPH__LINGER_S": "0",
    }
    configuration = load(environment=variables | server.environment() | dict(settings or {}))
    async with (
        AsyncGraphDatabase.driver(
            graph.uri, auth=(graph.user, graph.password), notifications_min_severity="OFF"
        ) as driver,
        find_stores(configuration) as stores,
        build_service(stores, configuration, lambda: 0) as service,
    ):
        daemon = Reader(
            stores.redis,
            QUEUE,
            configuration.workers,
            ECOSYSTEMS,
            service.worker.handle,
            service.worker.link_known,
            Progress(lambda: 600.0),
        )
        running = asyncio.create_task(daemon.run(), name="reader")
        await daemon.ready()
        try:
            yield Everything(server, configuration, stores, service, CypherRunner(driver, graph.database))
            await assert_no_leak(stores.redis, QUEUE)
        finally:
            daemon.stop()
            await running
