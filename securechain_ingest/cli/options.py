"""This module has what the commands share: common options, loading the settings and running async code."""

from __future__ import annotations

import difflib
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from securechain_ingest.configuration import CONFIG_VARIABLE, Settings, load
from securechain_ingest.ecosystem_settings import JOBS

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from securechain_ingest.model import PackageRef

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
    """Remember the file of `--config` before the command: the option may stand before or after the command."""
    global _config_file  # noqa: PLW0603 - one command line a process
    _config_file = path


def _warn(line: str) -> None:
    typer.echo(f"securechain-ingest: {line}", err=True)


def load_settings(
    config: Path | None,
    state_dir: Path | None = None,
    flags: Mapping[tuple[str, str], tuple[str, Any]] | None = None,
    warn: Callable[[str], None] = _warn,
) -> Settings:
    """Return the settings; a command's `flags` override them. `warn` is called for ignored keys. Raises ConfigError."""
    all_flags = {("daemon", "state_dir"): ("--state-dir", state_dir), **(flags or {})}
    return load(config or _config_file, flags=all_flags, warn=warn)


def run_async(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine in a new event loop, and return its result.

    Unless the command has set up the log itself, errors alone are logged, on standard error: what stands on standard
    output is the command's answer.
    """
    import asyncio

    import structlog

    if not structlog.is_configured():
        from securechain_ingest import log

        log.configure("console", "error", sys.stderr)
    with asyncio.Runner() as runner:
        runner.get_loop()
        # From here on a Ctrl-C cancels the command, which ends in order; before, it ended the process.
        if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return runner.run(coroutine)


def run_with_redis(settings: Settings, work: Callable[[Redis], Awaitable[T]]) -> T:
    """Run `work` with the Redis of the configuration or of a running daemon, and return its result.

    ConfigError and StoreError are raised.
    """
    from securechain_ingest.cli.answers import for_answers
    from securechain_ingest.drivers.redis_connection import connect as connect_redis
    from securechain_ingest.drivers.redis_errors import store_errors
    from securechain_ingest.store_addresses import REDIS, of_running_daemon

    async def connected() -> T:
        addresses = of_running_daemon(settings, frozenset({REDIS}))
        async with connect_redis(addresses.redis_url or "", for_answers(settings).redis.timeout_s) as redis:
            with store_errors():
                return await work(redis)

    return run_async(connected())


def named_packages(names: Iterable[str]) -> dict[str, PackageRef]:
    """Return each package once, by the name that was typed for it. It raises InvalidName.

    A version behind a name is left out, which is told on standard error: a package is read with all its versions.
    """
    from securechain_ingest.cli.output import tell_left_out
    from securechain_ingest.registries.naming import named_version

    found = {name: named_version(name) for name in names}
    versioned = [name for name, (_, version) in found.items() if version is not None]
    tell_left_out("packages are meant as a whole, without the version", versioned)
    typed: dict[str, str] = {}
    for name, (ref, _) in found.items():
        typed.setdefault(ref.purl, name)
    return {name: found[name][0] for name in typed.values()}


def known_job(name: str, param_hint: str) -> str:
    """Return the name if it is the name of a job.

    Otherwise typer.BadParameter is raised. It suggests a similar job, or names all jobs if none is similar.
    """
    if name in JOBS:
        return name
    near = difflib.get_close_matches(name, JOBS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(JOBS)}"
    raise typer.BadParameter(f"{name} is no job; {hint}", param_hint=param_hint)
