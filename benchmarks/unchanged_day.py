"""This measures what a day costs the registries when nothing has changed there; the second half of
`benchmarks.simulated_day`.

A real Neo4j holds the packages of all six made registries, each as its registry lists it, last checked eight days ago.
The day before, a comparison vouched for them. On the day each feed is followed once and compared once, whichever of the
two it is, and the refresh runs every quarter of an hour; a message that it queues costs a request at least.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from neo4j import Driver, Query
from redis.asyncio import Redis

from benchmarks.harness import neo4j, other_stores
from benchmarks.packages import connected as driver_of
from securechain_ingest.graph.dialect import NEO4J
from securechain_ingest.graph.due import never_read_text, stale_text
from securechain_ingest.graph.names import PackageNames
from securechain_ingest.graph.properties import FORMAT
from securechain_ingest.graph.store import Graph
from securechain_ingest.jobs.comparison import JobContext
from securechain_ingest.jobs.cursors import Cursors
from securechain_ingest.jobs.refresh import queue_stale_packages
from securechain_ingest.jobs.updates import queue_changes
from securechain_ingest.model import Ecosystem
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.registries import declaration_of
from securechain_ingest.registries.building import REGISTRIES
from securechain_ingest.registries.protocol import Registry, RegistryClass
from securechain_ingest.runs import Run, utc_now
from securechain_ingest.settings import FeedSettings, GraphSettings, QueueSettings, RefreshSettings
from tests.registries.asking import connected, fed, listed
from tests.registry_server import Server, World, serve
from tests.registry_server.history import RegistryHistory

REFRESHES, FILLED_AT_ONCE = 96, 10_000
# What the walk through all packages was, before there was an index.
_WALK = """
MATCH (p:PACKAGE)
WHERE (p.format IS NULL OR p.moment < $older_than) AND (p.tried_at IS NULL OR p.tried_at < $older_than)
RETURN p.name AS name, p.registry_name AS registry_name, p.purl AS purl
ORDER BY p.moment, p.name
LIMIT $limit
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """This is what measures a day: the stores, and how the requests to a made registry are counted."""

    graph: Graph
    driver: Driver
    redis: Redis
    requests: Callable[[Server], int]


async def unchanged(
    packages: int, folder: Path, past: Callable[[str, int], RegistryHistory], requests: Callable[[Server], int]
) -> list[dict[str, object]]:
    """Return a row for each registry and one for all; `packages`: of all together; `past` makes a registry's
    history.
    """
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    rows = []
    with neo4j(folder / "graph") as target, driver_of(target) as driver, other_stores(folder, target) as environment:
        settings = GraphSettings()
        async with (
            Graph.connect(target.uri, target.user, target.password, settings, absent_retry_s=1.0) as graph,
            Redis.from_url(environment["REDIS_URL"]) as redis,
        ):
            await graph.ensure_schema([registry.ecosystem for registry in REGISTRIES])
            measured = Measured(graph, driver, redis, requests)
            for registry in REGISTRIES:
                name = registry.ecosystem.name
                world = World((), histories={name: past(name, packages // len(REGISTRIES))})
                (folder / name).mkdir()
                with serve(world) as server:
                    rows.append(await _day(registry, server, folder / name, measured))
    total = {key: sum(int(str(row[key])) for row in rows) for key in rows[0] if key != "registry"}
    return [*rows, {"registry": "all", **total}]


async def _day(registry: RegistryClass, server: Server, folder: Path, measured: Measured) -> dict[str, object]:
    ecosystem, queue, redis = registry.ecosystem, QueueSettings(), measured.redis
    cursors = Cursors(redis, queue.stream)
    async with fed(registry.feed, server, folder) as feed, connected(registry, server, folder) as client:
        known = await listed(feed)
        fill(measured.driver, client, known)
        names: PackageNames = measured.graph.names
        context = JobContext(client, feed, redis, names, queue, FeedSettings(), Lane.CHANGED, folder / "spool")

        async def update(**options: str) -> int:
            before = measured.requests(server)
            run = Run(
                id=f"run-{options}",
                job=declaration_of(ecosystem.name).updates_job,
                started_at=utc_now(),
                options=options,
            )
            await queue_changes(context, cursors, run, reconcile_s=86_400.0)
            assert run.metrics["queued"] == 0
            return measured.requests(server) - before

        async def refreshes() -> int:
            refresh, queued = RefreshSettings(), 0
            for _ in range(REFRESHES):
                reconcile_s = {ecosystem.name: 86_400.0}
                queued += await queue_stale_packages(redis, measured.graph, [ecosystem], queue, refresh, reconcile_s)
            return queued

        await update()
        return {
            "registry": ecosystem.name,
            "packages": len(known),
            "requests to follow": await update(),
            "to compare": await update(reconcile="true"),
            "to refresh": await refreshes(),
            "before, by age alone": len(known) // 7,
            "hits a refresh": hits(measured.driver, ecosystem, never_read_text(ecosystem, NEO4J)),
            "hits by age": hits(measured.driver, ecosystem, stale_text(ecosystem, NEO4J)),
            "hits of a walk": hits(measured.driver, ecosystem, _WALK.replace("PACKAGE", ecosystem.label)),
        }


def hits(driver: Driver, ecosystem: Ecosystem, text: str) -> int:
    """Return the database hits of one query of the refresh, for a batch of 1,000."""
    now = datetime.now(UTC)
    parameters: dict[str, Any] = {"older_than": now - timedelta(days=7), "limit": 1000}
    parameters["any_local_time"] = now.replace(year=9999, tzinfo=None)
    _, summary, _ = driver.execute_query(Query(f"PROFILE {NEO4J.searching(text)}"), parameters)

    def of(plan: Any) -> int:
        return int(plan["args"].get("DbHits", 0)) + sum(map(of, plan.get("children", ())))

    return of(summary.profile)


def fill(driver: Driver, registry: Registry, known: dict[str, str | None]) -> None:
    """Put packages with a version into the graph, in the state that the registry's list tells."""
    rows = [
        {"name": ref.name, "purl": ref.purl, "registry_name": ref.registry_name, "revision": revision}
        for name, revision in known.items()
        for ref in (registry.identify(name),)
    ]
    for start in range(0, len(rows), FILLED_AT_ONCE):
        driver.execute_query(
            f"UNWIND $rows AS row CREATE (p:{registry.ecosystem.label}) SET p = row, p.format = $format,"
            " p.moment = $then CREATE (p)-[:HAVE]->(:Version {name: '1.0.0', purl: row.purl + '@1.0.0'})",
            rows=rows[start : start + FILLED_AT_ONCE],
            format=FORMAT,
            then=datetime.now(UTC) - timedelta(days=8),
        )
