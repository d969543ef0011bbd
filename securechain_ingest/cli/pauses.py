"""The command `pause` stops the lanes and jobs of an ecosystem in every daemon, and `resume` lets them go on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from redis.asyncio import Redis

from securechain_ingest.cli import words
from securechain_ingest.cli.options import ConfigOption, JsonOption, StateDirOption, load_settings, run_with_redis
from securechain_ingest.cli.output import print_json, print_lines
from securechain_ingest.queue.keys import Keys

if TYPE_CHECKING:
    from securechain_ingest.queue.breakers import BreakerState

T = TypeVar("T")

EcosystemArgument = Annotated[
    str, typer.Argument(help=words.ONE_ECOSYSTEM, metavar="ECOSYSTEM", autocompletion=words.ecosystems)
]


def pause_command(
    ecosystem: EcosystemArgument,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let no daemon ask an ecosystem's registry until `resume`. What is in work is handed back.

    The pause stays in force after a restart. Packages and runs that are asked for meanwhile wait.
    """
    from securechain_ingest.queue.breakers import pause

    changed, name = _act(ecosystem, config, state_dir, pause)
    if as_json:
        print_json({"ecosystem": name, "paused": True, "changed": changed})
    else:
        typer.echo(f"{name} is paused" if changed else f"{name} was paused already")


def resume_command(
    ecosystem: EcosystemArgument,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let the lanes and jobs of a paused ecosystem go on. A pause that its registry itself wants lasts as it wants."""
    from securechain_ingest.queue.breakers import endpoints_away, resume
    from securechain_ingest.registries import declaration_of

    async def act(redis: Redis, keys: Keys, name: str) -> tuple[bool, Sequence[BreakerState]]:
        return await resume(redis, keys, name), await endpoints_away(redis, keys, declaration_of(name).ecosystem)

    (changed, away), name = _act(ecosystem, config, state_dir, act)
    if as_json:
        endpoints = [{"endpoint": each.endpoint, "until": each.until, "reason": each.reason} for each in away]
        print_json({"ecosystem": name, "paused": False, "changed": changed, "endpoints_away": endpoints})
        return
    typer.echo(f"{name} goes on" if changed else f"{name} was not paused")
    print_lines(f"{each.endpoint} is still not asked until {each.until}: {each.reason}" for each in away)


def _act(
    ecosystem: str,
    config: ConfigOption,
    state_dir: StateDirOption,
    act: Callable[[Redis, Keys, str], Awaitable[T]],
) -> tuple[T, str]:
    from securechain_ingest.registries import declaration_of

    settings = load_settings(config, state_dir)
    name = declaration_of(ecosystem).name
    return run_with_redis(settings, lambda redis: act(redis, Keys(settings.queue.stream), name)), name
