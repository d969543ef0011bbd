"""This module gathers what the front page shows: the state of each registry with what is done for it, and the stores,
daemons, dead letters and advisories."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from securechain_ingest.configuration import Settings
from securechain_ingest.drivers.redis_errors import store_errors
from securechain_ingest.graph.view import GraphSize
from securechain_ingest.queue.heartbeats import DaemonStatus
from securechain_ingest.queue.statistics import LaneStatus
from securechain_ingest.registries import DECLARATIONS, ECOSYSTEMS
from securechain_ingest.registries.declaration import Declaration
from securechain_ingest.runs import Run
from securechain_ingest.schedules.board import Board, State
from securechain_ingest.schedules.timetable import latest_tick, next_tick, schedules_of
from securechain_ingest.stores import Stores
from securechain_ingest.times import in_words, seconds_since
from securechain_ingest.web.activity import Activity, Slot, activity_of
from securechain_ingest.web.collected import Collected, Snapshot
from securechain_ingest.web.health import StoreAnswer
from securechain_ingest.web.plots import Bar, Chart, bars
from securechain_ingest.web.remembered import Remembered

FRESH, BEHIND, PAUSED, DOWN = "fresh", "behind", "paused", "down"

_LATE_SHARE: Final = 0.1
_LATE_S: Final = 300.0
"""A registry is behind when its lag is longer than the time between two looks at its feed by this share of it and so
many seconds: as long as a look may take."""


@dataclass(frozen=True, slots=True)
class RegistryState:
    """This is the state of one ecosystem's registry in this installation."""

    name: str
    """This is the ecosystem's name in commands, such as `pypi`."""
    title: str
    state: str
    """The state is fresh, behind, paused (by an operator) or down (its endpoint is not asked for a while)."""
    reason: str
    lanes: Mapping[str, LaneStatus]
    lag_s: float | None
    """So many seconds have passed since the moment up to which the registry's changes are in the graph. It is None
    if its feed has not been followed yet."""
    packages: int | None
    versions: int | None
    activity: Activity | None
    updates_job: str
    ingestion_job: str

    @property
    def messages(self) -> int:
        """Return the number of messages that wait, are in work or wait for another attempt."""
        return sum(lane.waiting + lane.pending + lane.retrying for lane in self.lanes.values())

    @property
    def hour(self) -> Chart:
        return chart(
            f"{self.name}-hour", f"{self.title}: requests in each minute of the last hour", self._slots("minutes")
        )

    @property
    def week(self) -> Chart:
        return chart(f"{self.name}-week", f"{self.title}: requests in each hour of the last week", self._slots("hours"))

    def _slots(self, of: str) -> list[Slot]:
        return list(getattr(self.activity, of)) if self.activity else []


@dataclass(frozen=True, slots=True)
class AdvisoryFacts:
    """This says how the advisories stand."""

    count: int
    newest: Mapping[str, Any] | None
    last_sync: Run | None


@dataclass(frozen=True, slots=True)
class Overview:
    """These are the figures of the front page. Whatever is None is not known yet."""

    registries: tuple[RegistryState, ...]
    dead_letters: Mapping[str, int] | None
    """This maps each kind to its number of dead letters."""
    daemons: tuple[DaemonStatus, ...]
    in_flight: int
    submissions: int
    counters: Mapping[str, int]
    next_retry_at: str | None
    packages: int | None
    versions: int | None
    advisories: AdvisoryFacts | None
    stores: Mapping[str, StoreAnswer]
    """This maps the name of each store to its answer."""

    @property
    def messages(self) -> int:
        """Return the number of messages in all lanes."""
        return sum(registry.messages for registry in self.registries)


