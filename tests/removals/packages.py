"""This is a package of each ecosystem, with any versions, and the document that tells of them."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from securechain_ingest.registries import DECLARATIONS
from tests.registry_server import Server, World, cargo, maven, npm, nuget, pypi, rubygems
from tests.registry_server.registered import Made
from tests.registry_server.resources import Request

DATES: Final = {f"{number}.0.0": f"2024-0{number}-01T00:00:00Z" for number in range(1, 10)}
"""A version has these dates whatever others there are."""


@dataclass(frozen=True, slots=True)
class Packages:
    """These are one ecosystem's packages."""

    ecosystem: str
    endpoint: str
    pattern: str
    """This is a pattern of the path of the document that lists a package's versions."""
    make: Callable[[str, Sequence[str]], Made]
    """This makes a package from a name and versions."""
    group: str = ""

    def name(self, number: int) -> str:
        return f"{self.group}thing{number}"

    def path(self, name: str) -> str:
        return self.pattern.format(name.removeprefix(self.group))

    def document(self, name: str, versions: Sequence[str], server: Server) -> bytes:
        """Return what a registry with these versions has at the path, as it is inside."""
        request = Request(self.endpoint, "GET", self.path(name), {"accept": "application/json"})
        body = World((self.make(name, versions),)).sites(server.endpoints())[self.endpoint](request).body
        return gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body


def _pypi(name: str, versions: Sequence[str]) -> Made:
    return pypi.Project(name, tuple(pypi.Release(each, date=DATES[each]) for each in versions))


def _npm(name: str, versions: Sequence[str]) -> Made:
    return npm.Package(name, tuple(npm.Version(each, date=DATES[each]) for each in versions))


def _maven(name: str, versions: Sequence[str]) -> Made:
    return maven.Package(name, tuple(maven.Version(each, date=DATES[each]) for each in versions))


def _cargo(name: str, versions: Sequence[str]) -> Made:
    return cargo.Crate(name, tuple(cargo.Version(each, date=DATES[each]) for each in versions))


def _rubygems(name: str, versions: Sequence[str]) -> Made:
    return rubygems.Gem(name, tuple(rubygems.Version(each, date=DATES[each]) for each in versions))


def _nuget(name: str, versions: Sequence[str]) -> Made:
    return nuget.Package(name, tuple(nuget.Version(each, date=DATES[each]) for each in versions))


_KINDS: Final = (
    Packages("pypi", "pypi", "/pypi/{}/json", _pypi),
    Packages("npm", "npm_registry", "/{}", _npm),
    Packages("maven", "maven_central", "/org/made/{}/maven-metadata.xml", _maven, group="org.made:"),
    Packages("cargo", "crates_index", "/th/in/{}", _cargo),
    Packages("rubygems", "rubygems_index", "/info/{}", _rubygems),
    Packages("nuget", "nuget_api", "/v3/registration5-gz-semver2/{}/index.json", _nuget),
)
_BY_ECOSYSTEM: Final = {kind.ecosystem: kind for kind in _KINDS}
KINDS: Final = tuple(_BY_ECOSYSTEM[declared.name] for declared in DECLARATIONS)
