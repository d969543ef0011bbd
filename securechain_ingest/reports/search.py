"""This module finds packages by a name that they offer to `import`, and by an advisory that affects them."""

from __future__ import annotations

from itertools import chain

from securechain_ingest.advisories.store import AdvisoryStore
from securechain_ingest.errors import NotFound
from securechain_ingest.graph.view import GraphReader
from securechain_ingest.registries import ECOSYSTEMS
from securechain_ingest.reports.advisories import possible_packages, usual_id


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
    purls: dict[str, set[str]] = {}
    for ref in chain.from_iterable(map(possible_packages, documents)):
        purls.setdefault(ref.ecosystem.name, set()).add(ref.purl)
    found: list[str] = []
    for ecosystem in ECOSYSTEMS:
        if ecosystem.name in purls:
            found += await reader.with_advisory(ecosystem, purls[ecosystem.name], ids)
    return sorted(found)
