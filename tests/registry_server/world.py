"""A whole registry landscape in memory: made packages of every ecosystem and, if wanted, the recorded payloads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from tests.registry_server import cargo, maven, npm, nuget, pypi, recorded, rubygems
from tests.registry_server.declarations import ExpectedPackage
from tests.registry_server.resources import Request, Resource, Site

ENDPOINTS = (
    *pypi.ENDPOINTS,
    *npm.ENDPOINTS,
    *maven.ENDPOINTS,
    *rubygems.ENDPOINTS,
    *cargo.ENDPOINTS,
    *nuget.ENDPOINTS,
)
"""The names of config.toml's table `[endpoints]` that are served."""


Made: TypeAlias = pypi.Project | npm.Package | maven.Package | rubygems.Gem | cargo.Crate | nuget.Package


@dataclass(frozen=True, slots=True)
class World:
    """`World((pypi.Project(...), npm.Package(...)))` is all that a test spells out."""

    packages: tuple[Made, ...] = ()
    recorded: Path | None = None
    """The folder of recorded payloads; a made package of the same name goes before a recorded one."""

    def sites(self, addresses: Mapping[str, str]) -> dict[str, Site]:
        """Everything to serve, by endpoint; `addresses` are the endpoints' base URLs, for links within documents."""
        projects = [package for package in self.packages if isinstance(package, pypi.Project)]
        packages = [package for package in self.packages if isinstance(package, npm.Package)]
        gems = [package for package in self.packages if isinstance(package, rubygems.Gem)]
        sites = pypi.sites(projects, addresses) | npm.sites(packages, addresses)
        sites |= rubygems.sites(gems, addresses)
        sites |= maven.sites((made for made in self.packages if isinstance(made, maven.Package)), addresses)
        sites |= cargo.sites((made for made in self.packages if isinstance(made, cargo.Crate)), addresses)
        sites |= nuget.sites((made for made in self.packages if isinstance(made, nuget.Package)), addresses)
        if self.recorded is not None:
            for endpoint, site in recorded.sites(self.recorded, addresses).items():
                sites[endpoint] = _either(sites[endpoint], site)
        return sites

    def truth(self) -> dict[str, ExpectedPackage]:
        """What the graph must hold of the made packages, by purl; unpublished and empty ones are not among them."""
        expected = (package.truth() for package in self.packages)
        return {package.purl: package for package in expected if package.versions}


def _either(first: Site, second: Site) -> Site:
    def find(request: Request) -> Resource:
        resource = first(request)
        return second(request) if resource.status == 404 else resource

    return find
