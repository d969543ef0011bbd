"""The command `schema` prints what the messages and the graph consist of, for programs."""

from __future__ import annotations

import json

import typer

app = typer.Typer(help="What messages and the graph consist of, as JSON.", no_args_is_help=True)


@app.command("message")
def message_command() -> None:
    """Print the JSON Schema of a message, which accepts what the daemon accepts."""
    from securechain_ingest.schemas import message_schema

    typer.echo(json.dumps(message_schema(), indent=2))


@app.command("graph")
def graph_command() -> None:
    """Print the labels, properties, relationships, constraints and indexes of the graph."""
    from securechain_ingest.schemas import graph_schema

    typer.echo(json.dumps(graph_schema(), indent=2))
