"""This module has the pages of the jobs and their runs: what ran when and how it ended, what comes next, one job with
its metrics over its runs, and one run with its progress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from securechain_ingest.drivers.redis_errors import store_errors
from securechain_ingest.ecosystem_settings import INGESTION_JOBS, JOBS
from securechain_ingest.queue.run_counts import NONE, RunCounts, run_counts
from securechain_ingest.runs import Run, new_run_id, utc_now
from securechain_ingest.runs.metrics import completed_metrics
from securechain_ingest.schedules.board import Board, EmptyLooks, RunRequest, State
from securechain_ingest.schedules.timetable import Schedule, next_tick, schedules_of
from securechain_ingest.web.parts import Parts
from securechain_ingest.web.plots import Bar, bars
from securechain_ingest.web.shell import Form, Shell, Values, back

PATH: Final = "/schedules"
_RUNS: Final = 50
_RECENT: Final = 15

OF_THE_SEED: Final = (
    "total_in_registry",
    "new_packages_ingested",
    "skipped_existing",
    "ingestion_rate",
    "packages_processed",
    "total_versions",
    "errors",
    "success_rate",
)
"""These metrics come first. Every job of the system that this one replaces had some of them."""

_RECONCILED: Final = frozenset(JOBS) - frozenset(INGESTION_JOBS) - {"packages_refresh"}
"""These jobs can compare everything instead of following changes."""


@dataclass(frozen=True, slots=True)
class JobState:
    """This is one line of the table of jobs."""

    name: str
    schedule: Schedule
    is_enabled: bool
    is_overridden: bool
    following: datetime | None
    last: Run | None
    under_way: Run | None
    is_asked_for: bool
    looks: EmptyLooks | None

    @property
    def can_reconcile(self) -> bool:
        return self.name in _RECONCILED


@dataclass(frozen=True, slots=True)
class RunState:
    """This is a run with its counts so far."""

    run: Run
    counts: RunCounts

    @property
    def metrics(self) -> Mapping[str, float]:
        """Return the metrics, those of the seed first."""
        found = completed_metrics(self.run, self.counts)
        return {name: found[name] for name in _in_order(found)}

    @property
    def took_s(self) -> float | None:
        return (self.run.ended_at - self.run.started_at).total_seconds() if self.run.ended_at else None

    @property
    def is_over(self) -> bool:
        """Return whether nothing about the run changes any more."""
        return self.run.ended_at is not None and self.counts.open <= 0

    @property
    def share(self) -> float | None:
        """Return how much of what the run has queued is settled, from 0 to 1."""
        settled = self.counts.succeeded + self.counts.failed + self.counts.merged
        settled += self.counts.cancelled + self.counts.purged
        whole = settled + self.counts.open
        return settled / whole if whole > 0 else None


def routes(parts: Parts, shell: Shell) -> list[Route]:
    """Return the routes of this room."""
    room = _ScheduleRoom(parts, shell)
    return [
        Route(PATH, room.everything),
        Route(f"{PATH}/events", room.everything_live),
        Route(f"{PATH}/{{job}}", room.job),
        Route(f"{PATH}/{{job}}", shell.action(room.act), methods=["POST"]),
        Route("/runs/{run_id}", room.one_run),
        Route("/runs/{run_id}/events", room.run_live),
    ]


class _ScheduleRoom:
    def __init__(self, parts: Parts, shell: Shell) -> None:
        self._stores = parts.stores
        self._stream = parts.settings.queue.stream
        self._schedules = parts.settings.schedules
        self._board = Board(parts.stores.redis, self._stream)
        self._shell = shell

    async def read(self) -> Values:
        with store_errors():
            state = await self._board.state()
            looks = await self._board.empty_looks()
        recent = await self._stores.runs.newest(200)
        last: dict[str, Run] = {}
        for run in recent:
            last.setdefault(run.job, run)
        for job in JOBS:
            if job not in last and (found := await self._stores.runs.newest(1, job=job)):
                last[job] = found[0]
        jobs = [
            _job(job, schedule, state, last.get(job), looks) for job, schedule in schedules_of(self._schedules).items()
        ]
        return {"jobs": jobs, "recent": await self._counted(recent[:_RECENT]), "zone": self._schedules.timezone}

    async def everything(self, request: Request) -> Response:
        return self._shell.page(request, "schedules.html", **await self.read())

    async def everything_live(self, request: Request) -> Response:
        return self._shell.live(request, "schedules_live.html", self.read)

    async def job(self, request: Request) -> Response:
        name = request.path_params["job"]
        if name not in JOBS:
            return self._shell.message(request, 404, "Not there", f"{name} is no job.")
        with store_errors():
            state, looks = await self._board.state(), await self._board.empty_looks()
        runs = await self._counted(await self._stores.runs.newest(_RUNS, job=name))
        schedule = schedules_of(self._schedules)[name]
        return self._shell.page(
            request,
            "job.html",
            job=_job(name, schedule, state, runs[0].run if runs else None, looks),
            runs=runs,
            plots=_plots(runs),
            zone=self._schedules.timezone,
        )

    async def read_run(self, run_id: str) -> Values | None:
        run = await self._stores.runs.get(run_id)
        if run is None:
            with store_errors():
                state = await self._board.state()
            run = next((each for each in state.under_way.values() if each.id == run_id), None)
            if run is None:
                job = next((job for job, asked in state.requests.items() if asked.run_id == run_id), None)
                return {"run_id": run_id, "waiting_job": job, "state": None, "is_over": False} if job else None
        (counted,) = await self._counted([run])
        return {"run_id": run_id, "waiting_job": None, "state": counted, "is_over": counted.is_over}

    async def one_run(self, request: Request) -> Response:
        run_id = request.path_params["run_id"]
        values = await self.read_run(run_id)
        if values is None:
            return self._shell.message(request, 404, "Not there", f"There is no record of a run {run_id}.")
        return self._shell.page(request, "run.html", **values)

    async def run_live(self, request: Request) -> Response:
        run_id = request.path_params["run_id"]
        gone = {"run_id": run_id, "waiting_job": None, "state": None, "is_over": True}

        async def read_again() -> Values:
            return await self.read_run(run_id) or gone

        return self._shell.live(request, "run_live.html", read_again, is_over="is_over")

    async def act(self, request: Request, form: Form) -> Response:
        name, action = request.path_params["job"], form.one("action")
        if name not in JOBS:
            return self._shell.message(request, 404, "Not there", f"{name} is no job.")
        with store_errors():
            if action in ("enable", "disable"):
                await self._board.override(name, enabled=action == "enable")
                return back(PATH, f"{action}d")
            if action not in ("run", "reconcile"):
                return self._shell.unknown_action(request)
            options = {"reconcile": "true"} if action == "reconcile" else {}
            run_id = await self._board.request(name, RunRequest(new_run_id(utc_now()), options))
        return back(f"/runs/{run_id}", "asked")

    async def _counted(self, runs: Sequence[Run]) -> list[RunState]:
        counts = await run_counts(self._stores.redis, self._stream)
        return [RunState(run, counts.get(run.id, NONE)) for run in runs]


def _job(name: str, schedule: Schedule, state: State, last: Run | None, looks: Mapping[str, EmptyLooks]) -> JobState:
    is_enabled = state.overrides.get(name, schedule.enabled)
    return JobState(
        name=name,
        schedule=schedule,
        is_enabled=is_enabled,
        is_overridden=is_enabled != schedule.enabled,
        following=next_tick(schedule, utc_now()) if is_enabled else None,
        last=last,
        under_way=state.under_way.get(name),
        is_asked_for=name in state.requests,
        looks=looks.get(name),
    )


def _plots(runs: Sequence[RunState]) -> list[dict[str, Any]]:
    """Return a plot for each metric of a job, over its runs from the oldest to the newest."""
    ordered = list(reversed(runs))
    names = _in_order({name for each in ordered for name in each.metrics})
    plots = []
    for number, name in enumerate(names):
        shown = [
            Bar(
                f"{each.run.started_at:%Y-%m-%d %H:%M}",
                each.metrics.get(name, 0.0),
                failed=each.run.outcome == "failed",
            )
            for each in ordered
        ]
        plots.append(
            {"name": name, "newest": ordered[-1].metrics.get(name), "chart": bars(f"metric-{number}", name, shown)}
        )
    return plots


def _in_order(names: Mapping[str, float] | set[str]) -> list[str]:
    first = [name for name in OF_THE_SEED if name in names]
    return first + sorted(set(names) - set(first))
