"""The command `check-config` prints the settings that the daemon would run with."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from securechain_ingest.cli.options import ConfigOption, JsonOption, load_settings
from securechain_ingest.cli.output import print_json
from securechain_ingest.configuration import defaults, without_credentials


def command(
    config: ConfigOption = None,
    only_defaults: Annotated[
        bool, typer.Option("--defaults", help="Print config.toml's tables with every default, and check nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Validate the configuration and print every setting in force. Secrets and credentials in URLs are masked."""
    settings = defaults() if only_defaults else load_settings(config)
    tree = without_credentials(settings.model_dump(mode="json"))
    if as_json:
        print_json(tree)
        return
    bases = without_credentials(settings.endpoints.bases())
    for table, values in tree.items():
        typer.echo(f"[{table}]")
        for key, value in values.items():
            if value is not None:
                typer.echo(_line(key, value))
            elif table == "endpoints":
                # It lies below another endpoint; config.toml has it as a comment, too.
                typer.echo(f"# {_line(key, bases[key])}")
            else:
                typer.echo(f"# {key} is not set")
        typer.echo("")
    if not only_defaults:
        typer.echo("The configuration is valid.")


def _line(key: str, value: Any) -> str:
    """Return a setting as a line of config.toml. JSON's strings, numbers, booleans and lists are valid TOML, too."""
    return f"{key} = {json.dumps(value)}"
