"""The command `schema` prints what the messages and the graph consist of, for programs."""

from __future__ import annotations

import typer

from securechain_ingest.cli.output import print_json

app = typer.Typer(help="What messages and the graph consist of, as JSON.", no_args_is_help=True)


@app.command("message")
def message_command() -> None:
    """Print the JSON Schema of a message, which accepts what the daemon accepts."""
    from securechain_ingest.schemas import message_schema

    print_json(message_schema())


@app.command("graph")
def graph_command() -> None:
    """Print the labels, properties, relationships, constraints and indexes of the graph."""
    from securechain_ingest.schemas import graph_schema

    print_json(graph_schema())
