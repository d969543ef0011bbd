"""The command `cursors` shows how far the feeds of registries and advisories have been followed, and resets that."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from securechain_ingest.cli.options import ConfigOption, JsonOption, StateDirOption, load_settings, run_with_redis
from securechain_ingest.cli.output import print_json, print_lines
from securechain_ingest.configuration import Settings
from securechain_ingest.times import in_words, seconds_since

if TYPE_CHECKING:
    from securechain_ingest.jobs.cursors import Cursors

T = TypeVar("T")

_SHOWN = 60

app = typer.Typer(help="How far the feeds have been followed.", no_args_is_help=True)


def _with_cursors(settings: Settings, work: Callable[[Cursors], Awaitable[T]]) -> T:
    from securechain_ingest.jobs.cursors import Cursors

    return run_with_redis(settings, lambda redis: work(Cursors(redis, settings.queue.stream)))


def _plain(cursor: Any) -> dict[str, Any]:
    fields: dict[str, Any] = dataclasses.asdict(cursor)
    return {**fields.pop("more"), **fields}


@app.command("show")
def show_command(config: ConfigOption = None, state_dir: StateDirOption = None, as_json: JsonOption = False) -> None:
    """Show one line for each feed: its cursor, when it moved, and when all names were last compared."""
    cursors = _with_cursors(load_settings(config, state_dir), lambda cursors: cursors.all())
    if as_json:
        print_json({name: _plain(cursor) for name, cursor in cursors.items()})
        return
    lines = []
    for name, cursor in cursors.items():
        value = cursor.value if len(cursor.value) <= _SHOWN else f"{cursor.value[:_SHOWN]}…"
        compared = f"compared {_ago(cursor.reconciled_at)}" if cursor.reconciled_at else "never compared"
        lines.append(f"{name:14} moved {_ago(cursor.moved_at)}, {compared}: {value}")
    print_lines(lines or ["no cursors yet: the first run of each update compares everything"])


@app.command("reset")
def reset_command(
    names: Annotated[list[str] | None, typer.Argument(help="Feeds as `show` names them.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every feed.")] = False,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Forget cursors: the next update of each feed compares everything. That costs requests and loses nothing.

    The exit code is 1 if one of the feeds had no cursor.
    """
    if bool(names) == everything:
        raise typer.BadParameter("give the names of feeds, or --all", param_hint="NAMES")

    async def reset(cursors: Cursors) -> dict[str, bool]:
        chosen = list(await cursors.all()) if everything else names or []
        return {name: await cursors.reset(name) for name in chosen}

    was_there = _with_cursors(load_settings(config, state_dir), reset)
    forgotten = [name for name, found in was_there.items() if found]
    missing = [name for name, found in was_there.items() if not found]
    if as_json:
        print_json({"forgotten": forgotten, "missing": missing})
    else:
        print_lines(f"{name}: forgotten" for name in forgotten)
    for name in missing:
        typer.echo(f"{name}: there is no such cursor", err=True)
    if missing:
        raise typer.Exit(1)


def _ago(moment: str) -> str:
    return f"{in_words(seconds_since(moment))} ago"
