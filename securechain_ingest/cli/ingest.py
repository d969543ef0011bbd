"""The command `ingest` reads the named packages at once, and prints what it found."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

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
from securechain_ingest.configuration import Settings
from securechain_ingest.errors import Paused, RateLimited, Unavailable
from securechain_ingest.model import PackageRef
from securechain_ingest.queue.message_keys import MAX_DEPTH

if TYPE_CHECKING:
    from securechain_ingest.oneshot import IngestOutcome
    from securechain_ingest.reports.package import PackageReport
    from securechain_ingest.stores import Stores


def command(
    packages: Annotated[list[str], typer.Argument(help=words.PACKAGES)],
    depth: Annotated[int, typer.Option(min=0, max=MAX_DEPTH, help="How far what they require is read too.")] = 1,
    refresh: Annotated[bool, typer.Option(help="Read the packages again even if they are known.")] = False,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read packages now, without a queue, and print what was found.

    The exit code is 1 if one of them failed, and 3 if one failed because its registry cannot be reached or is paused.
    """
    from securechain_ingest import log

    settings = load_settings(config, state_dir)
    log.configure(settings.daemon.log_format, "error", sys.stderr)
    refs = list(named_packages(packages).values())
    if code := run_async(_ingest(settings, refs, depth, refresh, as_json=as_json)):
        raise typer.Exit(code)


async def _ingest(settings: Settings, refs: list[PackageRef], depth: int, refresh: bool, *, as_json: bool) -> int:
    """Read the packages, print a report on each, and return the exit code."""
    from securechain_ingest.cli.output import print_json, print_lines
    from securechain_ingest.cli.progress import progress_bar
    from securechain_ingest.jobs.first_advisories import read_first_advisories
    from securechain_ingest.jobs.wiring import build_advisory_sync
    from securechain_ingest.oneshot import find_stores, ingest
    from securechain_ingest.service import build_service
    from securechain_ingest.store_addresses import graph_address

    with progress_bar() as (progress, errors):
        bar = progress.add_task("opening the stores", total=None)
        async with find_stores(settings) as stores:
            async with build_service(stores, settings, lambda: depth) as service:
                progress.update(bar, description="advisories")
                unknown = await read_first_advisories(
                    build_advisory_sync(stores, service, settings),
                    {osv for ref in refs if (osv := ref.ecosystem.osv) is not None},
                    within_s=settings.vulnerabilities.first_sync_s,
                )
                progress.update(bar, description="packages", total=len(refs))
                outcome = await ingest(
                    service,
                    refs,
                    depth=depth,
                    refresh=refresh,
                    places=settings.workers.model_dump(),
                    report=lambda done, total: progress.update(bar, completed=done, total=total),
                )
            reports = await _reports(stores, refs, outcome, unknown)
    for ref, error in outcome.failed:
        errors.print(f"{ref.purl}: {error}", markup=False, highlight=False, soft_wrap=True)
    if as_json:
        failed = [{"purl": ref.purl, "kind": error.kind, "reason": str(error)} for ref, error in outcome.failed]
        print_json({"stored": [report.as_dict() for _, report in reports], "failed": failed})
    else:
        _print_reports(reports, unknown)
        summary = (
            f"{len(outcome.stored)} packages read, {len(outcome.failed)} failed. The graph is at"
            f" {graph_address(stores.addresses)}; local data, if any, is under {settings.daemon.state_dir}."
        )
        print_lines([summary])
    if any(isinstance(error, Unavailable | RateLimited | Paused) for _, error in outcome.failed):
        return 3
    return 1 if outcome.failed else 0


async def _reports(
    stores: Stores, refs: Sequence[PackageRef], outcome: IngestOutcome, unknown: Mapping[str, str]
) -> list[tuple[PackageRef, PackageReport]]:
    """Return what the graph now says of each package that was stored, in the order in which they were asked for."""
    from securechain_ingest.registries import named_package
    from securechain_ingest.reports.package import read_package

    stored = [named_package(outcome.stored[ref.purl]) for ref in refs if ref.purl in outcome.stored]
    return [
        (
            ref,
            await read_package(
                stores.graph.reader,
                stores.advisories,
                stores.changes,
                ref,
                None,
                is_rated=ref.ecosystem.osv is not None and ref.ecosystem.osv not in unknown,
            ),
        )
        for ref in stored
    ]


def _print_reports(reports: Sequence[tuple[PackageRef, PackageReport]], unknown: Mapping[str, str]) -> None:
    from rich.console import Console

    from securechain_ingest.cli.report_text import report_lines
    from securechain_ingest.runs import utc_now

    output = Console(highlight=False, soft_wrap=True)
    for ref, report in reports:
        why = unknown.get(ref.ecosystem.osv or "", "unknown")
        for line in report_lines(report, width=output.width, now=utc_now(), unknown=why):
            output.print(line)
        output.print()
