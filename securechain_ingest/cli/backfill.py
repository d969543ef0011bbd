"""The command `backfill` reads now what packages of the graph lack."""

from __future__ import annotations

import sys
import time
from collections import Counter
from typing import Annotated

import typer

from securechain_ingest.cli import words
from securechain_ingest.cli.options import ConfigOption, JsonOption, StateDirOption, load_settings, run_async
from securechain_ingest.cli.output import print_json
from securechain_ingest.configuration import Settings
from securechain_ingest.model import Ecosystem

app = typer.Typer(help="Read what packages of the graph lack.", no_args_is_help=True)


@app.command("import-names")
def import_names_command(
    ecosystem: Annotated[str, typer.Argument(help=words.ONE_ECOSYSTEM, autocompletion=words.ecosystems)],
    older_than: Annotated[
        int, typer.Option(min=0, metavar="N", help="Also packages whose names a parser before version N has read.")
    ] = 0,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Stop after that many packages.")] = None,
    restart: Annotated[bool, typer.Option(help="Begin again, not where an interrupted one has stopped.")] = False,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read the import names of packages that have none, or only a fallback after a failure.

    Nothing else of the packages is changed.
    An interrupted backfill goes on where it stopped when it is started again.
    The exit code is 1 if some of the packages failed; the next complete backfill tries those again.
    """
    from securechain_ingest.registries import declaration_of

    chosen = declaration_of(ecosystem).ecosystem
    if older_than > chosen.import_names_version:
        raise typer.BadParameter(
            f"the parser of {chosen.name} is of version {chosen.import_names_version}", param_hint="--older-than"
        )
    settings = load_settings(config, state_dir)
    counts: Counter[str] = Counter()
    started_at = time.monotonic()
    try:
        run_async(_backfill(settings, chosen.label, older_than, limit, restart, counts))
    except BaseException:
        # The user pressed Ctrl-C, or a store is gone: the summary so far is printed all the same.
        if counts:
            _print(chosen, counts, time.monotonic() - started_at, as_json)
            typer.echo("interrupted: the same command goes on from here", err=True)
        raise
    _print(chosen, counts, time.monotonic() - started_at, as_json)
    if counts["download_errors"] + counts["parse_errors"]:
        raise typer.Exit(1)


async def _backfill(
    settings: Settings, label: str, older_than: int, limit: int | None, restart: bool, counts: Counter[str]
) -> None:
    from securechain_ingest import log
    from securechain_ingest.cli.progress import progress_bar
    from securechain_ingest.http.priority import Priority, prioritised
    from securechain_ingest.jobs.backfill import Backfill, BackfillOutcome, Position
    from securechain_ingest.oneshot import find_stores
    from securechain_ingest.queue.keys import Keys
    from securechain_ingest.service import build_service

    with progress_bar() as (progress, _):
        # While the bar is shown, it replaces standard error by one that prints log lines above the bar.
        log.configure(settings.daemon.log_format, "warning", sys.stderr)
        bar = progress.add_task("opening the stores", total=None)

        def report(kind: BackfillOutcome) -> None:
            counts[kind] += 1
            progress.advance(bar)

        async with (
            find_stores(settings) as stores,
            build_service(stores, settings, lambda: 0) as service,
        ):
            registry = service.registries[label]
            walk = f"import-names {registry.ecosystem.name} {older_than}"
            backfills = Keys(settings.queue.stream).backfills
            positions = [Position(stores.redis, backfills, each) for each in (f"{walk} pending", walk)]
            if restart:
                for each in positions:
                    await each.forget()
            backfill = Backfill(
                stores.graph,
                registry,
                service.import_names,
                stores.changes,
                *positions,
                older_than=older_than,
                concurrency=settings.workers[registry.ecosystem.name],
                why_stopped=service.why_stopped,
                report=report,
            )
            # How many there are nobody knows without a look at every package.
            progress.update(bar, description="packages", total=limit)
            # Somebody waits at the terminal, so all parsers may be used.
            with prioritised(Priority(is_urgent=True)):
                await backfill.run(limit)


def _print(ecosystem: Ecosystem, counts: Counter[str], time_s: float, as_json: bool) -> None:
    total = counts.total()
    summary = {
        "ecosystem": ecosystem.name,
        "parser_version": ecosystem.import_names_version,
        "found": counts["found"],
        "without_names": counts["without_names"],
        "download_errors": counts["download_errors"],
        "parse_errors": counts["parse_errors"],
        "total": total,
        "time_s": round(time_s, 2),
        "average_s": round(time_s / total, 3) if total else None,
    }
    if as_json:
        print_json(summary)
        return
    for key, value in summary.items():
        typer.echo(f"{key.removesuffix('_s').replace('_', ' '):16} {'-' if value is None else value}")
