"""This module reads each POM of a repository once, however many packages inherit from it or import it.

The POM of a release never changes (registries.md, section 4). So it is kept on disk: a package of many versions whose
reading breaks off goes on where it stood, in whatever process.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Final

from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.errors import Malformed
from securechain_ingest.http.client import HttpClient
from securechain_ingest.http.flights import Flights
from securechain_ingest.http.priority import Connections
from securechain_ingest.registries.kit.dates import http_date_seconds
from securechain_ingest.registries.kit.kept_documents import KeptDocument, KeptDocuments
from securechain_ingest.registries.maven.cache import BoundedCache
from securechain_ingest.registries.maven.metadata import parse_metadata
from securechain_ingest.registries.maven.names import Coordinates, file_path, identify, is_snapshot, metadata_path
from securechain_ingest.registries.maven.pom import Pom, parse_pom

MAX_POM_BYTES: Final = 8 * 1024 * 1024
"""This is in bytes; the largest real POMs, BOMs of whole platforms, have less than one million."""

KEPT_BYTES: Final = 32 * 1024 * 1024
"""This is in bytes of the documents whose POMs are kept parsed in memory, which takes as much again."""

_KEPT_LISTED: Final = 200_000
"""So many versions are in the kept lists of parents that are named by a range."""

_LIST_KEPT_S: Final = 600.0
"""All versions of a package name the same parent; a newer one may come at any moment anyway."""

AT_ONCE: Final = 32
"""So many requests for POMs run at the same time: more would only wait in the queue of the HTTP pool."""


@dataclass(frozen=True, slots=True)
class PublishedPom:
    pom: Pom
    date: str | None
    """The file was last modified then, which for a released one is when it was released. It is an ISO 8601 time."""


class Poms:
    def __init__(self, http: HttpClient, pool: ParserPool, documents: KeptDocuments) -> None:
        self._http = http
        self._pool = pool
        self._documents = documents
        self._turns = Connections(AT_ONCE)
        self._flights: Flights[PublishedPom] = Flights()
        self._kept: BoundedCache[Coordinates, PublishedPom] = BoundedCache(KEPT_BYTES)
        self._list_flights: Flights[tuple[str, ...]] = Flights()
        self._kept_lists: BoundedCache[tuple[str, str], tuple[float, tuple[str, ...]]] = BoundedCache(_KEPT_LISTED)

    async def get(self, coordinates: Coordinates) -> PublishedPom:
        """Return the POM at the coordinates. It raises UpstreamError."""
        kept = self._kept.get(coordinates)
        return kept or await self._flights.join(coordinates, lambda: self._read(coordinates))

    async def versions(self, group_id: str, artifact_id: str) -> tuple[str, ...]:
        """Return the versions that the repository lists, or listed some minutes ago at most. It raises
        UpstreamError."""
        read_at, kept = self._kept_lists.get((group_id, artifact_id)) or (-math.inf, ())
        if time.monotonic() - read_at < _LIST_KEPT_S:
            return kept
        return await self._list_flights.join(
            (group_id, artifact_id), lambda: self._read_versions(group_id, artifact_id)
        )

    async def _read_versions(self, group_id: str, artifact_id: str) -> tuple[str, ...]:
        ref = identify(f"{group_id}:{artifact_id}")
        url = self._http.url("maven_central", metadata_path(ref))
        async with self._turns:
            response = await self._http.get(url)
        versions = await self._pool.parse_document(parse_metadata, response.body, ref, url)
        self._kept_lists.put((group_id, artifact_id), (time.monotonic(), versions), len(versions))
        return versions

    async def _read(self, coordinates: Coordinates) -> PublishedPom:
        url = self._http.url("maven_central", file_path(coordinates, "pom"))
        never_changes = not is_snapshot(coordinates.version)
        if never_changes and (kept := await self._documents.get(url)) is not None:
            try:
                return await self._published(coordinates, kept, url)
            except Malformed:
                await self._documents.drop(url)
        async with self._turns:
            response = await self._http.get(url, limit_bytes=MAX_POM_BYTES)
        document = KeptDocument(response.body, response.headers.get("last-modified"))
        published = await self._published(coordinates, document, url)
        if never_changes:
            # Another version's failure ends the reading of this one, too, but what it has cost is not lost.
            await self._documents.put(url, document)
        return published

    async def _published(self, coordinates: Coordinates, document: KeptDocument, url: str) -> PublishedPom:
        """Return the POM in a document. It raises Malformed if it is none."""
        pom = await self._pool.parse_document(parse_pom, document.body, url)
        published = PublishedPom(pom, http_date_seconds(document.last_modified))
        if not is_snapshot(coordinates.version):
            self._kept.put(coordinates, published, len(document.body))
        return published
