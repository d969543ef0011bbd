"""This module finds out which importable names a release adds and takes away, and keeps them in MongoDB.

A release is compared with the one whose archive was read before it. Its version in the graph keeps how many names
differ; the names themselves are in a collection of their own (contract, section 3).

There is no comparison where a difference would prove nothing: after the first archive of a package, if the version that
was read before is newer, if a part of the names may be missing on either side, or if another parser has read the older
archive.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from pymongo import ReplaceOne

from securechain_ingest.drivers.mongodb import Collection
from securechain_ingest.drivers.mongodb_errors import store_errors
from securechain_ingest.errors import StoreFull, StoreRefused
from securechain_ingest.model import Ecosystem, ImportNames, KnownPackage, NamesChange, Package

MAX_KEPT_NAMES: Final = 5_000
"""The document of a release has at most so many names of each kind. Its counts are those of all names."""

_AT_ONCE: Final = 100

NamesOf = Callable[[Ecosystem, str, str], Awaitable[tuple[str, ...] | None]]
"""It returns the import names that the graph has of a purl, if they are those of the version that is named."""

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class KeptNames:
    """These are the names of one comparison that the collection has."""

    before: str
    """The names are compared with those of this version."""
    added: tuple[str, ...]
    removed: tuple[str, ...]
    """Both are sorted, and have the first MAX_KEPT_NAMES names at most."""


class ReleaseChanges:
    """This is the collection of the names that differ. It has one document for each version that was compared."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    async def keep(self, version_purl: str, change: NamesChange, ecosystem: Ecosystem) -> None:
        """Store the difference in place of an earlier one of the same version. Raise StoreError."""
        document = {
            "_id": version_purl,
            "version": change.version,
            "before": change.before,
            "added_count": len(change.added),
            "removed_count": len(change.removed),
            "added": change.added[:MAX_KEPT_NAMES],
            "removed": change.removed[:MAX_KEPT_NAMES],
            "parser": ecosystem.import_names_version,
            "compared_at": datetime.now(UTC),
        }
        with store_errors():
            await self._collection.replace_one({"_id": version_purl}, document, upsert=True)

    async def documents(self) -> AsyncIterator[dict[str, Any]]:
        """Yield all documents. Raise StoreError."""
        with store_errors():
            async for document in self._collection.find({}).batch_size(_AT_ONCE):
                yield document

    async def restore(self, documents: Sequence[dict[str, Any]]) -> None:
        """Write documents of another installation, which replace those of the same versions. Raise StoreError."""
        with store_errors():
            updates = [ReplaceOne({"_id": document["_id"]}, document, upsert=True) for document in documents]
            await self._collection.bulk_write(updates, ordered=False)

    async def get(self, version_purl: str) -> KeptNames | None:
        """Return the names that are kept of a version, or None if there are none. Raise StoreError."""
        with store_errors():
            document: dict[str, Any] | None = await self._collection.find_one({"_id": version_purl})
        if document is None:
            return None
        return KeptNames(document["before"], tuple(document["added"]), tuple(document["removed"]))


async def with_change(
    names: ImportNames, package: Package, known: KnownPackage | None, names_of: NamesOf, changes: ReleaseChanges
) -> ImportNames:
    """Return the names with their difference from those in the graph, which is kept before that. Raise StoreError.

    The names are returned unchanged if they cannot be compared. `known` is what the graph has of the package. The names
    in the graph are replaced only after this, so that whoever repeats it after a failure finds the same difference.
    """
    ecosystem = package.ref.ecosystem
    if names.version is None or known is None or known.names_of is None:
        return names
    if not is_newer(ecosystem, names.version, known.names_of):
        return names
    version = next((each for each in package.versions if each.name == names.version), None)
    before = await names_of(ecosystem, known.purl, known.names_of)
    if version is None or before is None:
        return names
    change = NamesChange(
        names.version,
        known.names_of,
        added=tuple(sorted(set(names.names).difference(before))),
        removed=tuple(sorted(set(before).difference(names.names))),
    )
    try:
        await changes.keep(version.purl, change, ecosystem)
    except (StoreRefused, StoreFull) as error:
        # Only another attempt that finds room or a right could keep them; the counts go to the graph all the same.
        logger.warning(
            "changed_names_not_kept", package=package.ref.purl, package_version=version.name, reason=str(error)
        )
    logger.info(
        "import_names_compared",
        package=package.ref.purl,
        package_version=change.version,
        before=change.before,
        added=len(change.added),
        removed=len(change.removed),
    )
    return replace(names, change=change)


def is_newer(ecosystem: Ecosystem, version: str, before: str) -> bool:
    """Return whether a version comes after another one in the ecosystem's order. Names without an order do not."""
    try:
        return bool(ecosystem.version_key(version) > ecosystem.version_key(before))
    except ValueError:
        return False
