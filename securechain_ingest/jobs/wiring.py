"""This makes every job that a schedule can run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from securechain_ingest.advisories.osv import OsvBucket
from securechain_ingest.configuration import Settings
from securechain_ingest.jobs.advisory_sync import AdvisorySync
from securechain_ingest.jobs.comparison import JobContext, ingest_unknown
from securechain_ingest.jobs.cursors import Cursors
from securechain_ingest.jobs.hints import queue_hints
from securechain_ingest.jobs.listing import is_left_to_others
from securechain_ingest.jobs.refresh import queue_due_archives, queue_stale_packages
from securechain_ingest.jobs.updates import queue_changes
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.registries import ECOSYSTEMS, declaration_of
from securechain_ingest.registries.building import build_feeds
from securechain_ingest.registries.feed import Feed, FolderFeed
from securechain_ingest.registries.protocol import Registry
from securechain_ingest.runs import LOOK, Job, Run
from securechain_ingest.service import Service
from securechain_ingest.stores import Stores


@dataclass(frozen=True, slots=True)
class Jobs:
    by_name: Mapping[str, Job]
    left_to_others: Mapping[str, Callable[[datetime], Awaitable[bool]]]
    """By the name of a job: whether another daemon has begun what only it can continue, and has the time to. The
    moment is the present one, in UTC; StoreError is raised."""
    ecosystem_of: Mapping[str, str]
    """By the name of a job that asks an ecosystem's registry: the ecosystem."""


def build_jobs(stores: Stores, service: Service, settings: Callable[[], Settings]) -> Jobs:
    """Return the jobs, made on open stores. `settings` returns the settings in force when a run begins."""
    state_dir = settings().daemon.state_dir
    feeds = build_feeds(service.http, service.pool, state_dir / "feeds")

    async def packages_refresh(run: Run) -> None:
        now = settings()
        reconcile_s = {ecosystem.name: now.reconcile[ecosystem.name] for ecosystem in ECOSYSTEMS}
        queued = await queue_stale_packages(stores.redis, stores.graph, ECOSYSTEMS, now.queue, now.refresh, reconcile_s)
        run.metrics["packages_queued"] = queued
        queued = await queue_due_archives(stores.redis, stores.graph, ECOSYSTEMS, now.queue, now.refresh)
        run.metrics["archives_queued"] = queued

    async def advisory_sync(run: Run) -> None:
        await build_advisory_sync(stores, service, settings()).run(run)

    jobs: dict[str, Job] = {"packages_refresh": packages_refresh, "advisory_sync": advisory_sync}
    left_to_others: dict[str, Callable[[datetime], Awaitable[bool]]] = {}
    ecosystem_of: dict[str, str] = {}
    for registry in service.registries.values():
        feed = feeds[registry.ecosystem.name]
        own = _registry_jobs(stores, feed, registry, settings)
        jobs |= own
        ecosystem_of |= dict.fromkeys(own, registry.ecosystem.name)
        if isinstance(feed, FolderFeed):
            key = Keys(settings().queue.stream).listing(registry.ecosystem.name)
            left_to_others |= dict.fromkeys(own, partial(is_left_to_others, stores.redis, key, feed))
    return Jobs(jobs, left_to_others, ecosystem_of)


def build_advisory_sync(stores: Stores, service: Service, settings: Settings) -> AdvisorySync:
    """Return a sync of the advisories of all registries."""
    return AdvisorySync(
        OsvBucket(service.http, service.pool, settings.daemon.state_dir / "spool"),
        stores.advisories,
        stores.graph,
        stores.redis,
        settings.queue.stream,
        tuple(service.registries.values()),
        settings.reconcile["advisories"],
        service.pool,
    )


def _registry_jobs(stores: Stores, feed: Feed, registry: Registry, settings: Callable[[], Settings]) -> dict[str, Job]:
    name = registry.ecosystem.name
    cursors = Cursors(stores.redis, settings().queue.stream)
    folder = settings().daemon.state_dir / "spool"

    def context(lane: Lane) -> JobContext:
        now = settings()
        return JobContext(registry, feed, stores.redis, stores.graph.names, now.queue, now.feeds, lane, folder)

    async def ingestion(run: Run) -> None:
        await ingest_unknown(context(Lane.LISTED), run)

    declared = declaration_of(name)

    async def updates(run: Run) -> None:
        if run.options.get(LOOK) == "hints":
            await queue_hints(context(Lane.CHANGED), run, watched=declared.watched)
        else:
            reconcile_s = None if run.is_look else settings().reconcile[name]
            await queue_changes(context(Lane.CHANGED), cursors, run, reconcile_s=reconcile_s)

    return {declared.ingestion_job: ingestion, declared.updates_job: updates}
