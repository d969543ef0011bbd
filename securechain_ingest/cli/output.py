"""This module prints what commands answer: one JSON value, or text that fits the terminal.

What strangers have written is printed without characters that a terminal would obey; JSON has it as it is. Where
standard output is no terminal, a row stays one line, however long it is, so that other tools can take it apart.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import typer

from securechain_ingest.printable import printable

_NARROWEST = 20


def print_json(value: Any) -> None:
    """Print the one value that a command answers with `--json`."""
    typer.echo(json.dumps(value, indent=2))


def print_lines(lines: Iterable[str]) -> None:
    """Print each line; one that is wider than the terminal goes on below, indented."""
    width = terminal_width()
    for line in map(printable, lines):
        typer.echo(line if width is None else _wrapped(line, width))


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; if it is wider than the terminal, print each row as a block of lines instead.

    The first column names the row.
    """
    width = terminal_width()
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(heads, *rows, strict=True)]
    if width is None or sum(widths) + 2 * len(widths) - 2 <= width:
        for row in (heads, *rows):
            typer.echo("  ".join(cell.ljust(length) for cell, length in zip(row, widths, strict=True)).rstrip())
        return
    for row in rows:
        typer.echo(_wrapped(row[0], width))
        for head, cell in zip(heads[1:], row[1:], strict=True):
            if cell:
                typer.echo(_wrapped(f"  {head}: {cell}", width))


def tell_left_out(title: str, left_out: Collection[str]) -> None:
    """Name on standard error what a command leaves out of what it was given, if there is anything."""
    if left_out:
        typer.echo(printable(f"{title}: {', '.join(left_out)}"[:500]), err=True)


def terminal_width() -> int | None:
    """Return the width in characters: COLUMNS, or that of the terminal. It is None if there is neither."""
    if (columns := os.environ.get("COLUMNS", "")).isdecimal() and int(columns) > 0:
        return max(_NARROWEST, int(columns))
    return max(_NARROWEST, shutil.get_terminal_size().columns) if sys.stdout.isatty() else None


def _wrapped(line: str, width: int) -> str:
    indent = len(line) - len(line.lstrip(" ")) + 2
    return textwrap.fill(
        line,
        width,
        subsequent_indent=" " * indent,
        break_on_hyphens=False,
        drop_whitespace=True,
        replace_whitespace=False,
    )
