"""This tests lines of the log: for people and for programs."""

from __future__ import annotations

import io
import json
import logging
import socket
from collections.abc import Iterator

import pytest
import structlog

from securechain_ingest import __version__, log


class Terminal(io.StringIO):
    """This is what a terminal looks like to the log."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def configuration_of_others() -> Iterator[None]:
    """The log's configuration is the process's: it is as before after a test."""
    root, ours = logging.getLogger(), logging.getLogger("securechain_ingest")
    before = root.handlers, root.level, ours.level, structlog.get_config()
    yield
    root.handlers, root_level, our_level, config = before
    root.setLevel(root_level)
    ours.setLevel(our_level)
    structlog.configure(**config)


def line(log_format: str, stream: io.StringIO, **fields: object) -> str:
    log.configure("json" if log_format == "json" else "console", "info", stream)
    structlog.get_logger("securechain_ingest.tests").warning("something_happened", **fields)
    return stream.getvalue()


def test_a_line_for_programs_says_where_it_comes_from() -> None:
    event = json.loads(line("json", io.StringIO(), package="pkg:pypi/six"))
    assert (event["host"], event["version"]) == (socket.gethostname(), __version__)
    assert (event["event"], event["level"], event["package"]) == ("something_happened", "warning", "pkg:pypi/six")


def test_lines_have_colours_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in line("console", Terminal())
    assert "\x1b[" not in line("console", io.StringIO())


@pytest.mark.parametrize(("value", "has_colours"), [("1", False), ("", True)])
def test_no_color_takes_them_away(value: str, has_colours: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the rule of https://no-color.org they are taken away if the variable is there and not empty."""
    monkeypatch.setenv("NO_COLOR", value)
    assert ("\x1b[" in line("console", Terminal())) is has_colours


def test_a_terminal_does_not_obey_what_strangers_have_written() -> None:
    told = line("console", io.StringIO(), package="a\x1b[31m\u202eb\x9bc\x00", names=["\x1b]0;d\x07"])
    assert told.rstrip("\n").isprintable()
    stream = io.StringIO()
    log.configure("console", "info", stream)
    logging.getLogger("another").warning("said %s", "\x1b[2J")
    assert "said" in stream.getvalue()
    assert stream.getvalue().rstrip("\n").isprintable()
