"""The command `find` finds packages of the graph by an import name or by an advisory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from securechain_ingest.cli.options import ConfigOption, JsonOption, StateDirOption, load_settings, run_async
from securechain_ingest.cli.output import print_json
from securechain_ingest.configuration import Settings

if TYPE_CHECKING:
    from securechain_ingest.stores import Stores

app = typer.Typer(help="Packages of the graph, by an import name or by an advisory.", no_args_is_help=True)


@app.command("import")
def import_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Exactly as in code, such as requests.api or express.")],
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show which packages offer an import. The exit code is 1 if none does."""
    from securechain_ingest.reports.search import packages_offering

    settings = load_settings(config, state_dir)
    found = run_async(_found(settings, lambda stores: packages_offering(stores.graph.reader, name)))
    _print(found, as_json=as_json, none=f"no package of the graph offers {name}")


@app.command("advisory")
def advisory_command(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="Such as GHSA-h5c8-rqwp-cp95 or CVE-2024-22195.")],
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show which packages of the graph have a version that an advisory affects. The exit code is 1 if none has."""
    from securechain_ingest.reports.search import packages_affected

    settings = load_settings(config, state_dir)
    found = run_async(
        _found(settings, lambda stores: packages_affected(stores.graph.reader, stores.advisories, identifier))
    )
    _print(found, as_json=as_json, none=f"{identifier} affects no version in the graph")


async def _found(settings: Settings, search: Callable[[Stores], Awaitable[list[str]]]) -> list[str]:
    from securechain_ingest.oneshot import find_stores

    async with find_stores(settings, may_begin=False) as stores:
        return await search(stores)


def _print(found: list[str], *, as_json: bool, none: str) -> None:
    if as_json:
        print_json(found)
    else:
        for purl in found:
            typer.echo(purl)
    if not found:
        typer.echo(f"securechain-ingest: {none}", err=True)
        raise typer.Exit(1)
