"""This module collects what the stores say about the installation, for /metrics and the overview. It asks the stores
at most every few seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from securechain_ingest.configuration import Settings
from securechain_ingest.drivers.redis_errors import store_errors
from securechain_ingest.jobs.advisory_sync import cursor_name
from securechain_ingest.jobs.cursors import Cursor, Cursors
from securechain_ingest.queue.dead_letters import count_by_kind
from securechain_ingest.queue.heartbeats import DaemonStatus, daemons_seen
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.statistics import QueueStatus, queue_status
from securechain_ingest.registries import BY_OSV, DECLARATIONS
from securechain_ingest.schedules.board import Board, EmptyLooks
from securechain_ingest.stores import Stores
from securechain_ingest.web.health import StoreAnswer, ask_stores

_GOOD_FOR_S: Final = 2.0
_KINDS_GOOD_FOR_S: Final = 60.0
"""The counts by kind of many dead letters are kept for so many seconds, because counting them reads all of them."""
_FEW_LETTERS: Final = 2_000
"""So many dead letters are counted anew whenever one has come or gone."""


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
    advisory_lags_s: Mapping[str, float]
    """For each ecosystem this is the number of seconds since the changes of its advisories were last read. An ecosystem
    whose advisories have not been read yet, or that OSV does not have, is left out."""


class Collected:
    """This remembers the last answers for a moment, so that neither the page nor a scraper can overload the stores."""

    def __init__(self, stores: Stores, settings: Settings) -> None:
        self._stores = stores
        self._settings = settings
        self._turn = asyncio.Lock()
        self._counting = asyncio.Lock()
        self._snapshot: tuple[float, Snapshot] | None = None
        self._kinds: tuple[float, object, dict[str, int]] | None = None
        self._pinging = asyncio.Lock()
        self._answers: tuple[float, dict[str, StoreAnswer]] | None = None

    async def snapshot(self) -> Snapshot:
        """Return `figures` with the dead letters. Raise StoreError."""
        return replace(await self.figures(), dead_letters=await self.dead_letters())

    async def figures(self) -> Snapshot:
        """Return a snapshot without dead letters that is at most a few seconds old. Raise StoreError if a new one is
        needed and a store does not answer."""
        async with self._turn:
            if self._snapshot is None or time.monotonic() - self._snapshot[0] > _GOOD_FOR_S:
                self._snapshot = time.monotonic(), await self._asked()
            return self._snapshot[1]

    def forget_snapshot(self) -> None:
        """Ask anew the next time, because an action has changed something."""
        self._snapshot = None

    async def dead_letters(self) -> Mapping[str, int]:
        """Return the number of dead letters of each kind, which takes long if there are many. Raise StoreError."""
        async with self._counting:
            return dict(await self._counted())

    def forget_dead_letters(self) -> None:
        """Count the dead letters anew the next time, because an action has changed their number."""
        self._kinds = self._snapshot = None

    async def store_answers(self) -> dict[str, StoreAnswer]:
        """Return what each store has answered at most a few seconds ago; see `ask_stores`."""
        async with self._pinging:
            if self._answers is None or time.monotonic() - self._answers[0] > _GOOD_FOR_S:
                answers = await ask_stores(self._stores)
                self._answers = time.monotonic(), answers
            return self._answers[1]

    async def _asked(self) -> Snapshot:
        redis, queue = self._stores.redis, self._settings.queue
        names = [declaration.name for declaration in DECLARATIONS]
        endpoints = [endpoint.key for declaration in DECLARATIONS for endpoint in declaration.endpoints]
        with store_errors():
            daemons = await daemons_seen(redis, queue.stream)
            looks = await Board(redis, queue.stream).empty_looks()
        cursors = await Cursors(redis, queue.stream).all()
        status = await queue_status(redis, queue, names, endpoints)
        now = datetime.now(UTC)
        lags = {
            name: max(_age_s(at, now), status.lanes[name][Lane.CHANGED].oldest_s)
            for name, at in _followed_at(cursors, looks).items()
        }
        advisory_lags = {
            declaration.name: _age_s(datetime.fromisoformat(cursor.moved_at), now)
            for osv, declaration in BY_OSV.items()
            if (cursor := cursors.get(cursor_name(osv))) is not None
        }
        return Snapshot(status, tuple(daemons), {}, lags, advisory_lags)

    async def _counted(self) -> dict[str, int]:
        redis, queue = self._stores.redis, self._settings.queue
        letters = Keys(queue.stream).dead_letters
        with store_errors():
            length = await redis.xlen(letters)
            newest: Any = await redis.xrevrange(letters, count=1)
        state = length, newest
        if self._kinds is not None:
            counted_at, counted, kinds = self._kinds
            is_fresh = time.monotonic() - counted_at <= _KINDS_GOOD_FOR_S
            if counted == state or (is_fresh and length > _FEW_LETTERS):
                return kinds
        kinds = dict(await count_by_kind(redis, queue))
        self._kinds = time.monotonic(), state, kinds
        return kinds


def _followed_at(cursors: Mapping[str, Cursor], looks: Mapping[str, EmptyLooks]) -> dict[str, datetime]:
    """Return when each feed was last followed to its end. The changes that it had announced by then are queued or in
    the graph."""
    found: dict[str, datetime] = {}
    for declaration in DECLARATIONS:
        if (cursor := cursors.get(declaration.name)) is None:
            continue
        # While a feed is followed for the first time, and of cursors of earlier releases, only the moves are known.
        moments = [cursor.followed_at or cursor.moved_at]
        if (look := looks.get(declaration.updates_job)) is not None and look.last_at:
            moments.append(look.last_at)
        found[declaration.name] = max(datetime.fromisoformat(moment) for moment in moments)
    return found


def _age_s(moment: datetime, now: datetime) -> float:
    return max((now - moment).total_seconds(), 0.0)
