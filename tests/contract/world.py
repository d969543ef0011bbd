"""This is one made registry landscape with every odd case that the contract speaks of, its advisories and its
messages.
"""

from __future__ import annotations

from typing import Any

from tests.registry_server import Need, World, cargo, maven, npm, nuget, pypi, rubygems
from tests.registry_server.pypi import ProjectRelease
from tests.registry_server.registered import REGISTRIES
from tests.registry_server.traits import numbered_versions

FLASK_NEEDS = (
    Need("Werkzeug (>=2.0)", "werkzeug"),
    Need("typing.extensions~=4.2 ; python_version >= '3.8'", "typing_extensions"),
    Need("zope-interface", "zope.interface"),
    Need("six>=1.0", "six"),
    Need("six<2.0", "six"),
    Need("importlib-metadata ; python_version < '3.8'", None),
    Need("sphinx ; extra == 'docs'", None),
    Need("direct @ https://example.org/direct-1.0.zip", "direct"),
    Need("never-published>=1", "never-published"),
)

PYPI_PROJECTS = (
    pypi.Project(
        "Flask",
        (
            ProjectRelease("0.1-legacy build"),
            ProjectRelease("0.9"),
            ProjectRelease("1.0", FLASK_NEEDS, yanked=True, yanked_reason="broken"),
            ProjectRelease("1.0.1", files=()),
            ProjectRelease("2.0.0rc1"),
            ProjectRelease("2.0.0", FLASK_NEEDS),
        ),
        project_urls=(("Source", "https://github.com/pallets/flask/tree/main"),),
    ),
    pypi.Project("Werkzeug", (ProjectRelease("2.0"), ProjectRelease("2.0.post1"), ProjectRelease("2.1+local.1"))),
    pypi.Project("typing_extensions", (ProjectRelease("4.2.0"), ProjectRelease("4.3.0"))),
    pypi.Project("zope.interface", (ProjectRelease("5.0"), ProjectRelease("5.0.0"))),
    pypi.Project("six", (ProjectRelease("1.9"), ProjectRelease("1.10"))),
    pypi.Project("direct", (ProjectRelease("1.0"),)),
    pypi.Project(
        "ping", (ProjectRelease("1.0", (Need("pong", "pong"), Need("ping>=1", "ping"), Need("ping[all]", None))),)
    ),
    pypi.Project("pong", (ProjectRelease("1.0", (Need("ping==1.0", "ping"),)),)),
    pypi.Project("no-files", (ProjectRelease("1.0", files=()),)),
    pypi.Project("no-releases", ()),
)

BABEL_NEEDS = (
    Need("^7.0.0", "@babel/types"),
    Need("npm:JSONStream@1.2", "JSONStream", key="json-stream-old"),
    Need("npm:JSONStream@^1.3.0", "JSONStream", key="json-stream-new"),
    Need("git+https://github.com/x/jsonstream.git", "jsonstream"),
    Need("", "loop"),
    Need("^1.0.0", "left-out"),
)

NPM_PACKAGES = (
    npm.Package(
        "@babel/core",
        (
            npm.Version("not-a-version"),
            npm.Version("7.0.0-beta.2", deprecated="old"),
            npm.Version("7.0.0-beta.11"),
            npm.Version("7.0.0", BABEL_NEEDS),
            npm.Version("7.10.0", BABEL_NEEDS),
        ),
    ),
    npm.Package("@babel/types", (npm.Version("7.0.0"),), repository={"url": "git+https://github.com/babel/babel.git"}),
    npm.Package("JSONStream", (npm.Version("1.0.0"), npm.Version("1.3.5"))),
    npm.Package("jsonstream", (npm.Version("1.0.0"), npm.Version("1.0.3"))),
    npm.Package("OnlyUpper", (npm.Version("1.0.0"),)),
    npm.Package("loop", (npm.Version("1.0.0", (Need("*", "loop"),)),)),
    npm.Package("gone", (npm.Version("1.0.0"),), unpublished=True),
)

# Each under a name that its registry spells with capitals and producers without.
OTHERS = (
    maven.Package(
        "org.antlr:ST4", (maven.Version("4.3.3"), maven.Version("4.3.4", (maven.need("org.antlr:runtime", "3.5"),)))
    ),
    maven.Package("org.antlr:runtime", (maven.Version("3.5"), maven.Version("3.5.1"))),
    cargo.Crate(
        "Inflector",
        (cargo.Version("0.11.3"), cargo.Version("0.11.4", (cargo.CrateDependency("lazy_static", "1.2", "^1.2"),))),
    ),
    cargo.Crate("lazy_static", (cargo.Version("1.2.0"),)),
    rubygems.Gem("RedCloth", (rubygems.Version("4.2"), rubygems.Version("4.10", (rubygems.need("rake", "~> 1.2"),)))),
    rubygems.Gem("rake", (rubygems.Version("1.3"),)),
    nuget.Package(
        "Newtonsoft.Json",
        (
            nuget.Version("9.0.1"),
            nuget.Version(
                "13.0.1", (nuget.DependencyGroup((nuget.need("Microsoft.CSharp", "[4.3.0, )"),), "netstandard2.0"),)
            ),
        ),
    ),
    nuget.Package("Microsoft.CSharp", (nuget.Version("4.3.0"),)),
)

