"""This is a whole registry landscape in memory: made packages of every ecosystem and, if wanted, the recorded
payloads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.registry_server import osv, recorded
from tests.registry_server.declarations import ExpectedPackage
from tests.registry_server.history import RegistryHistory, first_history
from tests.registry_server.registered import REGISTRIES
from tests.registry_server.resources import IncomingRequest, Resource, Site
from tests.registry_server.traits import Made

ENDPOINTS: Final = (*(key for registry in REGISTRIES.values() for key in registry.ENDPOINTS), *osv.ENDPOINTS)
"""These are the names of config.toml's table `[endpoints]` that are served."""


@dataclass(frozen=True, slots=True)
class World:
    """`World((pypi.Project(...), npm.Package(...)))` is all that a test spells out."""

    packages: tuple[Made, ...] = ()
    recorded: Path | None = None
    """This is the folder of recorded payloads; a made package of the same name goes before a recorded one."""
    histories: Mapping[str, RegistryHistory] = field(default_factory=dict)
    """These are the histories by ecosystem (`pypi`); one that is not given is written from the packages."""
    advisories: tuple[osv.Advisory, ...] = ()

    def sites(self, addresses: Mapping[str, str]) -> dict[str, Site]:
        """Return everything to serve, by endpoint; `addresses` are the endpoints' base URLs, for links within
        documents.
        """
        sites: dict[str, Site] = {}
        for ecosystem, registry in REGISTRIES.items():
            packages = [made for made in self.packages if isinstance(made, registry.MADE)]
            history = self.histories.get(ecosystem) or first_history(made.truth() for made in packages)
            sites |= registry.sites(packages, addresses, history)
        sites |= osv.sites(self.advisories)
        if self.recorded is not None:
            for endpoint, site in recorded.sites(self.recorded, addresses).items():
                sites[endpoint] = _either(sites[endpoint], site)
        return sites

    def truth(self) -> dict[str, ExpectedPackage]:
        """Return what the graph must hold of the made packages, by purl; unpublished and empty ones are not among
        them.
        """
        expected = (package.truth() for package in self.packages)
        return {package.purl: package for package in expected if package.versions}


def _either(first: Site, second: Site) -> Site:
    def find(request: IncomingRequest) -> Resource:
        resource = first(request)
        return second(request) if resource.status == 404 else resource

    return find
