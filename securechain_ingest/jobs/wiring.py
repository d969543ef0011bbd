"""Every job that a schedule can run, by its name."""

from __future__ import annotations

from collections.abc import Callable

from securechain_ingest.configuration import Settings
from securechain_ingest.jobs.refresh import queue_stale_packages
from securechain_ingest.runs import Job, Run
from securechain_ingest.service import Service
from securechain_ingest.stores import Stores


def build_jobs(stores: Stores, service: Service, settings: Callable[[], Settings]) -> dict[str, Job]:
    """The jobs on open stores; `settings` gives those in force when a run begins."""

    async def packages_refresh(run: Run) -> None:
        now = settings()
        ecosystems = [registry.ecosystem for registry in service.registries.values()]
        queued = await queue_stale_packages(stores.redis, stores.graph, ecosystems, now.queue, now.refresh)
        run.metrics["packages_queued"] = queued

    return {"packages_refresh": packages_refresh}
