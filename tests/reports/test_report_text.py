"""This tests a report in a terminal: narrow or wide, and whatever strangers have written into it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from securechain_ingest.cli.report_text import report_lines
from securechain_ingest.graph.view import PackageView, RequirementView, RequiringVersions, VersionView
from securechain_ingest.reports.package import PackageReport, ReleaseChange
from securechain_ingest.reports.vulnerabilities import Vulnerability
from securechain_ingest.worker.release_changes import KeptNames
from tests.graph.builders import PYPI

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
    ecosystem=PYPI,
    package=PACKAGE,
    version=NEW,
    is_asked=False,
    vulnerabilities=(WORST,),
    vulnerability_counts={"1.0": 1},
    requires=(RequirementView("pkg:pypi/right", ">= 1", False),),
    required_by=RequiringVersions(0, ()),
    release_change=None,
)


def text_of(report: PackageReport, width: int = 80) -> str:
    return "\n".join(line.plain for line in report_lines(report, width=width, now=NOW))


def test_a_report_answers_is_it_vulnerable_and_what_to_do() -> None:
    text = text_of(REPORT)
    assert "checked 3 hours ago" in text
    assert "1 known vulnerability in 1 of 2 versions; the newest, 2.0, is not affected" in text
    assert "CRITICAL 9.8  GHSA-1 (CVE-1)" in text
    assert "1 version (1.0), fixed in 2.0" in text
    assert "Something [bold]bad[/bold]" in text
    assert "pkg:pypi/right >= 1  (not in the graph yet)" in text
    assert "no versions require it" in text


def test_a_report_tells_which_versions_are_vulnerable_with_the_newest_first() -> None:
    yanked = replace(OLD, name="1.5", serial_number=1, yanked=True, release_date=None)
    versions = (OLD, yanked, replace(NEW, serial_number=2))
    worst = replace(WORST, affected_versions=("1.0", "1.5"))
    counts = {"1.0": 2, "1.5": 1}
    report = replace(REPORT, package=replace(PACKAGE, versions=versions), vulnerability_counts=counts)
    text = text_of(replace(report, vulnerabilities=(worst,)))
    assert "2 versions (1.0 to 1.5), fixed in 2.0" in text
    listed = text.split("3 versions, the newest first\n")[1].splitlines()
    assert listed[:3] == [
        "  2.0 of an unknown date: no known vulnerabilities",
        "  1.5 of an unknown date: 1 known vulnerability, yanked",
        "  1.0 of 2025-01-01: 2 known vulnerabilities",
    ]
    assert "  1.0 of 2025-01-01\n" in text_of(replace(report, vulnerabilities=None))


def test_one_version_is_no_plural() -> None:
    text = text_of(replace(REPORT, package=replace(PACKAGE, versions=(NEW,))))
    assert "1 version, the newest 2.0 of an unknown date" in text


def test_what_was_never_looked_up_is_unknown_and_what_was_not_read_is_not_nothing() -> None:
    text = text_of(replace(REPORT, vulnerabilities=None, requires=None))
    assert "vulnerabilities: in 1 version at least, of the rest unknown" in text
    assert "2.0 requires: not read yet" in text


def test_of_an_ecosystem_that_osv_does_not_have_the_reason_is_told() -> None:
    text = text_of(replace(REPORT, ecosystem=replace(PYPI, osv=None), vulnerabilities=None))
    assert "of the rest unknown: OSV does not have this ecosystem" in " ".join(text.split())


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


def test_a_report_tells_which_import_names_the_newest_release_has_taken_away() -> None:
    names = KeptNames("1.0", ("left.new",), tuple(f"left.old{number:02}" for number in range(12)))
    text = text_of(replace(REPORT, release_change=ReleaseChange("2.0", "1.0", 1, 1_200, names)))
    assert "2.0 against 1.0: 1,200 import names taken away, 1 added" in text
    assert "  - left.old00\n" in text
    assert "  … and 1,190 more\n" in text
    assert text.endswith("  + left.new")


def test_a_report_says_if_a_release_changes_no_import_name_or_if_the_names_are_missing() -> None:
    same = ReleaseChange("2.0", "1.0", 0, 0, KeptNames("1.0", (), ()))
    assert "2.0 against 1.0: the same import names" in text_of(replace(REPORT, release_change=same))
    lost = ReleaseChange("2.0", "1.0", 1, 0, None)
    assert "MongoDB does not have the names" in text_of(replace(REPORT, release_change=lost))
