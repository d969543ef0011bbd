"""The command `runs` shows what the jobs have done.

It reads the records of their runs in MongoDB, and the counts of the packages that have been settled since then.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from securechain_ingest.cli.options import ConfigOption, JsonOption, StateDirOption, known_job, load_settings, run_async
from securechain_ingest.cli.output import print_json, print_lines, print_table
from securechain_ingest.configuration import Settings
from securechain_ingest.ecosystem_settings import JOBS
from securechain_ingest.times import iso

app = typer.Typer(help="What the jobs have done.", no_args_is_help=True)


@app.command("list")
def list_command(
    job: Annotated[str | None, typer.Option(help="Only runs of this job.", autocompletion=lambda: list(JOBS))] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most this many, newest first.")] = 20,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one line for each run: id, job, start, duration, outcome, and what it found or why it failed."""
    if job is not None:
        known_job(job, "--job")
    runs = run_async(_runs(load_settings(config, state_dir), job, limit))
    if as_json:
        print_json(runs)
        return
    if not runs:
        typer.echo("no runs yet")
        return
    rows = []
    for run in runs:
        started = run["started_at"][:19].replace("T", " ")
        found = run["error"] or ", ".join(f"{name} {value}" for name, value in run["metrics"].items())
        rows.append((run["id"], run["job"], started, _took(run), run["outcome"], found))
    print_table(("run", "job", "started (UTC)", "took", "outcome", "found"), rows)


@app.command("show")
def show_command(
    run_id: Annotated[str, typer.Argument(help="Id as `list` shows it.", metavar="ID")],
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one run completely: trigger, daemon, times, requests, bytes, cursors and metrics.

    The exit code is 1 if there is no such run.
    """
    run = run_async(_run(load_settings(config, state_dir), run_id))
    if run is None:
        typer.echo(f"there is no record of a run {run_id} (yet)", err=True)
        raise typer.Exit(1)
    if as_json:
        print_json(run)
        return
    lines = []
    for key, value in run.items():
        if isinstance(value, dict):
            lines += [f"{key + ' ' + name:34} {inner}" for name, inner in value.items()]
        elif value is not None:
            lines.append(f"{key:34} {value}")
    print_lines(lines)


async def _runs(settings: Settings, job: str | None, limit: int) -> list[dict[str, Any]]:
    from securechain_ingest.cli.answers import for_answers
    from securechain_ingest.queue.run_counts import NONE, run_counts
    from securechain_ingest.store_addresses import of_running_daemon
    from securechain_ingest.stores import connect

    async with connect(of_running_daemon(settings), for_answers(settings)) as stores:
        counts = await run_counts(stores.redis, settings.queue.stream)
        return [_plain(record, counts.get(record.id, NONE)) for record in await stores.runs.newest(limit, job=job)]


async def _run(settings: Settings, run_id: str) -> dict[str, Any] | None:
    from securechain_ingest.cli.answers import for_answers
    from securechain_ingest.queue.run_counts import NONE, run_counts
    from securechain_ingest.store_addresses import of_running_daemon
    from securechain_ingest.stores import connect

    async with connect(of_running_daemon(settings), for_answers(settings)) as stores:
        record = await stores.runs.get(run_id)
        counts = await run_counts(stores.redis, settings.queue.stream)
    return None if record is None else _plain(record, counts.get(run_id, NONE))


def _plain(record: Any, counts: Any) -> dict[str, Any]:
    from securechain_ingest.runs.metrics import completed_metrics

    metrics = {name: _whole(value) for name, value in completed_metrics(record, counts).items()}
    plain = record.model_copy(update={"metrics": metrics}).model_dump()
    return {key: iso(value, "milliseconds") if isinstance(value, datetime) else value for key, value in plain.items()}


def _took(run: dict[str, Any]) -> str:
    if run["ended_at"] is None:
        return "under way"
    seconds = (datetime.fromisoformat(run["ended_at"]) - datetime.fromisoformat(run["started_at"])).total_seconds()
    return f"{seconds:.1f} s"


def _whole(value: float) -> float:
    """Return a value without a fraction as an integer, because it is a count. Return any other value unchanged."""
    return int(value) if float(value).is_integer() else value
