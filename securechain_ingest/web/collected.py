"""This module collects what the stores say about the installation, for /metrics and the overview. It asks the stores
at most every few seconds."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from securechain_ingest.configuration import Settings
from securechain_ingest.jobs.cursors import Cursors
from securechain_ingest.queue.dead_letters import count_by_kind
from securechain_ingest.queue.heartbeats import DaemonStatus, daemons_seen
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.statistics import QueueStatus, queue_status
from securechain_ingest.redis_errors import store_errors
from securechain_ingest.registries import DECLARATIONS
from securechain_ingest.schedules.board import Board
from securechain_ingest.stores import Stores

_GOOD_FOR_S: Final = 2.0
_KINDS_GOOD_FOR_S: Final = 60.0
"""The counts by kind are kept for so many seconds, because counting them reads all dead letters."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot is what Redis says about the installation at one moment."""

    queue: QueueStatus
    daemons: tuple[DaemonStatus, ...]
    dead_letters: Mapping[str, int]
    """This maps each kind to its number of dead letters."""
    registry_lags_s: Mapping[str, float]
    """For each ecosystem this is the number of seconds since the time up to which the changes of its feed are in the
    graph. An ecosystem whose feed has not been followed yet is left out."""


class Collected:
    """This remembers the last answer for a moment, so that neither the page nor a scraper can overload the stores."""

    def __init__(self, stores: Stores, settings: Settings) -> None:
        self._stores = stores
        self._settings = settings
        self._turn = asyncio.Lock()
        self._snapshot: tuple[float, Snapshot] | None = None
        self._kinds: tuple[float, Counter[str]] | None = None

    async def snapshot(self) -> Snapshot:
        """Return a snapshot that is at most a few seconds old. Raise StoreError if a new one is needed and a store does
        not answer."""
        async with self._turn:
            if self._snapshot is None or time.monotonic() - self._snapshot[0] > _GOOD_FOR_S:
                self._snapshot = time.monotonic(), await self._asked()
            return self._snapshot[1]

    def forget_snapshot(self) -> None:
        """Ask anew the next time, because an action has changed something."""
        self._snapshot = None

    async def dead_letters(self) -> Mapping[str, int]:
        """Return the number of dead letters of each kind, counted at most a minute ago. Raise StoreError."""
        async with self._turn:
            return dict(await self._counted())

    def forget_dead_letters(self) -> None:
        """Count the dead letters anew the next time, because an action has changed their number."""
        self._kinds = self._snapshot = None

    async def _counted(self) -> Counter[str]:
        if self._kinds is None or time.monotonic() - self._kinds[0] > _KINDS_GOOD_FOR_S:
            self._kinds = time.monotonic(), await count_by_kind(self._stores.redis, self._settings.queue)
        return self._kinds[1]

    async def _asked(self) -> Snapshot:
        redis, queue = self._stores.redis, self._settings.queue
        names = [declaration.name for declaration in DECLARATIONS]
        endpoints = [endpoint.key for declaration in DECLARATIONS for endpoint in declaration.endpoints]
        with store_errors():
            daemons = await daemons_seen(redis, queue.stream)
        kinds = await self._counted()
        status = await queue_status(redis, queue, names, endpoints)
        with store_errors():
            followed = await self._followed_at()
        lags = {
            name: max((datetime.now(UTC) - at).total_seconds(), status.lanes[name][Lane.CHANGED].oldest_s, 0.0)
            for name, at in followed.items()
        }
        return Snapshot(status, tuple(daemons), dict(kinds), lags)

    async def _followed_at(self) -> dict[str, datetime]:
        """Return when each feed was last followed to its end. The changes that it had announced by then are queued
        or in the graph."""
        stream = self._settings.queue.stream
        cursors = await Cursors(self._stores.redis, stream).all()
        looks = await Board(self._stores.redis, stream).empty_looks()
        found: dict[str, datetime] = {}
        for declaration in DECLARATIONS:
            texts = [cursors[declaration.name].moved_at] if declaration.name in cursors else []
            if texts and declaration.updates_job in looks:
                texts.append(looks[declaration.updates_job].last_at)
            if moments := [datetime.fromisoformat(each) for each in texts if each]:
                found[declaration.name] = max(moments)
        return found
