"""`check-config`: what the daemon would run with."""

from __future__ import annotations

import json

import typer

from securechain_ingest.cli.options import ConfigOption, JsonOption, load_settings
from securechain_ingest.configuration import without_credentials


def command(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Validate the configuration and print every setting in force, secrets and credentials in URLs masked."""
    settings = load_settings(config)
    tree = without_credentials(settings.model_dump(mode="json"))
    if as_json:
        typer.echo(json.dumps(tree, indent=2))
        return
    for section, values in tree.items():
        typer.echo(f"[{section}]")
        for key, value in values.items():
            shown = "(not set)" if value is None else json.dumps(value)
            typer.echo(f"{key} = {shown}")
        typer.echo("")
    typer.echo("The configuration is valid.")
