"""This module finds packages by a name that they offer to `import`, and by an advisory that affects them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from securechain_ingest.advisories.names import packages
from securechain_ingest.advisories.store import AdvisoryStore
from securechain_ingest.errors import InvalidName, NotFound
from securechain_ingest.graph.view import GraphReader
from securechain_ingest.model import Ecosystem
from securechain_ingest.registries import BY_OSV, ECOSYSTEMS
from securechain_ingest.reports.advisories import usual_id


async def packages_offering(reader: GraphReader, name: str) -> list[str]:
    """Return the purls of the graph's packages, of any ecosystem, that have exactly this import name. Raise
    StoreError."""
    return await reader.offering(ECOSYSTEMS, name)


async def packages_affected(reader: GraphReader, advisories: AdvisoryStore, identifier: str) -> list[str]:
    """Return the purls of those packages in the graph of which an advisory affects a version.

    `identifier` is the id of the advisory or one of its aliases, such as a CVE's, in any case. It raises NotFound if no
    advisory has it, and StoreError.
    """
    documents = await advisories.named(identifier) or await advisories.named(usual_id(identifier))
    if not documents:
        raise NotFound(
            f"no advisory has the id {identifier}; ids are such as CVE-2024-22195 or GHSA-h5c8-rqwp-cp95",
            url=identifier,
        )
    ids = {str(document["id"]) for document in documents}
    found: list[str] = []
    for ecosystem, purls in _purls(documents).values():
        found += await reader.with_advisory(ecosystem, purls, ids)
    return sorted(found)


def _purls(documents: Collection[Mapping[str, Any]]) -> dict[str, tuple[Ecosystem, set[str]]]:
    """Return, by OSV's name of each ecosystem, the ecosystem with the purls of those of its packages that the
    documents are about."""
    found: dict[str, tuple[Ecosystem, set[str]]] = {}
    for document in documents:
        for osv, name in packages(document):
            if (declaration := BY_OSV.get(osv)) is None:
                continue
            try:
                purl = declaration.identify(name).purl
            except InvalidName:
                continue  # No package of the graph can have such a name.
            found.setdefault(osv, (declaration.ecosystem, set()))[1].add(purl)
    return found
