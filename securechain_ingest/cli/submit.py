"""`submit`: queue messages from flags, a file or standard input."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from securechain_ingest.cli.options import ConfigOption, StateDirOption, load_settings, run_async
from securechain_ingest.errors import PoisonMessage


def command(
    packages: Annotated[
        list[str] | None, typer.Argument(help="Packages such as pypi:six or npm:@babel/core, or purls.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="One JSON message a line; - for standard input.")
    ] = None,
    refresh: Annotated[bool, typer.Option(help="Read the packages again even if they are known.")] = False,
    constraints: Annotated[str | None, typer.Option(help="For the edge from the parent.")] = None,
    parent_id: Annotated[str | None, typer.Option(help="elementId of a RequirementFile or Version.")] = None,
    depth: Annotated[int | None, typer.Option(min=0, help="How far requirements are followed.")] = None,
    bulk: Annotated[bool, typer.Option(help="Use the bulk stream, which is served after all other messages.")] = False,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
) -> None:
    """Ask the daemon for packages. Nothing is queued if one of the messages is malformed."""
    from securechain_ingest.intake.keys import Keys
    from securechain_ingest.intake.messages import Message, parse_data
    from securechain_ingest.intake.submission import submit
    from securechain_ingest.registries import named_package
    from securechain_ingest.stores import REDIS, of_running_daemon, redis_client

    settings = load_settings(config, state_dir)
    messages = [
        Message(
            node_type=ref.ecosystem.label,
            package=ref.registry_name,
            constraints=constraints or "any",
            parent_id=parent_id,
            refresh=refresh,
            depth=depth,
        )
        for ref in map(named_package, packages or ())
    ]
    unknown: set[str] = set()
    for number, line in enumerate(_lines(file), start=1):
        if line.strip():
            try:
                messages.append(parse_data(line, unknown=unknown.update))
            except PoisonMessage as error:
                raise PoisonMessage(f"{file} line {number}: {error}", kind=error.kind) from error
    if unknown:
        typer.echo(f"keys that nobody reads are left out: {', '.join(sorted(unknown))}"[:500], err=True)
    if not messages:
        raise typer.BadParameter("name a package, or give --file FILE", param_hint="PACKAGES")

    async def send() -> None:
        addresses = of_running_daemon(settings, frozenset({REDIS}))
        async with redis_client(addresses.redis_url or "", settings) as redis:
            await submit(redis, settings.queue, messages, bulk=bulk)

    run_async(send())
    typer.echo(f"{len(messages)} queued on {Keys(settings.queue.stream).source(bulk=bulk)}")


def _lines(file: Path | None) -> list[str]:
    if file is None:
        return []
    try:
        if str(file) == "-":
            return sys.stdin.read().splitlines()
        return file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{file} cannot be read ({error})", param_hint="--file") from error
