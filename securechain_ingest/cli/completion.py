"""The command `completion` prints a script by which a shell completes commands and options."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated

import typer
from typer import completion

from securechain_ingest.cli.manual import PROGRAM

VARIABLE = f"_{PROGRAM.replace('-', '_').upper()}_COMPLETE"
"""A script sets this variable when it asks the program what may come next."""


class UserShell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def command(shell: Annotated[UserShell, typer.Argument(help="The shell that the script is for.")]) -> None:
    """Print a script that completes commands, options and their values.

    bash: add `source <(securechain-ingest completion bash)` to ~/.bashrc.
    zsh: write the output to a file `_securechain-ingest` in a folder of $fpath.
    fish: write it to ~/.config/fish/completions/securechain-ingest.fish.
    """
    typer.echo(
        completion.get_completion_script(  # type: ignore[attr-defined]
            prog_name=PROGRAM, complete_var=VARIABLE, shell=shell
        )
    )


def prepare() -> None:
    """Let typer answer a shell that asks by VARIABLE. It does nothing otherwise."""
    if VARIABLE in os.environ:
        completion.completion_init()  # type: ignore[attr-defined]
