"""This is the client of the NuGet registry (registries.md, section 7).

A package costs one request, and one more for each page of its registration that is not inlined; its import names cost
one or a few for a part of its newest nupkg. The service index is asked for once in a process.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import structlog

from securechain_ingest.archives.limits import ArchiveLimits
from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.archives.remote import ArchiveReader
from securechain_ingest.errors import Malformed, NotFound, Stale
from securechain_ingest.http.client import HttpClient
from securechain_ingest.model import ImportNames, KnownPackage, Package, PackageRef
from securechain_ingest.registries.kit.client import RegistryClient
from securechain_ingest.registries.kit.concurrency import for_each
from securechain_ingest.registries.kit.documents import ask_for_package, read_document, stale
from securechain_ingest.registries.kit.kept_documents import KeptDocuments
from securechain_ingest.registries.nuget import names, service_index
from securechain_ingest.registries.nuget.catalog import normal_stamp, to_the_second
from securechain_ingest.registries.nuget.feed import NuGetFeed
from securechain_ingest.registries.nuget.import_names import WINDOW_BYTES, read_nupkg
from securechain_ingest.registries.nuget.registration import Registration, newest, package_of, parse_registration
from securechain_ingest.registries.nuget.service_index import Services
from securechain_ingest.registries.protocol import Unchanged

logger = structlog.get_logger(__name__)

_LONGEST_LAG: Final = timedelta(hours=1)
"""Registrations are at most this far behind the catalog; mostly it is some minutes."""


class NuGet(RegistryClient):
    """This implements `Registry`."""

    ecosystem: Final = names.NUGET
    identify = staticmethod(names.identify)
    feed: Final = NuGetFeed

    def __init__(self, http: HttpClient, archives: ArchiveReader, pool: ParserPool, kept: KeptDocuments) -> None:
        super().__init__(http, archives, pool, kept)
        self._known_services: Services | None = None

    async def fetch(
        self, ref: PackageRef, known: KnownPackage | None, *, at_least: str | None = None, first: bool = False
    ) -> Package | Unchanged:
        """Return all versions with their requirements, unlisted versions too. See `Registry.fetch`."""
        services = await self._services()
        url = f"{services.registrations}/{quote(ref.name, safe='')}/index.json"
        try:
            response = await ask_for_package(self._http, url, known, at_least)
        except NotFound as error:
            announced = normal_stamp(at_least)
            if announced is None or _moment(announced) + _LONGEST_LAG < datetime.now(UTC):
                raise
            raise Stale(f"{announced} has been announced, and {error}", url=url) from error
        if known and response.not_modified:
            return Unchanged(names.identify(known.registry_name))
        index: Registration = await self._pool.parse_document(parse_registration, response.body, ref, response.url)
        documents = [index, *await self._pages(ref, index.pages)]
        package = package_of(ref, documents, services.contents, url)
        if unreadable := sum(document.unreadable for document in documents):
            logger.warning("registration_entries_unreadable", package=package.ref.purl, count=unreadable)
        announced = normal_stamp(at_least)
        if announced and not _shows(announced, package.revision, newest(document.written for document in documents)):
            raise stale(url, f"is of {package.revision}", announced)
        # What is not finished is to be read again, whatever its date.
        is_whole = all(document.is_whole for document in documents)
        return replace(package, validator=response.validator if is_whole else None)

    async def _pages(self, ref: PackageRef, urls: tuple[str, ...]) -> list[Registration]:
        """All pages are read at the same time; the first failure ends them."""
        pages: dict[str, Registration] = {}

        async def ask(url: str) -> None:
            pages[url] = await self._page(ref, url)

        await for_each(urls, ask, at_once=len(urls), name=f"pages-{ref.purl}")
        return [pages[url] for url in urls]

    async def _page(self, ref: PackageRef, url: str) -> Registration:
        try:
            response = await self._http.get(url)
        except NotFound as error:
            # Pages are named after what is in them: the index is being written anew.
            raise Stale(f"the registry lists a page of {ref.registry_name} that it lacks: {error}", url=url) from error
        page: Registration = await self._pool.parse_document(parse_registration, response.body, ref, response.url)
        if page.pages:
            raise Malformed(f"a page of {ref.registry_name} in the registry leads to further pages", url=url)
        return page

    async def _services(self) -> Services:
        """The service index says where the resources lie; if the server has none, they lie where they usually do."""
        if self._known_services is None:
            self._known_services = await service_index.find_services(self._http, self._pool)
        return self._known_services or service_index.default_services(self._http)

    async def _names_in_artifacts(self, package: Package) -> ImportNames:
        """Return the namespaces in the newest nupkg's assemblies."""
        parse = partial(read_nupkg, limits=self._pool.limits, name=package.ref.registry_name)
        return await self._archives.parse_ranged(package.artifacts[0].url, None, parse, window_bytes=WINDOW_BYTES)

    async def near_names(self, ref: PackageRef) -> tuple[str, ...]:
        """Return what the registry's search finds, if the search is on the registry's own host. See
        `Registry.near_names`."""
        services = await self._services()
        if services.search is None or urlsplit(services.search).hostname != urlsplit(services.registrations).hostname:
            return ()
        url = f"{services.search}?q={quote(ref.registry_name, safe='')}&take={service_index.NEAR_NAMES}&prerelease=true"
        return await read_document(
            self._http, self._pool, url, service_index.found_names, limit_bytes=service_index.MAX_BYTES
        )

    @staticmethod
    def archive_names(path: str, filename: str, limits: ArchiveLimits) -> ImportNames:
        """Return the namespaces of a nupkg on disk. It raises ArchiveRefused."""
        with Path(path).open("rb") as file:
            return read_nupkg(file, limits, None)


def _shows(announced: str, revision: str | None, written: str | None) -> bool:
    """A registration is believed to show what the catalog had at a time.

    Its newest leaf shows it, unless that version has been deleted since; then a registration shows it that was written
    long after.
    """
    if revision is None or revision >= to_the_second(announced):
        return True
    return written is not None and _moment(written) >= _moment(announced) + _LONGEST_LAG


def _moment(stamp: str) -> datetime:
    return datetime.fromisoformat(f"{stamp[:19]}Z")
