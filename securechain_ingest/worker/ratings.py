"""This module rates the versions of the packages that are in work.

Packages that come in a stream share the queries of the advisories, since most of what a query costs does not depend on
the number of packages that it asks for.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import structlog

from securechain_ingest.advisories.matching import rated
from securechain_ingest.advisories.records import Document
from securechain_ingest.advisories.store import AdvisoryStore
from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.errors import ArchiveRefused
from securechain_ingest.model import PackageRef, Rating
from securechain_ingest.together import Together

_AT_ONCE: Final = 50
"""One look-up is about so many packages at the most."""
_LINGER_S: Final = 0.03
"""A look-up waits so many seconds for further packages of a stream."""

logger = structlog.get_logger(__name__)


class Ratings:
    """This rates versions by the advisories that MongoDB has of their package. `pool` does so for a package with very
    many advisories."""

    def __init__(self, advisories: AdvisoryStore, pool: ParserPool | None = None) -> None:
        async def look_up(refs: Sequence[PackageRef]) -> list[Sequence[Document]]:
            found = await advisories.of_packages(refs)
            return [found[ref.purl] for ref in refs]

        self._documents = Together(look_up, most=_AT_ONCE, linger_s=_LINGER_S)
        self._pool = pool

    async def of(self, ref: PackageRef, versions: Collection[str]) -> dict[str, Rating] | None:
        """Return the ratings of a package by version name. It raises StoreError.

        The result is None if they cannot be computed within the limits; then the graph keeps the ratings that it has.
        Versions of an ecosystem that OSV does not have get the empty rating, because clients need a number.
        """
        documents = await self._documents.add(ref) if ref.ecosystem.osv is not None else ()
        try:
            return await rated(self._pool, ref, versions, documents)
        except ArchiveRefused as error:
            logger.warning("package_not_rated", package=ref.purl, kind=error.kind, reason=str(error))
            return None
