"""The command `schedules` shows the jobs and their times, switches them on and off, and runs one now.

A running daemon carries out these commands.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from securechain_ingest.cli.options import (
    ConfigOption,
    JsonOption,
    StateDirOption,
    known_job,
    load_settings,
    run_async,
    run_with_redis,
)
from securechain_ingest.cli.output import print_json, print_table
from securechain_ingest.configuration import Settings
from securechain_ingest.ecosystem_settings import JOBS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from securechain_ingest.runs import Run
    from securechain_ingest.schedules.board import Board, State
    from securechain_ingest.schedules.timetable import Schedule

T = TypeVar("T")

app = typer.Typer(help="Jobs and their times.", no_args_is_help=True)

JobArgument = Annotated[
    str, typer.Argument(help="A job as `list` names it.", metavar="JOB", autocompletion=lambda: list(JOBS))
]


@app.command("list")
def list_command(config: ConfigOption = None, state_dir: StateDirOption = None, as_json: JsonOption = False) -> None:
    """Show one line for each job: whether it is enabled, its cron expression, its last run and its next run."""
    settings = load_settings(config, state_dir)
    rows = run_async(_rows(settings))
    if as_json:
        print_json(rows)
        return
    shown = []
    for row in rows:
        enabled = ("yes" if row["enabled"] else "no") + ("*" if row["overridden"] else "")
        last = f"{_short(row['last_run_at'])} {row['last_outcome']}" if row["last_run_at"] else "never"
        state = "  running" if row["running"] else "  asked for" if row["requested"] else ""
        shown.append((row["job"], enabled, row["cron"], _short(row["next_run_at"]), f"{last}{state}"))
    print_table(("job", "enabled", "cron", "next run", f"last run  (times of {settings.schedules.timezone})"), shown)
    if any(row["overridden"] for row in rows):
        typer.echo("* by a command; the configuration says otherwise")


@app.command("enable")
def enable_command(
    job: JobArgument, config: ConfigOption = None, state_dir: StateDirOption = None, as_json: JsonOption = False
) -> None:
    """Let a job run at its times, whatever the configuration says. This stays in force after a restart."""
    _override(load_settings(config, state_dir), job, enabled=True, as_json=as_json)


@app.command("disable")
def disable_command(
    job: JobArgument, config: ConfigOption = None, state_dir: StateDirOption = None, as_json: JsonOption = False
) -> None:
    """Skip a job's times from now on. A run under way goes on. This stays in force after a restart."""
    _override(load_settings(config, state_dir), job, enabled=False, as_json=as_json)


@app.command("run")
def run_command(
    job: JobArgument,
    reconcile: Annotated[
        bool, typer.Option(help="Compare everything instead of following the changes (updates, advisories).")
    ] = False,
    allow_removals: Annotated[
        bool, typer.Option(help="Mark what is gone from the registry, however much it is (updates).")
    ] = False,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a daemon run a job now, or as soon as its present run or a pause is over. This works for disabled jobs, too.

    The command prints the id of the run, which `runs show` takes.
    If a run was asked for before and has not begun, its id is printed, and no second run is asked for.
    """
    from securechain_ingest.runs import new_run_id, utc_now
    from securechain_ingest.schedules.board import RunRequest

    settings = load_settings(config, state_dir)
    known = known_job(job, "JOB")
    options = {"reconcile": reconcile, "allow_removals": allow_removals}
    request = RunRequest(new_run_id(utc_now()), {name: "true" for name, chosen in options.items() if chosen})
    run = _with_board(settings, lambda board: board.request(known, request))
    if as_json:
        print_json({"job": known, "run": run})
    else:
        typer.echo(run)


async def _rows(settings: Settings) -> list[dict[str, Any]]:
    from securechain_ingest.cli.answers import for_answers
    from securechain_ingest.drivers.redis_errors import store_errors
    from securechain_ingest.schedules.board import Board
    from securechain_ingest.schedules.timetable import schedules_of
    from securechain_ingest.store_addresses import of_running_daemon
    from securechain_ingest.stores import connect

    async with connect(of_running_daemon(settings), for_answers(settings)) as stores:
        with store_errors():
            state = await Board(stores.redis, settings.queue.stream).state()
        last = {job: await stores.runs.newest(1, job=job) for job in JOBS}
    schedules = schedules_of(settings.schedules)
    return [_row(job, schedules[job], state, last[job]) for job in JOBS]


def _row(job: str, schedule: Schedule, state: State, last: list[Run]) -> dict[str, Any]:
    from securechain_ingest.runs import utc_now
    from securechain_ingest.schedules.timetable import next_tick

    enabled = state.overrides.get(job, schedule.enabled)
    following = next_tick(schedule, utc_now()) if enabled else None
    return {
        "job": job,
        "cron": schedule.cron,
        "timezone": schedule.timezone,
        "enabled": enabled,
        "overridden": enabled != schedule.enabled,
        "next_run_at": _in_zone(following, schedule.timezone),
        "last_run_at": _in_zone(last[0].started_at, schedule.timezone) if last else None,
        "last_run": last[0].id if last else None,
        "last_outcome": last[0].outcome if last else None,
        "running": job in state.under_way,
        "requested": job in state.requests,
    }


def _override(settings: Settings, job: str, *, enabled: bool, as_json: bool) -> None:
    known = known_job(job, "JOB")
    _with_board(settings, lambda board: board.override(known, enabled=enabled))
    if as_json:
        print_json({"job": known, "enabled": enabled})
    else:
        typer.echo(f"{known} is {'enabled' if enabled else 'disabled'}")


def _with_board(settings: Settings, work: Callable[[Board], Awaitable[T]]) -> T:
    from securechain_ingest.schedules.board import Board

    return run_with_redis(settings, lambda redis: work(Board(redis, settings.queue.stream)))


def _in_zone(moment: datetime | None, zone: str) -> str | None:
    from zoneinfo import ZoneInfo

    return moment.astimezone(ZoneInfo(zone)).isoformat(timespec="seconds") if moment else None


def _short(moment: str | None) -> str:
    return moment[:16].replace("T", " ") if moment else "-"
