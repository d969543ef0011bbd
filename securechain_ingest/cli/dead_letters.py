"""`dead-letters`: look at messages that could not be served, and send them again or drop them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer
from redis.asyncio import Redis

from securechain_ingest.cli.options import ConfigOption, JsonOption, StateDirOption, load_settings, run_async
from securechain_ingest.configuration import Settings

T = TypeVar("T")

app = typer.Typer(help="Messages that could not be served.", no_args_is_help=True)

IdsArgument = Annotated[list[str] | None, typer.Argument(help="Ids as `list` shows them.")]
AllOption = Annotated[bool, typer.Option("--all", help="Every dead letter.")]
KindOption = Annotated[str | None, typer.Option("--kind", help="Every dead letter of this kind.")]


def _with_redis(settings: Settings, work: Callable[[Redis], Awaitable[T]]) -> T:
    from securechain_ingest.stores import REDIS, of_running_daemon, redis_client

    async def connected() -> T:
        addresses = of_running_daemon(settings, frozenset({REDIS}))
        async with redis_client(addresses.redis_url or "", settings) as redis:
            return await work(redis)

    return run_async(connected())


@app.command("list")
def list_command(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most this many, oldest first.")] = 50,
    after: Annotated[str | None, typer.Option(help="Start behind this id.")] = None,
    kind: KindOption = None,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """One line a dead letter: id, kind, attempts, last failure, reason."""
    from securechain_ingest.intake.dead_letters import list_dead_letters

    settings = load_settings(config, state_dir)
    letters = _with_redis(
        settings, lambda redis: list_dead_letters(redis, settings.queue, limit=limit, after=after, kind=kind)
    )
    for letter in letters:
        if as_json:
            typer.echo(json.dumps(dataclasses.asdict(letter)))
        else:
            typer.echo(f"{letter.entry_id}  {letter.kind}  {letter.attempts}x  {letter.last_failed_at}  {letter.error}")
    if not letters and not as_json:
        typer.echo("no dead letters")


@app.command("show")
def show_command(
    entry_id: Annotated[str, typer.Argument(help="Id as `list` shows it.")],
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """One dead letter whole, with the message as it was received."""
    from securechain_ingest.intake.dead_letters import show_dead_letter

    settings = load_settings(config, state_dir)
    letter = _with_redis(settings, lambda redis: show_dead_letter(redis, settings.queue, entry_id))
    if letter is None:
        typer.echo(f"there is no dead letter {entry_id}", err=True)
        raise typer.Exit(1)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(letter)))
        return
    for key, value in dataclasses.asdict(letter).items():
        typer.echo(f"{key}: {value}")


@app.command("replay")
def replay_command(
    ids: IdsArgument = None,
    everything: AllOption = False,
    kind: KindOption = None,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
) -> None:
    """Put dead letters back on the stream, as if they had just been sent."""
    from securechain_ingest.intake.dead_letters import replay_dead_letters

    settings = load_settings(config, state_dir)
    chosen = _chosen(ids, everything, kind)
    count = _with_redis(settings, lambda redis: replay_dead_letters(redis, settings.queue, ids=chosen, kind=kind))
    _finish(count, chosen, "replayed")


@app.command("drop")
def drop_command(
    ids: IdsArgument = None,
    everything: AllOption = False,
    kind: KindOption = None,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
) -> None:
    """Delete dead letters for good."""
    from securechain_ingest.intake.dead_letters import drop_dead_letters

    settings = load_settings(config, state_dir)
    chosen = _chosen(ids, everything, kind)
    count = _with_redis(settings, lambda redis: drop_dead_letters(redis, settings.queue, ids=chosen, kind=kind))
    _finish(count, chosen, "dropped")


def _chosen(ids: list[str] | None, everything: bool, kind: str | None) -> list[str] | None:
    """The ids, or None for all of them (of the kind)."""
    if sum((bool(ids), everything, kind is not None)) != 1:
        raise typer.BadParameter("give ids, or --kind, or --all", param_hint="IDS")
    return ids or None


def _finish(count: int, chosen: list[str] | None, done: str) -> None:
    typer.echo(f"{count} {done}")
    if chosen is not None and count < len(chosen):
        typer.echo(f"{len(chosen) - count} of the ids are no dead letters", err=True)
        raise typer.Exit(1)
