"""A report in a terminal: narrow or wide, and whatever strangers have written into it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from securechain_ingest.cli.report_text import report_lines
from securechain_ingest.graph.view import PackageView, RequirementView, RequiringVersions, VersionView
from securechain_ingest.reports.package import PackageReport
from securechain_ingest.reports.vulnerabilities import Vulnerability

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
OLD = VersionView("1.0", "pkg:pypi/left@1.0", 0, "2025-01-01T00:00:00Z", 9.8, ("GHSA-1",))
NEW = VersionView("2.0", "pkg:pypi/left@2.0", 1, None, 0.0, ())
PACKAGE = PackageView(
    "pkg:pypi/left",
    "left",
    "n/a",
    "n/a",
    NOW - timedelta(hours=3),
    None,
    ("left", "left.right"),
    None,
    None,
    (OLD, NEW),
)
WORST = Vulnerability(("GHSA-1", "CVE-1"), "critical", 9.8, ("1.0",), ("2.0",), "Something [bold]bad[/bold]")
REPORT = PackageReport(
    package=PACKAGE,
    version=NEW,
    is_asked=False,
    vulnerabilities=(WORST,),
    requires=(RequirementView("pkg:pypi/right", ">= 1", False),),
    required_by=RequiringVersions(0, ()),
)


def text_of(report: PackageReport, width: int = 80) -> str:
    return "\n".join(line.plain for line in report_lines(report, width=width, now=NOW))


def test_a_report_answers_is_it_vulnerable_and_what_to_do() -> None:
    text = text_of(REPORT)
    assert "checked 3 hours ago" in text
    assert "1 known vulnerability in 1 of 2 versions; the newest, 2.0, is not affected" in text
    assert "CRITICAL 9.8  GHSA-1 (CVE-1)" in text
    assert "1 version, fixed in 2.0" in text
    assert "Something [bold]bad[/bold]" in text
    assert "pkg:pypi/right >= 1  (not in the graph yet)" in text
    assert "no versions require it" in text


def test_what_was_never_looked_up_is_unknown_and_what_was_not_read_is_not_nothing() -> None:
    text = text_of(replace(REPORT, vulnerabilities=None, requires=None))
    assert "vulnerabilities: in 1 version at least, of the rest unknown" in text
    assert "2.0 requires: not read yet" in text


@pytest.mark.parametrize("width", [20, 60, 400])
def test_no_line_is_wider_than_the_terminal_or_than_eyes_can_follow(width: int) -> None:
    long = replace(WORST, summary="word " * 40, ids=tuple(f"CVE-2026-{number}" for number in range(20)))
    text = text_of(replace(REPORT, vulnerabilities=(long,)), width)
    assert max(map(len, text.splitlines())) <= max(40, min(width, 110))


def test_characters_that_a_terminal_obeys_are_not_shown() -> None:
    hostile = replace(PACKAGE, import_names=("x\x1b[2Jy\u202e",), vendor="\x07bell")
    text = text_of(replace(REPORT, package=hostile))
    assert all(character.isprintable() for line in text.splitlines() for character in line)


def test_a_version_that_was_asked_for_is_shown_alone() -> None:
    text = text_of(replace(REPORT, version=OLD, is_asked=True))
    assert text.startswith("pkg:pypi/left@1.0")
    assert "this version 1.0 of 2025-01-01" in text
    assert "fixed in 2.0" in text