class OverviewReader:
    """This reads the figures. It asks Redis in a few pipelines, and what is slow in the background."""

    def __init__(self, stores: Stores, settings: Settings, collected: Collected) -> None:
        self._stores = stores
        self._settings = settings
        self._collected = collected
        stream = settings.queue.stream
        self._board = Board(stores.redis, stream)
        self._size: Remembered[GraphSize] = Remembered(lambda: stores.graph.reader.size(ECOSYSTEMS), good_for_s=10.0)
        self._letters = Remembered(collected.dead_letters, good_for_s=4.0)
        self._answers = Remembered(collected.store_answers, good_for_s=4.0)
        self._advisories = Remembered(self._of_advisories, good_for_s=15.0)
        self._activity = Remembered(lambda: activity_of(stores.redis, stream), good_for_s=10.0)
        self._state = Remembered(self._of_board, good_for_s=4.0)
        self._slow = (self._size, self._state, self._activity, self._letters, self._advisories, self._answers)

    async def overview(self) -> Overview:
        """Return the figures of the front page. Raise StoreError if Redis does not answer."""
        await asyncio.gather(*(each.get() for each in self._slow))
        snapshot = await self._collected.figures()
        size, letters, activity = self._size.answer, self._letters.answer, self._activity.answer or {}
        registries = tuple(
            self._registry(declaration, snapshot, size, activity.get(declaration.name)) for declaration in DECLARATIONS
        )
        submitted = snapshot.queue.submissions
        return Overview(
            registries=registries,
            dead_letters=None if letters is None else dict(sorted(letters.items())),
            daemons=snapshot.daemons,
            in_flight=sum(daemon.in_flight for daemon in snapshot.daemons if daemon.is_up),
            submissions=submitted.waiting + submitted.pending,
            counters=snapshot.queue.counters,
            next_retry_at=snapshot.queue.next_retry_at,
            packages=sum(size.packages.values()) if size else None,
            versions=size.all_versions if size else None,
            advisories=self._advisories.answer,
            stores=self._answers.answer or {},
        )

    async def close(self) -> None:
        """End what is still asked for in the background. Nobody looks any more."""
        await asyncio.gather(*(each.close() for each in self._slow))

    def _registry(
        self,
        declaration: Declaration,
        snapshot: Snapshot,
        size: GraphSize | None,
        activity: Activity | None,
    ) -> RegistryState:
        name = declaration.name
        lag_s = snapshot.registry_lags_s.get(name)
        state, reason = self._state_of(declaration, lag_s)
        breaker = snapshot.queue.breakers.get(declaration.ecosystem.endpoint)
        if breaker is not None and breaker.open_for_s > 0:
            state, reason = DOWN, f"asked again in {in_words(breaker.open_for_s)}: {breaker.reason}"
        if name in snapshot.queue.paused:
            state, reason = PAUSED, f"an operator has paused it{_ago(snapshot.queue.paused[name])}"
        return RegistryState(
            name=name,
            title=declaration.title,
            state=state,
            reason=reason,
            lanes=snapshot.queue.lanes[name],
            lag_s=lag_s,
            packages=size.packages.get(name) if size else None,
            versions=size.versions.get(name) if size else None,
            activity=activity,
            updates_job=declaration.updates_job,
            ingestion_job=declaration.ingestion_job,
        )

    def _state_of(self, declaration: Declaration, lag_s: float | None) -> tuple[str, str]:
        """Return whether a registry that is asked is fresh or behind, and why it is behind."""
        schedule, board = schedules_of(self._settings.schedules)[declaration.updates_job], self._state.answer
        is_enabled = board.overrides.get(declaration.updates_job, schedule.enabled) if board else schedule.enabled
        if lag_s is None:
            return BEHIND, "its changes have not been followed yet" + (
                "" if is_enabled else ": its updates are disabled"
            )
        now = datetime.now(UTC)
        period_s = (next_tick(schedule, now) - latest_tick(schedule, now)).total_seconds()
        if is_enabled:
            period_s = min(period_s, self._settings.follow[declaration.name])
        if lag_s <= period_s * (1 + _LATE_SHARE) + _LATE_S:
            return FRESH, ""
        return BEHIND, (
            f"its feed is looked at every {in_words(timedelta(seconds=period_s))}"
            if is_enabled
            else "its updates are disabled"
        )

    async def _of_board(self) -> State:
        with store_errors():
            return await self._board.state()

    async def _of_advisories(self) -> AdvisoryFacts:
        newest = await self._stores.advisories.newest(1)
        runs = await self._stores.runs.newest(1, job="advisory_sync")
        count = await self._stores.advisories.count()
        return AdvisoryFacts(count, newest[0] if newest else None, runs[0] if runs else None)


def _ago(since: str) -> str:
    """Return how long ago a time was. It is empty for a time that another release has written in another way."""
    try:
        return f" {in_words(seconds_since(since))} ago"
    except (ValueError, TypeError):
        return ""


def chart(identifier: str, title: str, slots: list[Slot]) -> Chart:
    """Return a chart of the requests, in which those that the registry answered with 429 stand out."""
    shown = [
        Bar(f"{datetime.fromtimestamp(slot.starts_at, UTC):%a %H:%M} UTC", slot.requests, slot.limited)
        for slot in slots
    ]
    return bars(identifier, title, shown, failed="were answered with 429")
