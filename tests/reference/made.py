"""These are the figures of /metrics as a daemon has them at its first scrape, with one of each series that comes
only later.
"""

from __future__ import annotations

import asyncio

from securechain_ingest.progress import Progress
from securechain_ingest.queue.lanes import LANES
from securechain_ingest.queue.statistics import LaneStatus, QueueStatus
from securechain_ingest.registries import DECLARATIONS
from securechain_ingest.web.collected import Snapshot
from securechain_ingest.web.exposition import of_daemon, of_installation
from securechain_ingest.web.health import StoreAnswer

STORES = ("redis", "graph", "vulnerabilities")


def daemon_figures() -> str:
    """Return the figures of one daemon."""
    progress = Progress(lambda: 60.0)
    asyncio.run(_turn(progress))
    return of_daemon(progress, {store: StoreAnswer(0.001, None, 0) for store in STORES}).decode()


async def _turn(progress: Progress) -> None:
    progress.turned("scheduler")


def installation_figures() -> str:
    """Return the figures that all daemons share."""
    names = [declaration.name for declaration in DECLARATIONS]
    lanes = {name: {str(lane): LaneStatus(0, 0) for lane in LANES} for name in names}
    queue = QueueStatus(LaneStatus(0, 0), lanes, {}, {}, (), None, 0, {})
    lags = dict.fromkeys(names, 0.0)
    return of_installation(Snapshot(queue, (), {}, lags, lags)).decode()
