"""Each event is one structured line, for people (console) or for programs (json); records of other libraries become
such lines, too."""

from __future__ import annotations

import logging
import os
import socket
import sys
from typing import Final, Literal, TextIO

import structlog

from securechain_ingest import __version__
from securechain_ingest.printable import printable

_WHERE_FROM: Final = {"host": socket.gethostname(), "version": __version__}

_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configure(log_format: Literal["console", "json"], level: str, stream: TextIO | None = None) -> None:
    """Send every record to `stream` (standard output by default), one line each.

    Lines for programs also say which host and which release they come from. Lines for people have colours on a
    terminal, unless the variable NO_COLOR is set (https://no-color.org).
    """
    stream = stream or sys.stdout
    renderers: list[structlog.typing.Processor] = (
        [_where_from, structlog.processors.JSONRenderer()]
        if log_format == "json"
        else [_printable, structlog.dev.ConsoleRenderer(colors=stream.isatty() and not os.environ.get("NO_COLOR"))]
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _one_line,
                *renderers,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    set_level(level)


def set_level(level: str) -> None:
    """Change the level of a running process. Other libraries log only warnings and what is more severe."""
    logging.getLogger().setLevel(logging.WARNING if level != "error" else logging.ERROR)
    logging.getLogger("securechain_ingest").setLevel(level.upper())


def _where_from(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return {**event, **_WHERE_FROM}


def _printable(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Keep a terminal from obeying what strangers have written; lines for programs have it escaped."""
    return {key: printable(value) if isinstance(value, str) else value for key, value in event.items()}


def _one_line(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Keep a traceback or a text of several lines within the line of its event."""
    return {
        key: " | ".join(value.split("\n")) if isinstance(value, str) and "\n" in value else value
        for key, value in event.items()
    }