_WRITTEN = {package.truth().ecosystem for package in (*PYPI_PROJECTS, *NPM_PACKAGES, *OTHERS)}
SAMPLES = tuple(
    registry.TRAITS.sample("sample", numbered_versions(registry.TRAITS, 1, 2))
    for ecosystem, registry in REGISTRIES.items()
    if ecosystem not in _WRITTEN
)
"""These are packages of the ecosystems of which the contract does not speak."""

WORLD = World((*PYPI_PROJECTS, *NPM_PACKAGES, *OTHERS, *SAMPLES))

HIGH = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N"
"""Its base score is 7.5."""


def _advisory(identity: str, affected: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    return {"id": identity, "details": "Made.", "summary": "", "affected": affected, **fields}


def _element(ecosystem: str, name: str, *, versions: tuple[str, ...] = (), **events: str) -> dict[str, Any]:
    element: dict[str, Any] = {"package": {"ecosystem": ecosystem, "name": name}, "versions": list(versions)}
    if events:
        kind = "SEMVER" if ecosystem in {"npm", "crates.io"} else "ECOSYSTEM"
        element["ranges"] = [{"type": kind, "events": [{key: value} for key, value in events.items()]}]
    return element


ADVISORIES: tuple[dict[str, Any], ...] = (
    _advisory(
        "GHSA-listed",
        [_element("npm", "flask", introduced="0"), _element("PyPI", "flask", versions=("0.9", "1.0"))],
        severity=[{"type": "CVSS_V3", "score": "ignored", "base_score": 5.0}],
        affected_artefacts={"other": {"artefacts": {"function": ["f"]}}},
    ),
    _advisory(
        "GHSA-vector",
        [_element("PyPI", "flask", introduced="1.0", fixed="2.0.0")],
        severity=[{"type": "CVSS_V3", "score": HIGH}, {"type": "CVSS_V4", "score": "CVSS:4.0/AV:N", "base_score": 1.0}],
    ),
    _advisory("GHSA-withdrawn", [_element("PyPI", "flask", introduced="0")], withdrawn="2024-01-01T00:00:00Z"),
    _advisory(
        "GHSA-v4",
        [_element("npm", "@babel/core", introduced="7.0.0-beta.3", last_affected="7.0.0")],
        severity=[{"type": "CVSS_V4", "score": "CVSS:4.0/AV:N"}],
    ),
    _advisory("GHSA-typing", [_element("PyPI", "typing-extensions", introduced="0")]),
    _advisory("GHSA-lower", [_element("npm", "jsonstream", introduced="0")]),
    _advisory("GHSA-upper", [_element("npm", "JSONStream", introduced="0", fixed="1.1.0")]),
    _advisory("GHSA-maven", [_element("Maven", "org.antlr:ST4", introduced="0", fixed="4.3.4")]),
    _advisory("GHSA-crate", [_element("crates.io", "Inflector", introduced="0", fixed="0.11.4")]),
    _advisory("GHSA-gem", [_element("RubyGems", "RedCloth", introduced="0", fixed="4.10")]),
    _advisory("GHSA-nuget", [_element("NuGet", "Newtonsoft.Json", introduced="0", fixed="13.0.1")]),
)

# Literally what the contract's section 4 says that producers write, with other names in place of its examples.
PACKAGE_INIT = (
    '{"node_type":"%s","package":"%s","vendor":"n/a","repository_url":"n/a",'
    '"moment":"2025-12-15T17:20:50.123456","constraints":null,"parent_id":null,"parent_version":null,"refresh":false}'
)
REPOSITORY_INIT = (
    '{"node_type":"%s","package":"%s","vendor":"n/a","repository_url":null,'
    '"moment":"2025-11-23T09:00:00","constraints":"%s","parent_id":"%s","parent_version":null,"refresh":false}'
)
BY_HAND = '{"node_type":"%s","package":"%s","vendor":"Kenneth Reitz"}'

MESSAGES = (
    PACKAGE_INIT % ("PyPIPackage", "flask"),
    PACKAGE_INIT % ("PyPIPackage", "flask"),
    PACKAGE_INIT % ("PyPIPackage", "typing.extensions"),
    BY_HAND % ("PyPIPackage", " ping "),
    '{"node_type":"PyPIPackage","package":"PONG","repository_url":"","moment":"2025-10-09T10:00:00Z","surprise":[1]}',
    PACKAGE_INIT % ("NPMPackage", "@babel/core"),
    BY_HAND % ("NPMPackage", "JSONStream"),
    BY_HAND % ("NPMPackage", "jsonstream"),
    BY_HAND % ("NPMPackage", "OnlyUpper"),
    PACKAGE_INIT % ("MavenPackage", "org.antlr:st4"),
    PACKAGE_INIT % ("CargoPackage", "inflector"),
    PACKAGE_INIT % ("RubyGemsPackage", "redcloth"),
    PACKAGE_INIT % ("NuGetPackage", "newtonsoft.json"),
    *(PACKAGE_INIT % (package.label, package.name) for package in (each.truth() for each in SAMPLES)),
    '{"node_type":"NPMPackage","package":"loop","parent_version_name":"1.2.3","parent_version":null,"moment":null}',
)

NOT_THERE = ("no-releases", "gone")
