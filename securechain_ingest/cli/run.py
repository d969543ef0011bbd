"""The command `run` runs the daemon in the foreground."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from securechain_ingest.cli.options import ConfigOption, StateDirOption, load_settings, run_async
from securechain_ingest.configuration import twin_name


def _twin(section: str, key: str) -> str:
    return f"[{twin_name(section, key)}]"


def command(
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    log_format: Annotated[
        str | None, typer.Option(help=f"console or json. {_twin('daemon', 'log_format')}", metavar="FORMAT")
    ] = None,
    log_level: Annotated[
        str | None,
        typer.Option(help=f"debug, info, warning or error. {_twin('daemon', 'log_level')}", metavar="LEVEL"),
    ] = None,
) -> None:
    """Run the daemon until SIGTERM or Ctrl-C. On SIGHUP it reads the configuration again."""
    flags: dict[tuple[str, str], tuple[str, Any]] = {
        ("daemon", "log_format"): ("--log-format", log_format),
        ("daemon", "log_level"): ("--log-level", log_level),
    }

    ignored: list[str] = []
    settings = load_settings(config, state_dir, flags, warn=ignored.append)
    import structlog

    from securechain_ingest import daemon, log

    log.configure(settings.daemon.log_format, settings.daemon.log_level)
    logger = structlog.get_logger(__name__)

    def warn(line: str) -> None:
        logger.warning("setting_ignored", reason=line)

    for line in ignored:
        warn(line)
    run_async(daemon.run(settings, lambda: load_settings(config, state_dir, flags, warn=warn)))
