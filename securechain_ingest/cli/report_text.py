"""This module writes a package's report as lines for a terminal.

Strangers have written the texts that are shown. So characters that a terminal would obey are replaced.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

from rich.text import Text

from securechain_ingest.graph.view import VersionView
from securechain_ingest.jobs.first_advisories import NOT_IN_OSV
from securechain_ingest.printable import printable
from securechain_ingest.reports.package import PackageReport, ReleaseChange, vulnerable_versions
from securechain_ingest.reports.vulnerabilities import Vulnerability
from securechain_ingest.times import in_words

_SHOWN: Final = 10
"""At most so many entries of each list are shown. Vulnerabilities are all shown, and --json has every entry."""

_NARROWEST, _WIDEST = 40, 110

_STYLES: Final = {"malware": "bold white on red", "critical": "bold red", "high": "red", "medium": "yellow"}


def report_lines(report: PackageReport, *, width: int, now: datetime, unknown: str = "unknown") -> Iterator[Text]:
    """Yield the lines of a report: the package, its age, vulnerabilities, requirements, dependents and import names.

    `width` is in characters, and is kept between 40 and 110. `now` is aware. The text `unknown` stands in place of the
    vulnerabilities if the ecosystem's advisories were not read.
    """
    width = max(_NARROWEST, min(width, _WIDEST))
    package, version = report.package, report.version
    yield Text(printable(version.purl if report.is_asked else package.purl), style="bold")
    yield from _wrapped(
        f"checked {in_words(now - package.checked_at)} ago ({package.checked_at:%Y-%m-%d %H:%M} UTC)", width
    )
    if package.removed_at is not None:
        yield Text(f"the registry has it no more since {package.removed_at:%Y-%m-%d}", style="yellow")
    yield from _wrapped(f"licence {package.license or 'unknown'}, vendor {package.vendor}", width)
    yield from _wrapped(f"repository {package.repository_url}", width)
    counted = _counted(len(package.versions), "version", "versions")
    named = "this version" if report.is_asked else f"{counted}, the newest"
    flags = f" ({', '.join(_flags(version))})" if _flags(version) else ""
    yield from _wrapped(f"{named} {version.name} of {_date(version)}{flags}", width)
    yield Text()
    yield from _vulnerability_lines(report, width, unknown)
    yield Text()
    if not report.is_asked:
        yield from _version_lines(report, width)
        yield Text()
    yield from _requirement_lines(report, width)
    yield Text()
    yield from _titled(
        _counted(report.required_by.count, "version requires it", "versions require it"),
        report.required_by.first,
        report.required_by.count,
        width,
    )
    yield Text()
    yield from _titled(
        _counted(len(package.import_names), "import name", "import names"),
        package.import_names,
        len(package.import_names),
        width,
    )
    if package.import_names_error:
        yield from _wrapped(package.import_names_error, width, indent=2, style="yellow")
    if report.release_change is not None:
        yield Text()
        yield from _change_lines(report.release_change, width)


def _vulnerability_lines(report: PackageReport, width: int, unknown: str) -> Iterator[Text]:
    found = report.vulnerabilities
    if found is None:
        known = sum(bool(version.vulnerabilities) for version in report.package.versions)
        at_least = f"in {_counted(known, 'version', 'versions')} at least, of the rest " if known else ""
        why = NOT_IN_OSV if report.ecosystem.osv is None else unknown
        yield from _wrapped(f"vulnerabilities: {at_least}{why}", width, style="yellow")
        return
    title = _counted(len(found), "known vulnerability", "known vulnerabilities")
    if found and not report.is_asked:
        vulnerable = vulnerable_versions(found)
        newest = report.version.name
        title += (
            f" in {len(vulnerable)} of {len(report.package.versions)} versions;"
            f" the newest, {newest}, {'is affected' if newest in vulnerable else 'is not affected'}"
        )
    yield from _wrapped(title, width, style="bold" if found else "green")
    for each in found:
        yield from _one_vulnerability(each, width, is_asked=report.is_asked)


def _one_vulnerability(found: Vulnerability, width: int, *, is_asked: bool) -> Iterator[Text]:
    head = f"  {found.severity.upper()}{'' if found.score is None else f' {found.score:.1f}'}"
    ids = found.ids[0] + (f" ({', '.join(found.ids[1:])})" if len(found.ids) > 1 else "")
    lines = textwrap.wrap(printable(f"{head}  {ids}"), width, subsequent_indent="    ", drop_whitespace=True)
    first = Text(lines[0] if lines[0].startswith("  ") else f"  {lines[0]}")
    first.stylize(_STYLES.get(found.severity, ""), 2, len(head))
    yield first
    yield from map(Text, lines[1:])
    fixed = f"fixed in {', '.join(found.fixed_in)}" if found.fixed_in else "no fix known"
    count = _counted(len(found.affected_versions), "version", "versions")
    versions = "" if is_asked else f"{count} ({found.affected_range}), "
    yield from _wrapped(f"{versions}{fixed}", width, indent=4)
    if found.summary:
        yield from _wrapped(found.summary, width, indent=4)


def _version_lines(report: PackageReport, width: int) -> Iterator[Text]:
    lines = []
    for version in reversed(report.package.versions):
        words = _flags(version)
        if report.vulnerabilities is not None:
            count = report.vulnerability_counts.get(version.name, 0)
            words.insert(0, _counted(count, "known vulnerability", "known vulnerabilities"))
        told = ": " + ", ".join(words) if words else ""
        lines.append(f"{version.name} of {_date(version)}{told}")
    yield from _titled(f"{_counted(len(lines), 'version', 'versions')}, the newest first", lines, len(lines), width)


def _requirement_lines(report: PackageReport, width: int) -> Iterator[Text]:
    if report.requires is None:
        yield from _wrapped(f"{report.version.name} requires: not read yet", width, style="yellow")
        return
    lines = [
        f"{each.purl} {each.constraints}{'' if each.present else '  (not in the graph yet)'}"
        for each in report.requires
    ]
    title = f"{report.version.name} requires {_counted(len(lines), 'package', 'packages')}"
    yield from _titled(title, lines, len(lines), width)


def _change_lines(change: ReleaseChange, width: int) -> Iterator[Text]:
    title = f"{change.version} against {change.before}"
    if not (change.added_count or change.removed_count):
        yield from _wrapped(f"{title}: the same import names", width, style="bold")
        return
    removed, added = change.removed_count, change.added_count
    style = "bold yellow" if removed else "bold"
    yield from _wrapped(f"{title}: {removed:,} import names taken away, {added:,} added", width, style=style)
    if change.names is None:
        yield from _wrapped("MongoDB does not have the names", width, indent=2, style="yellow")
        return
    for sign, names, count in (("-", change.names.removed, removed), ("+", change.names.added, added)):
        yield from _listed([f"{sign} {name}" for name in names], count, width)


def _flags(version: VersionView) -> list[str]:
    return [word for word in ("removed", "yanked", "deprecated") if getattr(version, word)]


def _date(version: VersionView) -> str:
    return version.release_date[:10] if version.release_date else "an unknown date"


def _titled(title: str, lines: Sequence[str], count: int, width: int) -> Iterator[Text]:
    yield from _wrapped(title, width, style="bold")
    yield from _listed(lines, count, width)


def _listed(lines: Sequence[str], count: int, width: int) -> Iterator[Text]:
    shown = lines[:_SHOWN]
    for line in shown:
        yield from _wrapped(line, width, indent=2)
    if count > len(shown):
        yield Text(f"  … and {count - len(shown):,} more")


def _wrapped(text: str, width: int, *, indent: int = 0, style: str = "") -> Iterable[Text]:
    margin = " " * indent
    lines = textwrap.wrap(printable(text), width, initial_indent=margin, subsequent_indent=margin + "  ")
    return [Text(line, style=style) for line in lines]


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}" if count else f"no {many}"
