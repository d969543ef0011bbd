"""The commands `snapshot export|import|verify|offline` bring the graph, its advisories and its cursors to another
installation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from securechain_ingest.cli.options import ConfigOption, JsonOption, StateDirOption, load_settings, run_async
from securechain_ingest.cli.output import print_json
from securechain_ingest.cli.progress import progress_bar
from securechain_ingest.configuration import Settings

if TYPE_CHECKING:
    from rich.progress import Progress

    from securechain_ingest.snapshot.manifest import Kind, SnapshotManifest

app = typer.Typer(help="The graph, its advisories and its cursors as files, out and in.", no_args_is_help=True)

_COUNTED: Final[Mapping[Kind, str]] = {
    "packages": "packages",
    "versions": "versions",
    "require": "requirements",
    "absent": "absent packages",
    "awaited_by": "waiting requirements",
    "advisories": "advisories",
}
"""These rows are shown, under these words."""

FolderArgument = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of the snapshot.")]


@app.command("export")
def export_command(
    folder: FolderArgument, config: ConfigOption = None, state_dir: StateDirOption = None, as_json: JsonOption = False
) -> None:
    """Write a snapshot into a new folder. Daemons may go on meanwhile.

    The queue, users, repositories and requirement files stay out.
    """
    from securechain_ingest.snapshot.folder import prepare

    settings = load_settings(config, state_dir)
    prepare(folder)
    with progress_bar() as (progress, _):
        manifest = run_async(_export(settings, folder, progress))
    _print(manifest, folder, "exported", as_json=as_json)


@app.command("import")
def import_command(
    folder: FolderArgument,
    after_offline: Annotated[
        bool, typer.Option(help="Neo4j's own tool has imported the tables (`snapshot offline`): bring in the rest.")
    ] = False,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring a snapshot into an empty graph. An interrupted import goes on where it stopped.

    The daemon must not run meanwhile. When it is started again, it follows the registries from the snapshot's cursors.
    """
    settings = load_settings(config, state_dir)
    with progress_bar() as (progress, _):
        manifest = _verified(folder, progress)
        run_async(_import(settings, folder, manifest, progress, after_offline=after_offline))
    _print(manifest, folder, "imported", as_json=as_json)


@app.command("verify")
def verify_command(folder: FolderArgument, as_json: JsonOption = False) -> None:
    """Compare the files of a snapshot with its manifest. No store is asked."""
    with progress_bar() as (progress, _):
        manifest = _verified(folder, progress)
    _print(manifest, folder, "whole", as_json=as_json)


@app.command("offline")
def offline_command(
    folder: FolderArgument,
    database: Annotated[str, typer.Option(metavar="NAME", help="The database of Neo4j.")] = "neo4j",
) -> None:
    """Print the command by which Neo4j's own tool imports the tables while its server is stopped.

    That is many times faster than `snapshot import`, which has to follow it with --after-offline.
    """
    from securechain_ingest.registries import ECOSYSTEMS
    from securechain_ingest.snapshot.manifest import read_manifest
    from securechain_ingest.snapshot.offline import offline_command as command_of
    from securechain_ingest.snapshot.offline import shell_line

    ecosystems = {ecosystem.name: ecosystem for ecosystem in ECOSYSTEMS}
    typer.echo(shell_line(command_of(read_manifest(folder), folder, ecosystems, database)))
    typer.echo(
        "stop Neo4j before this command (a database that exists needs --overwrite-destination, which deletes it);"
        f" then start Neo4j and run: securechain-ingest snapshot import {folder} --after-offline",
        err=True,
    )


async def _export(settings: Settings, folder: Path, progress: Progress) -> SnapshotManifest:
    from securechain_ingest.oneshot import find_stores
    from securechain_ingest.registries import ECOSYSTEMS
    from securechain_ingest.snapshot.export import export

    opening = progress.add_task("opening the stores", total=None)
    async with find_stores(settings, may_begin=False) as stores:
        progress.remove_task(opening)
        counts = await stores.graph.counts(ECOSYSTEMS)
        total = sum(counts[ecosystem.name] for ecosystem in ECOSYSTEMS)
        bars = {"packages": progress.add_task("packages", total=total)}

        def report(what: str, count: int) -> None:
            if what not in bars:
                bars[what] = progress.add_task(what, total=None)
            progress.advance(bars[what], count)

        return await export(stores, ECOSYSTEMS, settings.queue, settings.graph, folder, report)


def _verified(folder: Path, progress: Progress) -> SnapshotManifest:
    from securechain_ingest.snapshot.load import verify
    from securechain_ingest.snapshot.manifest import read_manifest

    bar = progress.add_task("comparing digests", total=sum(part.bytes for part in read_manifest(folder).parts))
    return verify(folder, lambda count: progress.advance(bar, count))


async def _import(
    settings: Settings, folder: Path, manifest: SnapshotManifest, progress: Progress, *, after_offline: bool
) -> None:
    from securechain_ingest.oneshot import find_stores
    from securechain_ingest.registries import ECOSYSTEMS
    from securechain_ingest.snapshot.load import SnapshotImport

    bar = progress.add_task("opening the stores", total=None)
    ecosystems = {ecosystem.name: ecosystem for ecosystem in ECOSYSTEMS}
    async with find_stores(settings) as stores:
        work = SnapshotImport(stores, ecosystems, settings.queue, folder, manifest, has_graph=after_offline)
        progress.update(bar, description="rows", total=sum(part.rows for part in work.parts))
        await work.run(lambda count: progress.advance(bar, count))


def _print(manifest: SnapshotManifest, folder: Path, word: str, *, as_json: bool) -> None:
    rows = {kind: manifest.rows(kind) for kind in _COUNTED}
    summary: dict[str, Any] = {
        "id": manifest.id,
        "made_at": manifest.made_at,
        "rows": rows,
        "cursors": len(manifest.cursors),
        "bytes": sum(part.bytes for part in manifest.parts),
        "left_out": dict(manifest.left_out),
    }
    if as_json:
        print_json(summary)
        return
    typer.echo(f"{folder} is {word}: the snapshot of {manifest.made_at}")
    for kind, words in _COUNTED.items():
        typer.echo(f"{words:21} {rows[kind]:>13,}")
    typer.echo(f"{'cursors':21} {len(manifest.cursors):>13,}")
    for name, count in manifest.left_out.items():
        typer.echo(f"left out, since no table can hold them: {count:,} {name.replace('_', ' ')}")
