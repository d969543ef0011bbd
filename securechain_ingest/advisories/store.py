"""The collection of advisory documents in MongoDB (contract, section 3), with its indexes and look-ups."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from bson.errors import BSONError
from pymongo import UpdateOne
from pymongo.collation import Collation, CollationStrength
from pymongo.errors import OperationFailure, PyMongoError

from securechain_ingest import mongodb
from securechain_ingest.advisories.names import lookup_key, packages
from securechain_ingest.advisories.upsert import ABSENT, NAMES, REMOVED, WORD, change
from securechain_ingest.errors import ConfigError
from securechain_ingest.mongodb_errors import explained, store_errors
from securechain_ingest.settings import VulnerabilitySettings

Record: TypeAlias = dict[str, Any]
Affected: TypeAlias = tuple[str, str]
"""OSV's word for the ecosystem, and the package's name."""

Remember: TypeAlias = Callable[[set[Affected]], Awaitable[None]]
"""Receives the packages that a write is about before the write begins."""

_BATCH = 500
_COMPARED_AT_ONCE = 50
"""So many records are compared with what is held between two looks at the event loop."""

_FIELDS = {
    "_id": 0,
    "id": 1,
    "withdrawn": 1,
    "aliases": 1,
    "severity": 1,
    "affected.package": 1,
    "affected.versions": 1,
    "affected.ranges": 1,
    "affected.severity": 1,
    REMOVED: 1,
}


@dataclass(frozen=True, slots=True)
class Written:
    """What became of records."""

    count: int
    """How many were new or different."""
    refused: tuple[tuple[str, str], ...]
    """(id, reason) of those that the database cannot hold."""


@dataclass(frozen=True, slots=True)
class Portion:
    """Some of all documents, in the order of their ids."""

    affected: set[Affected]
    last: str
    """The id to go on behind."""


# Letters that differ in case only are equal; the query must say the same as its index.
_ANY_CASE = Collation("en", strength=CollationStrength.SECONDARY)


class AdvisoryStore:
    """Advisory documents by package. Every error is a StoreError."""

    def __init__(self, collection: mongodb.Collection) -> None:
        self._collection = collection

    @classmethod
    @asynccontextmanager
    async def connect(cls, uri: str, settings: VulnerabilitySettings) -> AsyncIterator[AdvisoryStore]:
        """A store over one pool of connections, contacted by the first query. Raises ConfigError for no address."""
        async with AsyncExitStack() as stack:
            try:
                client = await stack.enter_async_context(mongodb.connected(uri, settings.timeout_s))
            except (PyMongoError, ValueError) as error:
                raise ConfigError("[vulnerabilities] uri (or VULN_DB_URI) is not a MongoDB address") from error
            yield cls(client[settings.database][settings.collection])

    def sibling(self, name: str) -> mongodb.Collection:
        """Another collection of the same database, over the same connections."""
        return self._collection.database[name]

    async def ensure_indexes(self) -> None:
        """The indexes that look-ups need: `id` (unique), `aliases`, `affected.package.name`, also in any case for ours.

        An old collection may hold one id twice; then a plain index on `id` has to do.
        """
        with store_errors():
            await self._collection.create_index("affected.package.name")
            await self._collection.create_index("aliases")
            await self._collection.create_index(
                "affected.package.name", collation=_ANY_CASE, name="affected.package.name_any_case"
            )
            await self._collection.create_index(NAMES, collation=_ANY_CASE, name=f"{NAMES}_any_case")
            try:
                await self._collection.create_index("id", unique=True)
            except OperationFailure:
                await self._collection.create_index("id")

    async def of_package(self, names: Collection[str]) -> list[dict[str, Any]]:
        """Find all documents that have one of the names, in any case and any ecosystem, and some of similar names.

        `matching` decides which of them are about a package. The names may be those of many packages. One query looks
        them up by their normal form, and another one in what other programs have written.
        """
        wanted = sorted({lookup_key(name) for name in names})
        completed = self._found({NAMES: {"$in": wanted}}, _FIELDS, collation=_ANY_CASE)
        others = self._found(
            {"affected.package.name": {"$in": sorted(names)}, NAMES: None}, _FIELDS, collation=_ANY_CASE
        )
        return [document for found in await asyncio.gather(completed, others) for document in found]

    async def texts(self, ids: Collection[str]) -> dict[str, dict[str, Any]]:
        """What people read of advisories, by id: `summary`, `details` and our word for the severity, if it has one."""
        fields = {"_id": 0, "id": 1, "summary": 1, "details": 1, WORD: 1}
        return {each["id"]: each for each in await self._found({"id": {"$in": sorted(ids)}}, fields)}

    async def named(self, identifier: str) -> list[dict[str, Any]]:
        """The advisories that have an id, as their own or as an alias (CVE-…), with what they affect."""
        return await self._found({"$or": [{"id": identifier}, {"aliases": identifier}]}, _FIELDS)

    async def upsert(
        self, records: Collection[Record], remember: Remember, *, announced: Collection[str] = ()
    ) -> Written:
        """Write those records whose documents have not the same content.

        Before that `remember` receives the packages that they affect or have affected: a caller that breaks off between
        the two only looks at these once more for nothing. It also receives the packages of the `announced` ids, which
        somebody else may have written without rating anything.
        """
        held = {document["id"]: document for document in await self._documents([record["id"] for record in records])}
        updates: dict[str, UpdateOne] = {}
        affected: set[Affected] = set()
        for number, record in enumerate(records):
            if number % _COMPARED_AT_ONCE == 0:
                await asyncio.sleep(0)
            identifier = record["id"]
            document = held.get(identifier, {})
            if update := change(record, document):
                updates[identifier] = UpdateOne({"id": identifier}, update, upsert=True)
            if update or identifier in announced:
                affected.update(packages(record), packages(document))
        if affected:
            await remember(affected)
        refused = await self._write(updates)
        return Written(len(updates) - len(refused), tuple(refused.items()))

    async def missing(self, ecosystem: str, present: Collection[str]) -> dict[str, bool]:
        """The ids that OSV had of an ecosystem and that are not `present`; whether each was missed before, too.

        What other programs have put into the collection is left alone.
        """
        with_suffix = re.compile(f"^{re.escape(ecosystem)}:")
        wanted = {
            "affected.package.ecosystem": {"$in": [ecosystem, with_suffix]},
            "schema_version": {"$exists": True},
            REMOVED: None,
        }
        held = await self._found(wanted, {"id": 1, ABSENT: 1})
        return {
            each["id"]: bool(each.get(ABSENT))
            for each in held
            if isinstance(each.get("id"), str) and each["id"] not in present
        }

    async def mark_missing(self, ids: Collection[str], remember: Remember, *, removed: bool) -> None:
        """Note that OSV lacks records: for the first time, or that they are taken for withdrawn from now on."""
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        if removed:
            await remember({package for document in await self._documents(ids) for package in packages(document)})
        mark = {REMOVED: now} if removed else {ABSENT: True}
        await self._write({each: UpdateOne({"id": each}, {"$set": mark}) for each in ids})

    async def held(self, ids: Collection[str]) -> set[str]:
        """Give those of the ids that the collection has."""
        return {document["id"] for document in await self._documents(ids, {"id": 1})}

    async def portion(self, after: str, limit: int) -> Portion | None:
        """Give the packages that the next `limit` documents behind an id name; None if there are no more documents."""
        fields = {"id": 1, "affected.package": 1}
        found = await self._found({"id": {"$gt": after}}, fields, sort="id", limit=limit)
        if not found:
            return None
        last = found[-1]["id"]
        # An old collection may hold one id twice.
        found += await self._found({"id": last}, fields)
        return Portion({package for document in found for package in packages(document)}, last)

    async def _documents(self, ids: Collection[str], fields: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        found = await self._found({"id": {"$in": list(ids)}}, fields)
        # A list that holds one of the ids is found, too.
        return [document for document in found if isinstance(document["id"], str)]

    async def _found(
        self,
        query: Mapping[str, Any],
        fields: Mapping[str, Any] | None = None,
        *,
        collation: Collation | None = None,
        sort: str | None = None,
        limit: int = 0,
    ) -> list[dict[str, Any]]:
        with store_errors():
            cursor = self._collection.find(query, fields, collation=collation, limit=limit)
            return [document async for document in (cursor.sort(sort, 1) if sort else cursor)]

    async def _write(self, updates: Mapping[str, UpdateOne]) -> dict[str, str]:
        """Write the updates, and give by id why a document was refused."""
        refused: dict[str, str] = {}
        ids = list(updates)
        for start in range(0, len(ids), _BATCH):
            some = ids[start : start + _BATCH]
            if await self._refusal([updates[each] for each in some]) is not None:
                for each in some:
                    if (reason := await self._refusal([updates[each]])) is not None:
                        refused[each] = reason
        return refused

    async def _refusal(self, updates: Sequence[UpdateOne]) -> str | None:
        """Write, and say why that was refused if the reason lies in what was to be written."""
        try:
            await self._collection.bulk_write(list(updates), ordered=False)
        except (PyMongoError, BSONError, OverflowError) as error:
            ours = explained(error)
            if ours.transient:
                raise ours from error
            return str(ours)
        return None

    async def count(self) -> int:
        """Estimate how many documents there are."""
        with store_errors():
            return int(await self._collection.estimated_document_count())
