"""This is what the made registries of the demonstration have.

The packages bear well-known names, so that the README's commands and queries find them; they have a few versions each,
and little in them is as in the real ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tests.registry_server import Shape, World, cargo, generate, maven, npm, nuget, osv, pypi, rubygems

PYTHON: Final = "PyPI"
_MODERATE: Final = "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N"
_HIGH: Final = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"
_CRITICAL: Final = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H"
_LEAK: Final = "CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:C/C:H/I:N/A:N"


def world(packages: int = 12) -> World:
    """Return the well-known packages, and `packages` more of each ecosystem that are made up from a seed."""
    made = generate(Shape(packages=packages, odd_share=0.0, large_share=0.0)).packages if packages else ()
    return World((*KNOWN, *made), advisories=_ADVISORIES)


def names(packages: Sequence[Any]) -> list[str]:
    """Return the names as commands take them: `pypi:jinja2`."""
    return [f"{package.truth().ecosystem}:{package.truth().registry_name}" for package in packages]


def _date(position: int, count: int) -> str:
    """The newest of `count` versions is of 1 October 2026, the others came every five months before it."""
    return f"{datetime(2026, 10, 1, tzinfo=UTC) - timedelta(days=150 * (count - 1 - position)):%Y-%m-%dT%H:%M:%SZ}"


def _dated(versions: Sequence[str]) -> list[tuple[str, str]]:
    return [(version, _date(position, len(versions))) for position, version in enumerate(versions)]


def _project(name: str, versions: Sequence[str], *needs: str, modules: Sequence[str] = ()) -> pypi.Project:
    files = {f"{module.replace('.', '/')}.py": b"" for module in modules}
    package = {f"{name}/__init__.py": b"", **files}
    wanted = tuple(pypi.need(*need.partition(" ")[::2]) for need in needs)
    releases = [
        pypi.ProjectRelease(version, wanted, (pypi.Wheel(package),), date) for version, date in _dated(versions)
    ]
    return pypi.Project(name, tuple(releases))


def _npm(name: str, versions: Sequence[str], **needs: str) -> npm.Package:
    wanted = tuple(npm.need(each.replace("_", "-"), range_) for each, range_ in needs.items())
    return npm.Package(name, tuple(npm.Version(version, wanted, date) for version, date in _dated(versions)))


_LOG4J: Final = ("2.14.1", "2.15.0", "2.16.0", "2.17.1", "2.24.3")
_SHOP_NEEDS: Final = tuple(
    npm.need(name, constraints)
    for name, constraints in (
        ("express", "^4.16.0"),
        ("event-stream", "^3.3.4"),
        ("left-pad", "^1.0.0"),
        ("@babel/core", "^7.0.0"),
    )
)
_BABEL_NEEDS: Final = tuple(npm.need(name, "^7.0.0") for name in ("@babel/parser", "@babel/traverse"))

KNOWN: Final = (
    _project(
        "jinja2",
        ("2.10", "2.11.3", "3.0.3", "3.1.2", "3.1.3", "3.1.4", "3.1.6"),
        "markupsafe >=2.0",
        modules=("jinja2.sandbox", "jinja2.filters"),
    ),
    _project("markupsafe", ("2.0.1", "2.1.5", "3.0.2")),
    _project(
        "requests",
        ("2.19.0", "2.20.0", "2.30.0", "2.31.0", "2.32.4"),
        "urllib3 >=1.21.1, <3",
        "certifi >=2017.4.17",
        "idna >=2.5, <4",
        modules=("requests.api", "requests.sessions"),
    ),
    _project("urllib3", ("1.24", "1.26.18", "2.0.7", "2.5.0")),
    _project("certifi", ("2022.9.24", "2025.8.3")),
    _project("idna", ("2.10", "3.10")),
    _project("flask", ("2.0.0", "2.2.5", "3.0.3"), "jinja2 >=3.0", "werkzeug >=2.0", modules=("flask.app",)),
    _npm("express", ("4.16.0", "4.17.3", "4.18.2", "5.0.0"), qs="^6.5.0", body_parser="^1.20.0", cookie="^0.5.0"),
    _npm("body-parser", ("1.18.0", "1.20.3"), qs="^6.5.0"),
    _npm("qs", ("6.5.1", "6.5.3", "6.11.0", "6.13.0")),
    _npm("left-pad", ("1.0.0", "1.3.0")),
    _npm("flatmap-stream", ("0.1.0", "0.1.1")),
    _npm("event-stream", ("3.3.4", "3.3.6"), flatmap_stream="^0.1.0"),
    # Its picture has levels, and something on them that is malicious.
    npm.Package("made-shop", (npm.Version("1.0.0", _SHOP_NEEDS), npm.Version("1.1.0", _SHOP_NEEDS, _date(1, 2)))),
    npm.Package("@babel/core", (npm.Version("7.0.0", _BABEL_NEEDS), npm.Version("7.28.0", _BABEL_NEEDS))),
    _npm("@babel/parser", ("7.0.0", "7.28.0")),
    _npm("@babel/traverse", ("7.0.0", "7.23.0", "7.23.2", "7.28.0")),
    maven.Package(
        "org.apache.logging.log4j:log4j-core",
        tuple(
            maven.Version(version, (maven.need("org.apache.logging.log4j:log4j-api", version),), date=date)
            for version, date in _dated(_LOG4J)
        ),
    ),
    maven.Package(
        "org.apache.logging.log4j:log4j-api",
        tuple(maven.Version(version, date=date) for version, date in _dated(_LOG4J)),
    ),
    maven.Package("org.antlr:ST4", (maven.Version("4.0.8"), maven.Version("4.3.4"))),
    cargo.Crate("serde", (cargo.Version("1.0.100"), cargo.Version("1.0.219"))),
    cargo.Crate("time", tuple(cargo.Version(version) for version in ("0.1.45", "0.2.22", "0.2.23", "0.3.41"))),
    cargo.Crate(
        "chrono",
        (
            cargo.Version("0.4.19", (cargo.CrateDependency("time", "^0.1.43", "^0.1.43"),)),
            cargo.Version("0.4.41", (cargo.CrateDependency("serde", "^1.0", "^1.0"),)),
        ),
    ),
    rubygems.Gem("rack", tuple(rubygems.Version(number) for number in ("2.0.9", "2.2.2", "2.2.20", "3.1.16"))),
    rubygems.Gem("rails", tuple(rubygems.Version(number, (rubygems.need("rack"),)) for number in ("6.0.0", "7.2.2"))),
    nuget.Package("Newtonsoft.Json", tuple(nuget.Version(version) for version in ("12.0.3", "13.0.1", "13.0.3"))),
    nuget.Package("NLog", (nuget.Version("4.7.0"), nuget.Version("5.5.0"))),
)


def _affected(ecosystem: str, name: str, ranges: Sequence[tuple[str, str]]) -> dict[str, Any]:
    kind = "SEMVER" if ecosystem in ("npm", "crates.io") else "ECOSYSTEM"
    events = [{word: version} for each in ranges for word, version in zip(("introduced", "fixed"), each, strict=True)]
    return {"package": {"ecosystem": ecosystem, "name": name}, "ranges": [{"type": kind, "events": events}]}


def _advisory(
    identifier: str,
    aliases: Sequence[str],
    ecosystem: str,
    name: str,
    ranges: Sequence[tuple[str, str]],
    summary: str,
    vector: str | None = None,
) -> osv.Advisory:
    said: Mapping[str, Any] = {
        "aliases": list(aliases),
        "summary": summary,
        "details": f"{summary} Written for the demonstration.",
        "affected": [_affected(ecosystem, name, ranges)],
    }
    return osv.Advisory(identifier, ((ecosystem, name),), vector=vector, fields=said)


_JINJA_ATTRIBUTES: Final = "The filter xmlattr lets keys with blanks through, so that a page can be given attributes."

_ADVISORIES: Final = (
    _advisory(
        "GHSA-h5c8-rqwp-cp95", ["CVE-2024-22195"], PYTHON, "jinja2", [("0", "3.1.3")], _JINJA_ATTRIBUTES, _MODERATE
    ),
    # The same vulnerability in another database: it is shown once.
    _advisory("PYSEC-2024-9001", ["CVE-2024-22195"], PYTHON, "jinja2", [("0", "3.1.3")], _JINJA_ATTRIBUTES),
    _advisory(
        "GHSA-cpwx-vrp4-4pq7",
        ["CVE-2025-27516"],
        PYTHON,
        "jinja2",
        [("0", "3.1.6")],
        "The filter attr reaches a string's format method and thereby leaves the sandbox.",
        "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:L",
    ),
    _advisory(
        "GHSA-x84v-xcm2-53pg",
        ["CVE-2018-18074"],
        PYTHON,
        "requests",
        [("0", "2.20.0")],
        "A redirection from https to http on the same host sends the credentials along.",
        _HIGH,
    ),
    _advisory(
        "GHSA-j8r2-6x86-q33q",
        ["CVE-2023-32681"],
        PYTHON,
        "requests",
        [("2.3.0", "2.31.0")],
        "The credentials for a proxy are sent to the destination after a redirection.",
        _LEAK,
    ),
    _advisory(
        "GHSA-hrpp-h998-j3pp",
        ["CVE-2022-24999"],
        "npm",
        "qs",
        [("0", "6.5.3"), ("6.6.0", "6.11.0")],
        "A query string that names __proto__ keeps a server busy for ever.",
        _HIGH,
    ),
    _advisory(
        "GHSA-67hx-6x53-jw92",
        ["CVE-2023-45133"],
        "npm",
        "@babel/traverse",
        [("0", "7.23.2")],
        "Code that is compiled can run while it is compiled.",
        "CVSS:3.1/AV:L/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H",
    ),
    _advisory(
        "MAL-2026-900001",
        [],
        "npm",
        "flatmap-stream",
        [("0.1.1", "0.1.2")],
        "Version 0.1.1 looks for wallets and sends what it finds to a stranger.",
    ),
    _advisory(
        "GHSA-jfh8-c2jp-5v3q",
        ["CVE-2021-44228"],
        "Maven",
        "org.apache.logging.log4j:log4j-core",
        [("2.13.0", "2.15.0")],
        "A text that is logged can load code from another host.",
        _CRITICAL,
    ),
    _advisory(
        "GHSA-7rjr-3q55-vv33",
        ["CVE-2021-45046"],
        "Maven",
        "org.apache.logging.log4j:log4j-core",
        [("2.13.0", "2.16.0")],
        "The mending of CVE-2021-44228 leaves some configurations open.",
        "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:C/C:H/I:H/A:H",
    ),
    _advisory(
        "RUSTSEC-2020-0071",
        ["CVE-2020-26235"],
        "crates.io",
        "time",
        [("0.1.0", "0.2.23")],
        "Reading the local time zone may follow a dangling pointer.",
        "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:N/I:N/A:H",
    ),
    _advisory(
        "GHSA-hxqx-xwvh-44m2",
        ["CVE-2022-44572"],
        "RubyGems",
        "rack",
        [("0", "2.2.20")],
        "A boundary of many parts keeps a server busy.",
        _HIGH,
    ),
    # Nobody has given this one a score.
    _advisory(
        "GHSA-5crp-9r3c-p9vr", [], "NuGet", "Newtonsoft.Json", [("0", "13.0.1")], "Deeply nested JSON ends the process."
    ),
)
