"""The advisories of OSV into the collection, and from there to the versions in the graph; no registry is asked.

Which packages a record is about is remembered in Redis before the record is written, and forgotten when their versions
have been rated: a sync that is broken off anywhere is gone on with by the next. A worker may have read the advisories
of a package before a record was written, and write its versions after they were rated; so whatever was rated is rated
once more by the next sync.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
import structlog
from redis.asyncio import Redis

from securechain_ingest.advisories.matching import rate, spellings
from securechain_ingest.advisories.osv import WITHOUT_ECOSYSTEM, Modified, OsvBucket, Record, chunks
from securechain_ingest.advisories.store import AdvisoryStore, Affected
from securechain_ingest.errors import InvalidName, Malformed, NotFound
from securechain_ingest.graph.store import Graph
from securechain_ingest.jobs.cursors import Cursor, Cursors
from securechain_ingest.model import Link, PackageRef
from securechain_ingest.redis_errors import store_errors
from securechain_ingest.registries.protocol import Registry
from securechain_ingest.registries.together import for_each
from securechain_ingest.runs import Run

SINGLE_RECORDS: Final = 2_000
"""Above so many changed records the archive of the ecosystem costs less."""

_AT_ONCE: Final = 8
_OVERLAP: Final = timedelta(hours=1)
"""The time of a change and that of its publication differ."""
_LOOKED_UP: Final = 1_000
_RATED: Final = 50

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class AdvisorySync:
    """Where a sync reads and writes."""

    bucket: OsvBucket
    store: AdvisoryStore
    graph: Graph
    redis: Redis
    stream: str
    registries: Collection[Registry]
    reconcile_s: float
    """All records of an ecosystem are compared when that was last done so long ago."""

    async def run(self, run: Run) -> None:
        """One sync. Raises IngestError; the cursors then stay where they were."""
        run.metrics |= dict.fromkeys(
            ("advisories_read", "advisories_written", "withdrawn", "packages_rated", "errors"), 0
        )
        cursors = Cursors(self.redis, self.stream)
        await self._rate(run, self._rated_before, None)
        moved: dict[str, tuple[str, bool]] = {}
        for ecosystem in (*sorted(registry.ecosystem.osv for registry in self.registries), WITHOUT_ECOSYSTEM):
            cursor = await cursors.get(f"osv:{ecosystem}")
            if (reached := await self._read(ecosystem, cursor, run)) is not None:
                moved[ecosystem] = reached
        await self._rate(run, self._unrated, self._rated_before)
        for ecosystem, (value, reconciled) in moved.items():
            await cursors.move(f"osv:{ecosystem}", value, run.id, reconciled=reconciled)
        run.cursor_after = ", ".join(f"{ecosystem} {orjson.loads(value)[0]}" for ecosystem, (value, _) in moved.items())

    @property
    def _unrated(self) -> str:
        """Set: the packages that written records affect or have affected."""
        return f"{self.stream}-unrated"

    @property
    def _rated_before(self) -> str:
        """Set: the packages that the last sync has rated."""
        return f"{self.stream}-rated"

    async def _read(self, ecosystem: str, cursor: Cursor | None, run: Run) -> tuple[str, bool] | None:
        """Take in what has changed; the new cursor, and whether all was compared. None: nothing has changed."""
        since, validator = _times(cursor)
        is_due = cursor is None or cursor.reconciled_before(datetime.now(UTC) - timedelta(seconds=self.reconcile_s))
        compares_all = ecosystem != WITHOUT_ECOSYSTEM and (is_due or run.options.get("reconcile") == "true")
        found = await self.bucket.modified(ecosystem, _earlier(since), None if compares_all else validator)
        if found is None:
            return None
        has_gone_back = bool(since) and (not found.newest or _moment(found.newest) < _moment(since))
        if has_gone_back:
            logger.warning("cursor_lost", ecosystem=f"osv:{ecosystem}", reason="the list of changes went back")
        if ecosystem == WITHOUT_ECOSYSTEM:
            await self._read_homeless(found, run)
        elif compares_all or has_gone_back or len(found.ids) > SINGLE_RECORDS:
            await self._read_all(ecosystem, run)
            compares_all = True
        else:
            await self._read_single(ecosystem, found.ids, run)
        return orjson.dumps([found.newest, found.validator]).decode(), compares_all

    async def _read_homeless(self, found: Modified, run: Run) -> None:
        """Of the records without an ecosystem only those that had one of ours before."""
        for ids in chunks(found.ids):
            await self._read_single(WITHOUT_ECOSYSTEM, tuple(await self.store.held(ids)), run)

    async def _read_single(self, ecosystem: str, ids: tuple[str, ...], run: Run) -> None:
        for some in chunks(ids):
            records: list[Record] = []

            async def read(identifier: str, records: list[Record] = records) -> None:
                try:
                    records.append(await self.bucket.record(ecosystem, identifier))
                except (NotFound, Malformed) as error:
                    # Gone since, or for the next comparison of all.
                    self._report_unreadable(str(error), run)

            await for_each(some, read, at_once=_AT_ONCE, name="advisory")
            await self._write(records, run)

    async def _read_all(self, ecosystem: str, run: Run) -> None:
        present: set[str] = set()
        async with self.bucket.everything(ecosystem) as batches:
            async for batch in batches:
                records = [record for record in batch if not isinstance(record, str)]
                for reason in batch:
                    if isinstance(reason, str):
                        self._report_unreadable(reason, run)
                present.update(record["id"] for record in records)
                await self._write(records, run)
        run.metrics["withdrawn"] += await self.store.settle_absent(ecosystem, present, self._remember)

    def _report_unreadable(self, reason: str, run: Run) -> None:
        logger.warning("advisory_unreadable", reason=reason)
        run.metrics["errors"] += 1

    async def _write(self, records: list[Record], run: Run) -> None:
        run.metrics["advisories_read"] += len(records)
        run.metrics["advisories_written"] += await self.store.upsert(records, self._remember)
        await run.report()

    async def _remember(self, affected: set[Affected]) -> None:
        members = [orjson.dumps(package) for package in sorted(affected)]
        with store_errors():
            for start in range(0, len(members), _LOOKED_UP):
                await self.redis.sadd(self._unrated, *members[start : start + _LOOKED_UP])

    async def _rate(self, run: Run, key: str, then: str | None) -> None:
        """Rate the packages of a set and take them out of it, into `then` if that is given."""
        while members := await self._members(key):
            await self._rate_some([orjson.loads(member) for member in members], run)
            with store_errors():
                async with self.redis.pipeline() as pipeline:
                    if then is not None:
                        pipeline.sadd(then, *members)
                    pipeline.srem(key, *members)
                    await pipeline.execute()
            await run.report()

    async def _members(self, key: str) -> list[Any]:
        with store_errors():
            return list(await self.redis.srandmember(key, _LOOKED_UP) or ())

    async def _rate_some(self, affected: list[Affected], run: Run) -> None:
        refs = self._refs(affected)
        known = await self.graph.known(list(refs.values()))
        for start in range(0, len(known), _RATED):
            links = []
            for purl, package in list(known.items())[start : start + _RATED]:
                documents = await self.store.of_package(spellings(refs[purl]))
                ratings = rate(refs[purl], package.versions, documents)
                links.append(Link(refs[purl], (), follow=False, repeat_follow=False, checked_at=None, ratings=ratings))
            await self.graph.link(links)
        run.metrics["packages_rated"] += len(known)

    def _refs(self, affected: list[Affected]) -> Mapping[str, PackageRef]:
        """By purl the packages of our ecosystems; names that no package can have are left out."""
        registries = {registry.ecosystem.osv: registry for registry in self.registries}
        refs: dict[str, PackageRef] = {}
        for ecosystem, name in affected:
            if ecosystem in registries:
                try:
                    ref = registries[ecosystem].identify(name)
                except InvalidName as error:
                    logger.debug("advisory_name_invalid", ecosystem=ecosystem, name=name, reason=str(error))
                else:
                    refs[ref.purl] = ref
        return refs


def _times(cursor: Cursor | None) -> tuple[str, str | None]:
    """The time of the newest change seen (empty: none) and the validator of that list."""
    try:
        match orjson.loads(cursor.value) if cursor else None:
            case [str(since), str(validator) | (None as validator)]:
                _ = _moment(since) if since else None
                return since, validator
    except ValueError:
        pass
    return "", None


def _earlier(since: str) -> str:
    return (_moment(since) - _OVERLAP).isoformat() if since else ""


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
