"""The command `queue` shows messages that wait, are in work or will be tried again, and takes them out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from securechain_ingest.cli import words
from securechain_ingest.cli.options import (
    ConfigOption,
    JsonOption,
    StateDirOption,
    load_settings,
    named_packages,
    run_async,
    run_with_redis,
)
from securechain_ingest.cli.output import print_json, print_lines
from securechain_ingest.configuration import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.asyncio import Redis

    from securechain_ingest.queue.inspection import Queued
    from securechain_ingest.queue.lanes import Lane
    from securechain_ingest.settings import QueueSettings

app = typer.Typer(help="What waits, is in work or will be tried again.", no_args_is_help=True)

LaneOption = Annotated[
    list[str] | None,
    typer.Option("--lane", help="asked, changed, required, listed or completed.", autocompletion=words.lanes),
]
EcosystemOption = Annotated[
    list[str] | None, typer.Option("--ecosystem", help=words.SOME_ECOSYSTEMS, autocompletion=words.ecosystems)
]


@app.command("list")
def list_command(
    lane: LaneOption = None,
    ecosystem: EcosystemOption = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="At most this many.")] = 100,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one line for each message: package, lane, state, attempts, time of the next attempt, and last failure."""
    settings = load_settings(config, state_dir)
    names, lanes = _ecosystems(ecosystem), _lanes(lane)
    found = run_with_redis(settings, lambda redis: _listed(redis, settings.queue, names, lanes, limit + 1))
    if len(found) > limit:
        found.pop()
        typer.echo(f"there are more than these {limit}: `--limit` shows more, and `status` counts all", err=True)
    if as_json:
        print_json(found)
        return
    print_lines(
        "  ".join(
            filter(
                None,
                (
                    f"{row['ecosystem']}:{row['package']}",
                    row["lane"],
                    row["state"],
                    f"{row['tries']} attempt{'s' * (row['tries'] != 1)}",
                    row["next_try_at"],
                    row["reason"],
                ),
            )
        )
        for row in found
    )
    if not found:
        typer.echo("nothing is queued")


@app.command("cancel")
def cancel_command(
    names: Annotated[list[str], typer.Argument(help=words.PACKAGES)],
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take packages out of every lane. Messages in work are finished.

    The exit code is 1 if one of the packages did not wait in any lane.
    """
    from securechain_ingest.queue.lanes import LANES

    settings = load_settings(config, state_dir)
    refs = named_packages(names)
    wanted = {ref.purl: name for name, ref in refs.items()}
    ecosystems = {ref.ecosystem.name for ref in refs.values()}

    def is_wanted(queued: Queued) -> bool:
        return _purl(queued) in wanted

    removed = run_async(_remove(settings, "cancelled", sorted(ecosystems), list(LANES), is_wanted))
    found = {_purl(queued) for queued in removed}
    missing = [name for purl, name in wanted.items() if purl not in found]
    if as_json:
        print_json({"cancelled": len(removed), "not_waiting": missing})
    else:
        typer.echo(f"{len(removed)} cancelled")
    for name in missing:
        typer.echo(f"{name} does not wait in any lane", err=True)
    if missing:
        raise typer.Exit(1)


@app.command("purge")
def purge_command(
    lane: LaneOption = None,
    ecosystem: EcosystemOption = None,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Empty the lanes that --lane, --ecosystem or both select. Messages in work are finished."""
    if not lane and not ecosystem:
        raise typer.BadParameter("say which lanes, or which ecosystem's", param_hint="--lane, --ecosystem")
    settings = load_settings(config, state_dir)
    removed = run_async(_remove(settings, "purged", _ecosystems(ecosystem), _lanes(lane), lambda _: True))
    if as_json:
        print_json({"purged": len(removed)})
    else:
        typer.echo(f"{len(removed)} purged")


async def _listed(
    redis: Redis, queue: QueueSettings, ecosystems: list[str], lanes: list[Lane], limit: int
) -> list[dict[str, Any]]:
    from securechain_ingest.queue.inspection import queued_messages

    found: list[dict[str, Any]] = []
    async for queued in queued_messages(redis, queue.stream, queue.group, ecosystems, lanes):
        found.append(queued.as_dict())
        if len(found) == limit:
            break
    return found


async def _remove(
    settings: Settings, word: str, ecosystems: list[str], lanes: list[Lane], wanted: Callable[[Queued], bool]
) -> list[Queued]:
    from securechain_ingest.queue.inspection import remove_messages
    from securechain_ingest.store_addresses import of_running_daemon
    from securechain_ingest.stores import connect

    queue = settings.queue
    async with connect(of_running_daemon(settings), settings) as stores:
        removed = await remove_messages(
            stores.redis, queue.stream, queue.group, word=word, ecosystems=ecosystems, lanes=lanes, wanted=wanted
        )
        # The graph may have these packages marked as queued. Without the mark the next package that requires them
        # queues them again.
        purls = sorted({purl for each in removed if each.entry.lane.may_be_required and (purl := _purl(each))})
        await stores.graph.forget_queued(purls)
    return removed


def _purl(queued: Queued) -> str | None:
    from securechain_ingest.errors import InvalidName
    from securechain_ingest.registries import declaration_of

    if queued.message is None:
        return None
    try:
        return declaration_of(queued.entry.ecosystem).identify(queued.message.package).purl
    except InvalidName:
        return None


def _ecosystems(words: list[str] | None) -> list[str]:
    from securechain_ingest.registries import ECOSYSTEMS, declaration_of

    if not words:
        return [ecosystem.name for ecosystem in ECOSYSTEMS]
    return [declaration_of(word).name for word in words]


def _lanes(words: list[str] | None) -> list[Lane]:
    from securechain_ingest.queue.lanes import LANES, Lane

    if not words:
        return list(LANES)
    for word in words:
        if word not in LANES:
            raise typer.BadParameter(f"{word} is no lane; there are {', '.join(LANES)}", param_hint="--lane")
    return [Lane(word) for word in words]
