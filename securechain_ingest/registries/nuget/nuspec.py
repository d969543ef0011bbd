"""A package's nuspec (Microsoft Learn, "nuspec reference") says what its registration does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from securechain_ingest.errors import Malformed
from securechain_ingest.model import NOT_AVAILABLE
from securechain_ingest.registries.kit.repository import normalise_repository
from securechain_ingest.registries.kit.xml_documents import load_xml


@dataclass(frozen=True, slots=True)
class Nuspec:
    id: str | None
    repository_url: str | None
    """The repository is normalised; it comes from `repository`, otherwise from the project's page."""


def parse_nuspec(body: bytes) -> Nuspec:
    """Return what a nuspec says. It says nothing if it is not XML or has a document type."""
    try:
        root = load_xml(body, "the nuspec")
    except Malformed:
        return Nuspec(None, None)  # the rest of the package can be read without
    repository = normalise_repository(_links(root))
    ids = (text.strip() for text in root.xpath("*[local-name()='metadata']/*[local-name()='id']/text()"))
    return Nuspec(next(ids, None), repository if repository != NOT_AVAILABLE else None)


def _links(root: etree._Element) -> Iterator[str | None]:
    yield from (element.get("url") for element in root.iterfind("{*}metadata/{*}repository"))
    yield from (element.text for element in root.iterfind("{*}metadata/{*}projectUrl"))
