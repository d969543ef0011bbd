"""The collection of advisory documents in MongoDB (contract, section 3): its indexes and the look-up by package."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, TypeAlias

from bson.errors import BSONError
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorCollection
from pymongo import UpdateOne
from pymongo.collation import Collation, CollationStrength
from pymongo.errors import OperationFailure, PyMongoError

from securechain_ingest.advisories.store_errors import explained as _store_error
from securechain_ingest.advisories.upsert import ABSENT, REMOVED, change, packages
from securechain_ingest.errors import ConfigError
from securechain_ingest.settings import VulnerabilitySettings

Record: TypeAlias = dict[str, Any]
Affected: TypeAlias = tuple[str, str]
"""OSV's word for the ecosystem, and the package's name."""

_BATCH = 500

_FIELDS = {
    "_id": 0,
    "id": 1,
    "withdrawn": 1,
    "severity": 1,
    "affected.package": 1,
    "affected.versions": 1,
    "affected.ranges": 1,
    "affected.severity": 1,
    REMOVED: 1,
}


# Letters that differ in case only are equal; the query must say the same as its index.
_ANY_CASE = Collation("en", strength=CollationStrength.SECONDARY)


class AdvisoryStore:
    """Advisory documents by package. Every error is a StoreError."""

    def __init__(self, collection: AsyncIOMotorCollection[dict[str, Any]]) -> None:
        self._collection = collection

    @classmethod
    @asynccontextmanager
    async def connect(cls, uri: str, settings: VulnerabilitySettings) -> AsyncIterator[AdvisoryStore]:
        """A store over one pool of connections, contacted by the first query. Raises ConfigError for no address."""
        milliseconds = int(settings.timeout_s * 1000)
        try:
            client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(
                uri, serverSelectionTimeoutMS=milliseconds, socketTimeoutMS=milliseconds, connectTimeoutMS=milliseconds
            )
        except (PyMongoError, ValueError) as error:
            raise ConfigError("[vulnerabilities] uri (or VULN_DB_URI) is not a MongoDB address") from error
        try:
            yield cls(client[settings.database][settings.collection])
        finally:
            client.close()

    def sibling(self, name: str) -> AsyncIOMotorCollection[dict[str, Any]]:
        """Another collection of the same database, over the same connections."""
        return self._collection.database[name]

    async def ensure_indexes(self) -> None:
        """The indexes that look-ups need: `id` (unique), `affected.package.name`, and that in any case for our own.

        An old collection may hold one id twice; then a plain index on `id` has to do.
        """
        try:
            await self._collection.create_index("affected.package.name")
            await self._collection.create_index(
                "affected.package.name", collation=_ANY_CASE, name="affected.package.name_any_case"
            )
            try:
                await self._collection.create_index("id", unique=True)
            except OperationFailure:
                await self._collection.create_index("id")
        except PyMongoError as error:
            raise _store_error(error) from error

    async def of_package(self, names: Collection[str]) -> list[dict[str, Any]]:
        """All documents that have one of the names, in any case and any ecosystem, in one query.

        Whether they are about the package is said by `matching`.
        """
        try:
            cursor = self._collection.find(
                {"affected.package.name": {"$in": sorted(names)}}, _FIELDS, collation=_ANY_CASE
            )
            return [document async for document in cursor]
        except PyMongoError as error:
            raise _store_error(error) from error

    async def upsert(self, records: Collection[Record], remember: Callable[[set[Affected]], Awaitable[None]]) -> int:
        """Write those records that are new or have another time of change; how many.

        Before that `remember` is told which packages they affect or have affected: whoever breaks off between the two
        has only to look at these once more for nothing.
        """
        found = {document["id"]: document for document in await self._documents([record["id"] for record in records])}
        changed = [record for record in records if _differs(record, found.get(record["id"]))]
        if not changed:
            return 0
        affected = {package for record in changed for package in packages(record)}
        affected |= {package for record in changed for package in packages(found.get(record["id"], {}))}
        await remember(affected)
        updates = [
            UpdateOne({"id": each["id"]}, change(each, found.get(each["id"], {})), upsert=True) for each in changed
        ]
        await self._write(updates)
        return len(changed)

    async def settle_absent(
        self, ecosystem: str, present: Collection[str], remember: Callable[[set[Affected]], Awaitable[None]]
    ) -> int:
        """Take for withdrawn what OSV had of an ecosystem and twice in a row has not; how many documents.

        `present`: the ids that it has now. What other programs have put into the collection is left alone.
        """
        wanted = {"affected.package.ecosystem": ecosystem, "schema_version": {"$exists": True}, REMOVED: None}
        try:
            held = self._collection.find(wanted, {"id": 1, ABSENT: 1, "affected.package": 1})
            gone = [document async for document in held if document["id"] not in present]
        except PyMongoError as error:
            raise _store_error(error) from error
        twice = [document for document in gone if document.get(ABSENT)]
        await remember({package for document in twice for package in packages(document)})
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        marks = {document["id"]: {REMOVED: now} if document.get(ABSENT) else {ABSENT: True} for document in gone}
        await self._write([UpdateOne({"id": identifier}, {"$set": mark}) for identifier, mark in marks.items()])
        return len(twice)

    async def held(self, ids: Collection[str]) -> set[str]:
        """Those of the ids that there are."""
        return {document["id"] for document in await self._documents(ids)}

    async def _documents(self, ids: Collection[str]) -> list[dict[str, Any]]:
        try:
            return [document async for document in self._collection.find({"id": {"$in": list(ids)}})]
        except PyMongoError as error:
            raise _store_error(error) from error

    async def _write(self, updates: list[UpdateOne]) -> None:
        try:
            for start in range(0, len(updates), _BATCH):
                await self._collection.bulk_write(updates[start : start + _BATCH], ordered=False)
        except (PyMongoError, BSONError, OverflowError) as error:
            raise _store_error(error) from error

    async def count(self) -> int:
        """How many documents there are, roughly."""
        try:
            return int(await self._collection.estimated_document_count())
        except PyMongoError as error:
            raise _store_error(error) from error


def _differs(record: Record, held: Record | None) -> bool:
    """Whether it is to be written; one that was taken for withdrawn is there after all."""
    return held is None or held.get("modified") != record["modified"] or ABSENT in held or REMOVED in held
