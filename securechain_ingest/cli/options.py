"""What commands share: the configuration file, loading settings, names on the command line, running async code."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from securechain_ingest.configuration import CONFIG_VARIABLE, Settings, load

T = TypeVar("T")

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help=f"Configuration file; config.toml if there is one. [{CONFIG_VARIABLE}]"
    ),
]
StateDirOption = Annotated[
    Path | None,
    typer.Option("--state-dir", metavar="DIR", help="Local servers' data and run-time files. [SECURECHAIN_STATE_DIR]"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]

_config_file: Path | None = None


def remember_config_file(path: Path | None) -> None:
    """`--config` is understood before the command as well as after it."""
    global _config_file  # noqa: PLW0603 - one command line a process
    _config_file = path


def load_settings(
    config: Path | None, state_dir: Path | None = None, flags: Mapping[tuple[str, str], tuple[str, Any]] | None = None
) -> Settings:
    """The settings under this command's flags. Raises ConfigError."""
    return load(config or _config_file, flags={("daemon", "state_dir"): ("--state-dir", state_dir), **(flags or {})})


def run_async(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine in a fresh event loop."""
    import asyncio

    return asyncio.run(coroutine)
