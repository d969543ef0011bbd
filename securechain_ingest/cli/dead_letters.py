"""The command `dead-letters` shows messages that could not be served, and sends them again or drops them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from functools import partial
from typing import Annotated, Protocol, TypeVar

import typer
from redis.asyncio import Redis

from securechain_ingest.cli import words
from securechain_ingest.cli.options import ConfigOption, JsonOption, StateDirOption, load_settings, run_with_redis
from securechain_ingest.cli.output import print_json, print_lines
from securechain_ingest.configuration import Settings
from securechain_ingest.settings import QueueSettings

T = TypeVar("T")

app = typer.Typer(help="Messages that could not be served.", no_args_is_help=True)

IdsArgument = Annotated[list[str] | None, typer.Argument(help="Ids as `list` shows them.")]
AllOption = Annotated[bool, typer.Option("--all", help="Every dead letter.")]
KindOption = Annotated[
    str | None, typer.Option("--kind", help="Every dead letter of this kind.", autocompletion=words.kinds)
]


@app.command("list")
def list_command(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most this many, oldest first.")] = 50,
    after: Annotated[str | None, typer.Option(help="Start behind this id.")] = None,
    kind: KindOption = None,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one line for each dead letter: id, kind, attempts, last failure and reason."""
    from securechain_ingest.queue.dead_letters import list_dead_letters

    settings = load_settings(config, state_dir)
    letters = run_with_redis(
        settings, lambda redis: list_dead_letters(redis, settings.queue, limit=limit, after=after, kind=kind)
    )
    if not letters:
        _refuse_unknown(kind)
    if as_json:
        print_json([dataclasses.asdict(letter) for letter in letters])
        return
    print_lines(
        f"{letter.entry_id}  {letter.kind}  {letter.attempts}x  {letter.last_failed_at}  {letter.error}"
        for letter in letters
    )
    if not letters:
        typer.echo("no dead letters")


@app.command("show")
def show_command(
    entry_id: Annotated[str, typer.Argument(help="Id as `list` shows it.")],
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one dead letter completely, with the message as it was received."""
    from securechain_ingest.queue.dead_letters import show_dead_letter

    settings = load_settings(config, state_dir)
    letter = run_with_redis(settings, lambda redis: show_dead_letter(redis, settings.queue, entry_id))
    if letter is None:
        typer.echo(f"there is no dead letter {entry_id}", err=True)
        raise typer.Exit(1)
    if as_json:
        print_json(dataclasses.asdict(letter))
        return
    print_lines(f"{key}: {value}" for key, value in dataclasses.asdict(letter).items())


@app.command("replay")
def replay_command(
    ids: IdsArgument = None,
    everything: AllOption = False,
    kind: KindOption = None,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put dead letters back into the lanes they came from, with no attempt counted."""
    from securechain_ingest.queue.dead_letters import replay_dead_letters
    from securechain_ingest.registries import ECOSYSTEMS

    ecosystems = {ecosystem.label: ecosystem.name for ecosystem in ECOSYSTEMS}
    replay = partial(replay_dead_letters, ecosystems=ecosystems)
    _act_on(ids, everything, kind, load_settings(config, state_dir), replay, "replayed", as_json=as_json)


@app.command("drop")
def drop_command(
    ids: IdsArgument = None,
    everything: AllOption = False,
    kind: KindOption = None,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete dead letters for good."""
    from securechain_ingest.queue.dead_letters import drop_dead_letters

    _act_on(ids, everything, kind, load_settings(config, state_dir), drop_dead_letters, "dropped", as_json=as_json)


class _Action(Protocol):
    """An action handles the dead letters with these ids. Without ids it handles all of them, or all of `kind`.

    It returns how many it has handled.
    """

    async def __call__(
        self, redis: Redis, queue: QueueSettings, *, ids: Iterable[str] | None, kind: str | None
    ) -> int: ...


def _act_on(
    ids: list[str] | None,
    everything: bool,
    kind: str | None,
    settings: Settings,
    act: _Action,
    done: str,
    *,
    as_json: bool,
) -> None:
    if sum((bool(ids), everything, kind is not None)) != 1:
        raise typer.BadParameter("give ids, or --kind, or --all", param_hint="IDS")
    count = run_with_redis(settings, lambda redis: act(redis, settings.queue, ids=ids or None, kind=kind))
    if not count:
        _refuse_unknown(kind)
    if as_json:
        print_json({done: count})
    else:
        typer.echo(f"{count} {done}")
    if ids and count < len(ids):
        typer.echo(f"{len(ids) - count} of the ids are no dead letters", err=True)
        raise typer.Exit(1)


def _refuse_unknown(kind: str | None) -> None:
    """Raise typer.BadParameter if a kind of which there is no letter is none of ours either.

    Letters of another program, or of another release, may have kinds of their own.
    """
    known = words.kinds()
    if kind is not None and kind not in known:
        raise typer.BadParameter(f"{kind} is no kind of dead letter; there are {', '.join(known)}", param_hint="--kind")
