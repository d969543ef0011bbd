"""This builds the registered ecosystems' registries and feeds on open connections."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.archives.remote import ArchiveReader
from securechain_ingest.http.client import HttpClient
from securechain_ingest.model import Ecosystem
from securechain_ingest.registries import DECLARATIONS
from securechain_ingest.registries.feed import Feed
from securechain_ingest.registries.kit.kept_documents import KeptDocuments
from securechain_ingest.registries.protocol import Registry, RegistryClass

REGISTRIES: Final[tuple[RegistryClass, ...]] = tuple(declaration.registry() for declaration in DECLARATIONS)


def build_registries(
    http: HttpClient, archives: ArchiveReader, pool: ParserPool, kept: KeptDocuments
) -> Mapping[str, Registry]:
    """Return every ecosystem's registry. The key is the `node_type` of messages (the graph label)."""
    return {
        registry.ecosystem.label: registry(http, archives.of(_parser_of(registry.ecosystem)), pool, kept)
        for registry in REGISTRIES
    }


def _parser_of(ecosystem: Ecosystem) -> str:
    return f"{ecosystem.name} {ecosystem.import_names_version}"


def build_feeds(http: HttpClient, pool: ParserPool, folder: Path) -> Mapping[str, Feed]:
    """Return every ecosystem's feed. The key is the ecosystem's name. Each feed gets a folder of its own below
    `folder`."""
    feeds = {}
    for registry in REGISTRIES:
        own = folder / registry.ecosystem.name
        own.mkdir(parents=True, exist_ok=True)
        feeds[registry.ecosystem.name] = registry.feed(http, pool, own)
    return feeds
