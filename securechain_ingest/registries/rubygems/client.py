"""This is the client of the RubyGems registry (registries.md, section 6).

A gem costs one request, one more for its repository on the first visit, and one for its newest file. The compact index
is not limited in rate, the API is; so the API is asked only once about a gem.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import quote

import structlog

from securechain_ingest.archives.limits import ArchiveLimits
from securechain_ingest.errors import UpstreamError
from securechain_ingest.http.freshness import uncached
from securechain_ingest.model import ImportNames, KnownPackage, Package, PackageRef
from securechain_ingest.registries.kit.client import RegistryClient
from securechain_ingest.registries.kit.documents import ask_for_package, read_document, stale
from securechain_ingest.registries.protocol import Unchanged
from securechain_ingest.registries.rubygems import names
from securechain_ingest.registries.rubygems.api import MAX_DOCUMENT_BYTES, completed, document_for, found_names
from securechain_ingest.registries.rubygems.feed import RubyGemsFeed
from securechain_ingest.registries.rubygems.gem_list import last_digest
from securechain_ingest.registries.rubygems.import_names import WINDOW_BYTES, read_gem
from securechain_ingest.registries.rubygems.info import digest_of, parse_info

_TAIL_BYTES: Final = 1024 * 1024
"""This is in bytes, at the end of the list of all gems, which gets a line with each push: it is more than a week's."""

logger = structlog.get_logger(__name__)


class RubyGems(RegistryClient):
    """This implements `Registry`."""

    ecosystem: Final = names.RUBYGEMS
    identify = staticmethod(names.identify)
    feed: Final = RubyGemsFeed

    async def fetch(
        self, ref: PackageRef, known: KnownPackage | None, *, at_least: str | None = None, first: bool = False
    ) -> Package | Unchanged:
        """Return all versions with their requirements, and on the first whole visit also the repository. See
        `Registry.fetch`."""
        if known is not None:
            # A message may carry the lower-cased name; the registry needs the exact one.
            ref = names.identify(known.registry_name)
        url = self._http.url("rubygems_index", f"info/{ref.registry_name}")
        response = await ask_for_package(self._http, url, known, at_least)
        if response.not_modified:
            return Unchanged(ref)
        if at_least is not None:
            await self._refuse_other(ref, response.body, at_least, url)
        files_url = self._http.url("rubygems_api", "gems")
        package = await self._pool.parse_document(parse_info, response.body, ref, url, files_url)
        package = replace(package, validator=response.validator)
        has_repository = known is not None and not known.archive_pending
        return package if first or has_repository else await self._completed(package)

    async def _refuse_other(self, ref: PackageRef, body: bytes, announced: str, url: str) -> None:
        """This raises Stale unless the file has the digest that was announced, or the one that the list of all gems has
        by now: a file that is cut off, mixed up or old says nothing."""
        digest = digest_of(body)
        if digest == announced:
            return
        listed = await self._newest_digest(ref)
        if digest != listed:
            raise stale(url, f"has the MD5 {digest}", listed or announced)

    async def _newest_digest(self, ref: PackageRef) -> str | None:
        """Return the digest that the end of the list of all gems gives for the gem's file. The result is None if the
        end does not name the gem, or if the list cannot be read in parts."""
        url = self._http.url("rubygems_index", "versions")
        try:
            with uncached():
                start = await self._http.get_range(url, 0, 0)
                size = start.size if start is not None else 0
                end = await self._http.get_range(url, max(0, size - _TAIL_BYTES), size - 1) if size else None
        except UpstreamError as error:
            logger.debug("gem_list_unavailable", package=ref.purl, kind=error.kind, reason=str(error))
            return None
        return last_digest(end.data, ref.registry_name) if end is not None else None

    async def _completed(self, package: Package) -> Package:
        """Add the repository. The gem's own file names it, too, so that a failure of the API costs nothing."""
        url = self._http.url("rubygems_api", document_for(package))
        try:
            parse = partial(completed, package)
            return await read_document(self._http, self._pool, url, parse, limit_bytes=MAX_DOCUMENT_BYTES)
        except UpstreamError as error:
            logger.debug("gem_document_unavailable", package=package.ref.purl, kind=error.kind, reason=str(error))
            return package

    async def _names_in_artifacts(self, package: Package) -> ImportNames:
        """Return what can be required of the newest gem. Mostly its first bytes are enough."""
        parse = partial(read_gem, limits=self._pool.limits, name=package.ref.registry_name)
        [artifact] = package.artifacts
        return await self._archives.parse_ranged(
            artifact.url, None, parse, window_bytes=WINDOW_BYTES, sha256=artifact.sha256
        )

    async def near_names(self, ref: PackageRef) -> tuple[str, ...]:
        """Return what the registry's search finds. Names that differ only in case come first. See
        `Registry.near_names`."""
        url = self._http.url("rubygems_api", f"api/v1/search.json?query={quote(ref.registry_name, safe='')}")
        found = await read_document(self._http, self._pool, url, found_names, limit_bytes=MAX_DOCUMENT_BYTES)
        return tuple(sorted(found, key=lambda name: name.lower() != ref.name))

    @staticmethod
    def archive_names(path: str, filename: str, limits: ArchiveLimits) -> ImportNames:
        """Return what can be required of a gem on disk. It raises ArchiveRefused."""
        with Path(path).open("rb") as file:
            return read_gem(file, limits, None)
