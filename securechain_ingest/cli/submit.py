"""The command `submit` queues messages from flags, a file or standard input. With --wait it waits for their end."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
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
)
from securechain_ingest.cli.output import print_json, print_lines, tell_left_out
from securechain_ingest.configuration import Settings
from securechain_ingest.printable import printable
from securechain_ingest.queue.message_keys import MAX_DEPTH

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from securechain_ingest.model import PackageRef
    from securechain_ingest.queue.messages import Message

MANY = 1000
"""If there are more messages than this, they are bulk work: they are not served first, unless they are urgent."""


def command(
    packages: Annotated[list[str] | None, typer.Argument(help=words.PACKAGES)] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            metavar="FILE",
            help="A line each: names, purls, requirements for pip, or JSON messages; - for standard input.",
        ),
    ] = None,
    sbom: Annotated[
        Path | None,
        typer.Option(
            "--sbom", metavar="FILE", help="A bill of materials: CycloneDX or SPDX, as JSON; - for standard input."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be queued, and queue nothing.")] = False,
    refresh: Annotated[bool, typer.Option(help="Read the packages again even if they are known.")] = False,
    constraints: Annotated[str | None, typer.Option(help="For the edge from the parent.")] = None,
    parent_id: Annotated[str | None, typer.Option(help="elementId of a RequirementFile or Version.")] = None,
    depth: Annotated[int | None, typer.Option(min=0, max=MAX_DEPTH, help="How far requirements are followed.")] = None,
    urgent: Annotated[
        bool, typer.Option("--urgent", help=f"Serve them first even if they are more than {MANY}.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Print a line for each package as it ends; exit code 1 if one failed.")
    ] = False,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask the daemon for packages. No message is queued if one of the lines or messages is malformed."""
    from securechain_ingest.inputs.lists import read_list
    from securechain_ingest.queue.messages import Message

    if file and file == sbom:
        raise typer.BadParameter("one input cannot be both a list and a bill", param_hint="--file, --sbom")
    settings = load_settings(config, state_dir)
    listed = read_list(_lines(file), str(file))
    refs = {ref.purl: ref for ref in (*named_packages(packages or ()).values(), *listed.packages, *_materials(sbom))}
    messages = [
        Message(
            node_type=ref.ecosystem.label,
            package=ref.registry_name,
            constraints=constraints or "any",
            parent_id=parent_id,
            refresh=refresh,
            depth=depth,
        )
        for ref in refs.values()
    ]
    messages += listed.messages
    tell_left_out("keys that nobody reads are left out", listed.unknown_keys)
    tell_left_out("lines that are options of pip, addresses or paths are left out", listed.passed_over)
    if not messages:
        if given := [str(each) for each in (file, sbom) if each]:
            raise typer.BadParameter(
                f"{' and '.join(given)} has no package of a registry that is served", param_hint="--file, --sbom"
            )
        raise typer.BadParameter("name a package, or give --file FILE or --sbom FILE", param_hint="PACKAGES")
    if dry_run:
        _show(messages, as_json=as_json)
        return
    answer = run_async(_send(settings, messages, urgent=urgent or len(messages) <= MANY, wait=wait, as_json=as_json))
    if as_json:
        print_json(answer)
    if any(outcome["kind"] for outcome in answer["outcomes"] or ()):
        raise typer.Exit(1)


def _show(messages: Sequence[Message], *, as_json: bool) -> None:
    """Print what would be queued."""
    if as_json:
        print_json(_answer(messages))
    else:
        for message in messages:
            typer.echo(f"{message.node_type}  {message.package}")
    typer.echo(f"{len(messages)} would be queued", err=True)


def _answer(
    messages: Sequence[Message],
    *,
    run: str | None = None,
    queued_on: str | None = None,
    outcomes: list[dict[str, str]] | None = None,
) -> dict[str, Any]:
    """Return what the command answers with `--json`. What is None has not happened."""
    packages = [{"node_type": message.node_type, "package": message.package} for message in messages]
    return {"run": run, "packages": packages, "queued_on": queued_on, "outcomes": outcomes}


def _materials(sbom: Path | None) -> Sequence[PackageRef]:
    """Return the packages of a bill of materials. Its other components are listed on standard error.

    typer.BadParameter is raised if the file cannot be read, or is no bill.
    """
    from securechain_ingest.errors import Malformed
    from securechain_ingest.inputs.sbom import read_sbom

    if sbom is None:
        return ()
    try:
        found = read_sbom(_read(sbom, "--sbom"), str(sbom))
    except Malformed as error:
        raise typer.BadParameter(str(error), param_hint="--sbom") from error
    others = [f"{count} of type {kind}" for kind, count in found.others.items()]
    if found.without_purl:
        others.append(f"{found.without_purl} without a package URL")
    others += [f"{purl} names no package" for purl in found.unreadable]
    tell_left_out("components that are left out", others)
    return found.packages


