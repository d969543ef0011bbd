"""The command `import-names` reads the names in archives on disk, in the same guarded process pool as the daemon."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from securechain_ingest.cli import words
from securechain_ingest.cli.options import ConfigOption, JsonOption, load_settings, run_async
from securechain_ingest.cli.output import print_json


def command(
    ecosystem: Annotated[str, typer.Argument(help=words.ONE_ECOSYSTEM, autocompletion=words.ecosystems)],
    files: Annotated[list[Path], typer.Argument(help=words.ARCHIVES)],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the import names that each archive gives. The exit code is 1 if one of them could not be read."""
    from securechain_ingest.registries import declaration_of

    registry = declaration_of(ecosystem).registry()
    settings = load_settings(config)
    results: list[dict[str, Any]] = []

    async def extract() -> None:
        from securechain_ingest.archives.pool import ParserPool
        from securechain_ingest.errors import IngestError

        async with ParserPool(settings.archives) as pool:
            for file in files:
                names: tuple[str, ...] = ()
                error = None
                try:
                    if not file.is_file():
                        error = "no such file"
                    else:
                        found = await pool.run(registry.archive_names, str(file), file.name, pool.limits)
                        names, error = found.names, found.error
                except IngestError as refused:
                    error = str(refused)
                results.append({"file": str(file), "names": names, "error": error})
                if not as_json:
                    _print(file, names, error)

    run_async(extract())
    if as_json:
        print_json(results)
    if any(result["error"] is not None for result in results):
        raise typer.Exit(1)


def _print(file: Path, names: tuple[str, ...], error: str | None) -> None:
    typer.echo(f"{file}: {error}" if error else f"{file}: {len(names)} names")
    for name in names:
        typer.echo(f"  {name}")
