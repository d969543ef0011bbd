"""This makes a package of each ecosystem, with any versions, and the document that tells of them."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from securechain_ingest.registries import declaration_of
from tests.registry_server import Server, World
from tests.registry_server.registered import REGISTRIES
from tests.registry_server.resources import IncomingRequest
from tests.registry_server.traits import Made, Traits, sample_versions


@dataclass(frozen=True, slots=True)
class Packages:
    """These are one ecosystem's packages; all are asked for by a short name."""

    ecosystem: str

    @property
    def traits(self) -> Traits:
        return REGISTRIES[self.ecosystem].TRAITS

    def make(self, name: str, versions: Sequence[str]) -> Made:
        # All archives offer the same, so that import names do not tell which version was read.
        return self.traits.sample(name, [each._replace(module="made") for each in sample_versions(versions)])

    def document(self, name: str, versions: Sequence[str], server: Server) -> bytes:
        """Return what a registry with these versions has at the path, as it is inside."""
        endpoint = declaration_of(self.ecosystem).ecosystem.endpoint
        request = IncomingRequest(endpoint, "GET", self.traits.document(name), {"accept": "application/json"})
        body = World((self.make(name, versions),)).sites(server.endpoints())[endpoint](request).body
        return gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body


KINDS: Final = tuple(map(Packages, REGISTRIES))