async def _send(
    settings: Settings, messages: Sequence[Message], *, urgent: bool, wait: bool, as_json: bool
) -> dict[str, Any]:
    """Queue the messages, and with `wait` follow them to their end. Return what is to be answered."""
    from securechain_ingest.cli.progress import progress_bar
    from securechain_ingest.drivers.redis_connection import connect as connect_redis
    from securechain_ingest.queue.lanes import Lane
    from securechain_ingest.queue.outcomes import Outcomes
    from securechain_ingest.queue.submission import submit
    from securechain_ingest.registries import ECOSYSTEMS
    from securechain_ingest.runs import new_run_id, utc_now
    from securechain_ingest.store_addresses import REDIS, of_running_daemon

    run = f"submission-{new_run_id(utc_now())}"
    messages = [replace(message, run=run) for message in messages]
    addresses = of_running_daemon(settings, frozenset({REDIS}))
    async with (
        connect_redis(addresses.redis_url or "", settings.redis.timeout_s) as redis,
        Outcomes(redis, settings.queue.stream, run, wait=wait) as outcomes,
    ):
        await _tell_pauses(redis, settings, messages)
        if urgent:
            await submit(redis, settings.queue, messages)
        else:
            async with outcomes.renewed():
                await _enqueue(redis, settings, messages)
        lane = settings.queue.stream if urgent else f"the lane {Lane.LISTED}"
        typer.echo(f"{len(messages)} queued on {lane}", err=wait or as_json)
        names = {ecosystem.label: ecosystem.name for ecosystem in ECOSYSTEMS}
        ended: list[dict[str, str]] = []
        if wait:
            with progress_bar() as (progress, _):
                bar = progress.add_task("packages", total=len(messages))
                async for outcome in outcomes.follow(len(messages)):
                    ended.append(dataclasses.asdict(outcome))
                    progress.advance(bar)
                    if not as_json:
                        name = f"{names.get(outcome.node_type, outcome.node_type)}:{outcome.package}"
                        print_lines([f"{name}  {f'{outcome.kind}: {outcome.reason}' if outcome.kind else 'stored'}"])
    return _answer(messages, run=run, queued_on=str(lane), outcomes=ended if wait else None)


async def _enqueue(redis: Redis, settings: Settings, messages: Sequence[Message]) -> None:
    """Add the messages to the lane for bulk work, and say once of each ecosystem if its lane is full."""
    from securechain_ingest.queue.lanes import Lane
    from securechain_ingest.queue.submission import enqueue
    from securechain_ingest.registries import ECOSYSTEMS

    @cache
    def tell_full(name: str) -> None:
        typer.echo(f"the lane {Lane.LISTED} of {name} is full: the rest is queued as there is room", err=True)

    for ecosystem in ECOSYSTEMS:
        own = [replace(message, first=True) for message in messages if message.node_type == ecosystem.label]
        on_full = partial(tell_full, ecosystem.name)
        await enqueue(redis, settings.queue, ecosystem.name, Lane.LISTED, own, on_full=on_full)


async def _tell_pauses(redis: Redis, settings: Settings, messages: Sequence[Message]) -> None:
    """Say on standard error which of the messages have to wait for the end of a pause."""
    from securechain_ingest.queue.breakers import why_stopped
    from securechain_ingest.queue.keys import Keys
    from securechain_ingest.registries import ECOSYSTEMS

    asked = {message.node_type for message in messages}
    for ecosystem in ECOSYSTEMS:
        if ecosystem.label in asked:
            reason = await why_stopped(redis, Keys(settings.queue.stream), ecosystem)
            if reason is not None:
                typer.echo(printable(f"what has to be asked of {ecosystem.name} waits: {reason}"), err=True)


def _lines(file: Path | None) -> list[str]:
    from securechain_ingest.inputs.text import decoded

    if file is None:
        return []
    try:
        return decoded(_read(file, "--file")).splitlines()
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{file} cannot be read ({error})", param_hint="--file") from error


def _read(file: Path, option: str) -> bytes:
    """Return what is in the file, or on standard input for `-`. Raise typer.BadParameter if it cannot be read."""
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be read ({error})", param_hint=option) from error
