"""Levels mean something: docs/operations.md says of every event from `info` upwards what it means."""

from __future__ import annotations

import re

import pytest

from tests.reference import DOCS
from tests.reference.events import events, fields

PAGE = (DOCS / "operations.md").read_text()


def rows(title: str) -> list[str]:
    section = PAGE.split(f"\n### {title}\n")[1].split("\n### ")[0].split("\n## ")[0]
    return [name for line in section.splitlines() for name in re.findall(r"`([a-z_]+)`", line.split(" | ")[0])]


def of(level: str) -> set[str]:
    return {event for event, levels in events().items() if level in levels}


@pytest.mark.parametrize(("title", "level"), [("Errors", "error"), ("Warnings", "warning"), ("Information", "info")])
def test_every_event_of_a_level_that_is_shown_is_explained(title: str, level: str) -> None:
    assert len(rows(title)) == len(set(rows(title)))
    assert set(rows(title)) == of(level), f"docs/operations.md, {title}, has another list than the code"


def test_no_event_uses_the_fields_that_say_where_a_line_comes_from() -> None:
    """`version` and `host` are the daemon's own in every line for programs."""
    assert {event for event, name in fields() if name in {"host", "version"}} <= {"daemon_starting", "daemon_ready"}
