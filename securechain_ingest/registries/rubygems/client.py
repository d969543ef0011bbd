"""The RubyGems registry: one request for a gem, one for its links on the first visit, one for its newest file.

The compact index is not limited in rate, the API is; so the API is asked only once about a gem (registries.md,
section 6), and where it does not answer the newest file says the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import orjson
import structlog

from securechain_ingest.archives.limits import ArchiveLimits
from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.archives.remote import ArchiveReader
from securechain_ingest.errors import InvalidName, Malformed, UpstreamError
from securechain_ingest.http.client import HttpClient
from securechain_ingest.model import ImportNames, KnownPackage, Package, PackageRef
from securechain_ingest.registries.import_name_rules import clean
from securechain_ingest.registries.protocol import Unchanged
from securechain_ingest.registries.repository import vendor_of
from securechain_ingest.registries.rubygems import names
from securechain_ingest.registries.rubygems.import_names import WINDOW_BYTES, read_gem
from securechain_ingest.registries.rubygems.info import parse_info
from securechain_ingest.registries.rubygems.repository import repository_of
from securechain_ingest.settings import ArchiveSettings

logger = structlog.get_logger(__name__)


class RubyGems:
    """Implements `Registry`."""

    ecosystem: Final = names.RUBYGEMS
    identify = staticmethod(names.identify)

    def __init__(self, http: HttpClient, archives: ArchiveReader, pool: ParserPool) -> None:
        self._http = http
        self._archives = archives
        self._pool = pool

    async def fetch(self, ref: PackageRef, known: KnownPackage | None) -> Package | Unchanged:
        """All versions with their requirements, and on the first visit the repository; see `Registry.fetch`."""
        if known is not None:
            # A message may carry the lower-cased name; the registry needs the exact one.
            ref = names.identify(known.registry_name)
        url = self._http.url("rubygems_index", f"info/{ref.registry_name}")
        response = await self._http.get(url, validator=known.validator if known else None)
        if response.not_modified:
            return Unchanged(ref)
        files_url = self._http.url("rubygems_files", "gems")
        package = await self._pool.parse_document(parse_info, response.body, ref, url, files_url)
        package = replace(package, validator=response.validator)
        repository = None if known is not None else await self._repository(ref)
        if repository is None:
            return package
        return replace(package, repository_url=repository, vendor=vendor_of(repository))

    async def _repository(self, ref: PackageRef) -> str | None:
        """What the API's document links to. None leaves it to the gem's own file, which has the same links."""
        url = self._http.url("rubygems_api", f"api/v1/gems/{ref.registry_name}.json")
        try:
            document = _json((await self._http.get(url)).body, url)
            if not isinstance(document, dict):
                raise Malformed(f"the registry's answer about {ref.registry_name} is no gem's document", url=url)
        except UpstreamError as error:
            logger.info("gem_links_unavailable", package=ref.purl, kind=error.kind, reason=str(error))
            return None
        return repository_of(document)

    async def import_names(self, package: Package) -> ImportNames:
        """What can be required of the newest gem, mostly from its first bytes; see `Registry.import_names`."""
        if not package.artifacts:
            return ImportNames(self.fallback_names(package.ref))
        parse = partial(read_gem, limits=self._pool.limits, name=package.ref.registry_name)
        return await self._archives.parse_ranged(package.artifacts[0].url, None, parse, window_bytes=WINDOW_BYTES)

    async def near_names(self, ref: PackageRef) -> tuple[str, ...]:
        """What the registry's search finds, those that differ only in case first; see `Registry.near_names`."""
        url = self._http.url("rubygems_api", f"api/v1/search.json?query={quote(ref.registry_name, safe='')}")
        document = _json((await self._http.get(url)).body, url)
        if not isinstance(document, list):
            raise Malformed("the registry's search did not answer with a list", url=url)
        return tuple(sorted(_valid_names(document), key=lambda name: name.lower() != ref.name))

    def fallback_names(self, ref: PackageRef) -> tuple[str, ...]:
        """The name itself, which most gems can be required by."""
        return tuple(clean([ref.registry_name]))

    @staticmethod
    def archive_names(path: str, filename: str) -> ImportNames:
        """What can be required of a gem on disk. Raises ArchiveRefused."""
        with Path(path).open("rb") as file:
            return read_gem(file, ArchiveLimits.from_settings(ArchiveSettings()), None)


def _json(body: bytes, url: str) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"the registry's answer is not JSON ({error})", url=url) from error


def _valid_names(found: list[Any]) -> Iterator[str]:
    for entry in found:
        name = entry.get("name") if isinstance(entry, dict) else None
        if isinstance(name, str):
            try:
                yield names.identify(name).registry_name
            except InvalidName:
                continue
