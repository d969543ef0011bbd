"""This module is the collection of advisory documents in MongoDB (contract, section 3), with its indexes and
look-ups."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeAlias

from pymongo import UpdateOne
from pymongo.collation import Collation, CollationStrength
from pymongo.errors import OperationFailure, PyMongoError

from securechain_ingest.advisories.names import lookup_key, packages, spellings
from securechain_ingest.advisories.upsert import ABSENT, NAMES, REMOVED, WORD, change
from securechain_ingest.drivers import mongodb
from securechain_ingest.drivers.mongodb_errors import store_errors
from securechain_ingest.errors import ConfigError, IngestError
from securechain_ingest.model import PackageRef
from securechain_ingest.settings import VulnerabilitySettings
from securechain_ingest.times import now_iso
from securechain_ingest.yielding import in_pieces

Record: TypeAlias = dict[str, Any]
Affected: TypeAlias = tuple[str, str]
"""It has OSV's word for the ecosystem, and the package's name."""

Remember: TypeAlias = Callable[[set[Affected]], Awaitable[None]]
"""It receives the packages that a write is about before the write begins."""

_BATCH = 500
_COMPARED_AT_ONCE = 50
"""This many records are compared with what the collection holds before the event loop gets a turn."""

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


_TEXTS = {"modified": 1, "published": 1, "summary": 1, "details": 1, WORD: 1}


@dataclass(frozen=True, slots=True)
class Written:
    """It says what became of records."""

    count: int
    """This is the number of records that were new or different."""
    refused: tuple[tuple[str, str], ...]
    """It has (id, reason) for each record that the database cannot hold."""


@dataclass(frozen=True, slots=True)
class Portion:
    """It is a part of all documents, in the order of their ids."""

    affected: set[Affected]
    last: str
    """The next portion begins after this id."""


# Letters that differ in case only are equal; the query must say the same as its index.
_ANY_CASE = Collation("en", strength=CollationStrength.SECONDARY)


class AdvisoryStore:
    """It gives advisory documents by package. Every error is a StoreError."""

    def __init__(self, collection: mongodb.Collection) -> None:
        self._collection = collection

    @classmethod
    @asynccontextmanager
    async def connect(cls, uri: str, settings: VulnerabilitySettings) -> AsyncIterator[AdvisoryStore]:
        """Yield a store over one pool of connections, which the first query opens. It raises ConfigError if `uri` is
        not a MongoDB address."""
        async with AsyncExitStack() as stack:
            try:
                client = await stack.enter_async_context(mongodb.connected(uri, settings.timeout_s))
            except (PyMongoError, ValueError) as error:
                raise ConfigError("[vulnerabilities] uri (or VULN_DB_URI) is not a MongoDB address") from error
            yield cls(client[settings.database][settings.collection])

    def sibling(self, name: str) -> mongodb.Collection:
        """Return another collection of the same database, over the same connections."""
        return self._collection.database[name]

    async def ensure_indexes(self) -> None:
        """Create the indexes that look-ups need: `id` (unique), `aliases`, `modified` and
        `affected.package.name`. For the look-ups of this program there are also indexes that ignore case.

        An old collection may hold one id twice. Then `id` gets a plain index.
        """
        with store_errors():
            await self._collection.create_index("affected.package.name")
            await self._collection.create_index("aliases")
            await self._collection.create_index("modified")
            await self._collection.create_index(
                "affected.package.name", collation=_ANY_CASE, name="affected.package.name_any_case"
            )
            await self._collection.create_index(NAMES, collation=_ANY_CASE, name=f"{NAMES}_any_case")
            try:
                await self._collection.create_index("id", unique=True)
            except OperationFailure:
                await self._collection.create_index("id")

    async def of_packages(self, refs: Collection[PackageRef]) -> dict[str, list[dict[str, Any]]]:
        """Return for each package, by its purl, all documents that name it in any case, and some documents with similar
        names. `matching` decides which of them are about the package.

        One query looks all packages up by the normal form of their names, and another one looks them up in what other
        programs have written.
        """
        names = {name for ref in refs for name in spellings(ref)}
        wanted = sorted({lookup_key(name) for name in names})
        completed = self._found({NAMES: {"$in": wanted}}, _FIELDS, collation=_ANY_CASE)
        others = self._found(
            {"affected.package.name": {"$in": sorted(names)}, NAMES: None}, _FIELDS, collation=_ANY_CASE
        )
        by_name: dict[tuple[str | None, str], list[dict[str, Any]]] = {}
        async for document in in_pieces(chain(*await asyncio.gather(completed, others))):
            for each in {(ecosystem, lookup_key(name)) for ecosystem, name in packages(document)}:
                by_name.setdefault(each, []).append(document)
        return {ref.purl: by_name.get((ref.ecosystem.osv, lookup_key(ref.registry_name)), []) for ref in refs}

    async def texts(self, ids: Collection[str]) -> dict[str, dict[str, Any]]:
        """Return by id what people read of advisories: `summary`, `details` and, if there is one, this program's word
        for the severity."""
        fields = {"_id": 0, "id": 1, "summary": 1, "details": 1, WORD: 1}
        return {each["id"]: each for each in await self._found({"id": {"$in": sorted(ids)}}, fields)}

    async def named(self, identifier: str) -> list[dict[str, Any]]:
        """Return the advisories that have an id as their own or as an alias (CVE-…), with what they affect."""
        return await self._found({"$or": [{"id": identifier}, {"aliases": identifier}]}, _FIELDS)

    async def newest(self, limit: int, *, before: str | None = None) -> list[dict[str, Any]]:
        """Return at most `limit` advisories, the last modified first, with what they affect and what people read. With
        `before` they were modified before that time, which has the form that OSV's records have."""
        query: dict[str, Any] = {"modified": {"$lt": before}} if before else {}
        with store_errors():
            cursor = self._collection.find(query, _FIELDS | _TEXTS).sort("modified", -1).limit(limit)
            return [document async for document in cursor if isinstance(document.get("id"), str)]

    async def whole(self, identifier: str) -> list[dict[str, Any]]:
        """Return the advisories that have an id as their own or as an alias, with all fields."""
        return await self._found({"$or": [{"id": identifier}, {"aliases": identifier}]}, {"_id": 0})

    async def upsert(
        self, records: Collection[Record], remember: Remember, *, announced: Collection[str] = ()
    ) -> Written:
        """Write those records whose documents do not have the same content.

        Before that, `remember` receives the packages that the records affect or have affected. If a caller breaks off
        between the two, these packages are only looked at once more for nothing. `remember` also receives the packages
        of the `announced` ids, because another process may have written these documents without rating anything.
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
        """Return the ids that OSV had of an ecosystem and that are not in `present`, and whether each was missing
        before, too.

        Documents that other programs have put into the collection are left out.
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
        """Note that OSV lacks records. If `removed` is True, they are taken for withdrawn from now on. Otherwise they
        are missing for the first time."""
        now = now_iso()
        if removed:
            await remember({package for document in await self._documents(ids) for package in packages(document)})
        mark = {REMOVED: now} if removed else {ABSENT: True}
        await self._write({each: UpdateOne({"id": each}, {"$set": mark}) for each in ids})

    async def held(self, ids: Collection[str]) -> set[str]:
        """Return those of the ids that the collection has."""
        return {document["id"] for document in await self._documents(ids, {"id": 1})}

    async def portion(self, after: str, limit: int) -> Portion | None:
        """Return the packages that are named by the next `limit` documents after an id. It is None if there are no more
        documents."""
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
        # The query also finds a document whose id is a list that holds one of the ids.
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
        """Write the updates. Return by id why a document was refused."""
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
        """Write the updates. Return why they were refused if the reason lies in their content, or None if they were
        written. Any other error is raised."""
        try:
            with store_errors():
                await self._collection.bulk_write(list(updates), ordered=False)
        except IngestError as error:
            if error.transient:
                raise
            return str(error)
        return None

    async def documents(self) -> AsyncIterator[dict[str, Any]]:
        """Yield all documents that have an id of their own, without the ids that the database gives them."""
        with store_errors():
            async for document in self._collection.find({"id": {"$type": "string"}}, {"_id": 0}).batch_size(_BATCH):
                yield document

    async def restore(self, documents: Sequence[Mapping[str, Any]]) -> None:
        """Write documents of another installation. One that is there already stays, unless its record is older."""
        ids = [document["id"] for document in documents]
        held = {each["id"]: each for each in await self._found({"id": {"$in": ids}}, {"id": 1, "modified": 1})}
        updates = []
        for document in documents:
            there = held.get(document["id"])
            if there is None:
                updates.append(UpdateOne({"id": document["id"]}, {"$setOnInsert": dict(document)}, upsert=True))
            elif str(there.get("modified") or "") < str(document.get("modified") or ""):
                updates.append(UpdateOne({"id": document["id"]}, {"$set": dict(document)}))
        with store_errors():
            if updates:
                await self._collection.bulk_write(updates, ordered=False)

    async def count(self) -> int:
        """Return an estimate of the number of documents."""
        with store_errors():
            return int(await self._collection.estimated_document_count())
