"""`python owner.py STATE_DIR` is a process that owns local stores as the daemon does, until it is killed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import structlog

from securechain_ingest.embedded.addresses import state_lock
from securechain_ingest.embedded.stores import embedded_stores
from securechain_ingest.settings import EmbeddedSettings
from tests.waiting import PATIENCE_S

ALL = frozenset({"redis", "graph", "vulnerabilities"})


async def own(state_dir: Path) -> None:
    async with embedded_stores(state_dir, EmbeddedSettings(start_timeout_s=PATIENCE_S), needed=ALL) as stores:
        print(*stores.pids.values(), flush=True)
        await stores.watch()


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    # Standard output is for the pids.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    with state_lock(folder):
        asyncio.run(own(folder))
