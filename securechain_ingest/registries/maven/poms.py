"""The POMs of a repository: each read once, however many packages inherit from it or import it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.errors import Malformed
from securechain_ingest.http.client import HttpClient
from securechain_ingest.http.flights import Flights
from securechain_ingest.registries.dates import http_date_seconds
from securechain_ingest.registries.maven.cache import BoundedCache
from securechain_ingest.registries.maven.names import Coordinates, file_path
from securechain_ingest.registries.maven.pom import Pom, parse_pom

MAX_POM_BYTES: Final = 8 * 1024 * 1024
"""The largest real ones, BOMs of whole platforms, have below one."""

KEPT_BYTES: Final = 64 * 1024 * 1024
"""Of POMs that are kept parsed; released ones never change."""

AT_ONCE: Final = 16
"""Requests for POMs, whatever they are for: more would only wait in the queue of the HTTP pool."""


@dataclass(frozen=True, slots=True)
class PublishedPom:
    pom: Pom
    date: str | None
    """When its file was last modified, which for a released one is when it was released; ISO 8601."""


class Poms:
    def __init__(self, http: HttpClient, pool: ParserPool) -> None:
        self._http = http
        self._pool = pool
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._flights: Flights[PublishedPom] = Flights()
        self._kept: BoundedCache[Coordinates, PublishedPom | str] = BoundedCache(KEPT_BYTES)

    async def get(self, coordinates: Coordinates) -> PublishedPom:
        """The POM at the coordinates. Raises UpstreamError; what was malformed once is so for good."""
        kept = self._kept.get(coordinates)
        if kept is None:
            return await self._flights.join(coordinates, lambda: self._read(coordinates))
        if isinstance(kept, str):
            raise Malformed(kept, url=self._url(coordinates))
        return kept

    async def _read(self, coordinates: Coordinates) -> PublishedPom:
        url = self._url(coordinates)
        async with self._turns:
            response = await self._http.get(url, limit_bytes=MAX_POM_BYTES)
        try:
            pom = await self._pool.parse_document(parse_pom, response.body, url)
        except Malformed as error:
            self._kept.put(coordinates, str(error), len(response.body))
            raise
        published = PublishedPom(pom, http_date_seconds(response.headers.get("last-modified")))
        self._kept.put(coordinates, published, len(response.body))
        return published

    def _url(self, coordinates: Coordinates) -> str:
        return self._http.url("maven_central", file_path(coordinates, "pom"))
