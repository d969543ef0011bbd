"""The collection of advisory documents in MongoDB (contract, section 3): its indexes and the look-up by package."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorCollection
from pymongo.collation import Collation, CollationStrength
from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError

from securechain_ingest.errors import ConfigError, StoreAway, StoreError
from securechain_ingest.settings import VulnerabilitySettings

_FIELDS = {
    "_id": 0,
    "id": 1,
    "withdrawn": 1,
    "severity": 1,
    "affected.package": 1,
    "affected.versions": 1,
    "affected.ranges": 1,
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

    async def count(self) -> int:
        """How many documents there are, roughly."""
        try:
            return int(await self._collection.estimated_document_count())
        except PyMongoError as error:
            raise _store_error(error) from error


def _store_error(error: PyMongoError) -> StoreError:
    kind = StoreAway if isinstance(error, ConnectionFailure) else StoreError
    return kind(f"the advisory database did not answer ({type(error).__name__})")
