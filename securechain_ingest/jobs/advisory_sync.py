"""This module reads OSV's advisories into the collection and rates the versions in the graph by them. It asks no
registry.

Each ecosystem is independent: if something of one cannot be read, the others are not affected, and what was known of it
before stays. If a sync is interrupted anywhere, the next one continues it (`advisory_rating` says how).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Final

import orjson
import structlog
from redis.asyncio import Redis

from securechain_ingest.advisories.osv import (
    EVERYWHERE,
    MAX_SENTENCES,
    WITHOUT_ECOSYSTEM,
    Modified,
    OsvBucket,
    Record,
    chunks,
    moment,
)
from securechain_ingest.advisories.store import AdvisoryStore
from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.drivers.redis_errors import store_errors
from securechain_ingest.errors import (
    ArchiveRefused,
    ConfigError,
    IngestError,
    Malformed,
    NotFound,
    ParserLost,
    StoreError,
    TooLarge,
    Unavailable,
)
from securechain_ingest.graph.store import Graph
from securechain_ingest.jobs.advisory_rating import AdvisoryRating
from securechain_ingest.jobs.cursors import Cursor, Cursors
from securechain_ingest.queue.keys import Keys
from securechain_ingest.registries.kit.concurrency import for_each
from securechain_ingest.registries.protocol import Registry
from securechain_ingest.runs import Run

SINGLE_RECORDS: Final = 2_000
"""If more records than this have changed, it costs less to read the archive of the ecosystem."""

MAX_FAILURES: Final = 10
"""If more single records than this cannot be read at the moment, OSV's bucket counts as unreadable."""

_AT_ONCE: Final = 8
_OVERLAP: Final = timedelta(hours=1)
"""The list is read from so much earlier, because the time of a change and the time of its publication differ."""

logger = structlog.get_logger(__name__)


def cursor_name(ecosystem: str) -> str:
    """Return the name of the cursor that says how far the advisories of an ecosystem (OSV's name of it) have been
    followed."""
    return f"osv:{ecosystem}"


async def never_read(cursors: Cursors, store: AdvisoryStore, ecosystems: Collection[str]) -> list[str]:
    """Return those of the ecosystems (OSV's names) whose advisories no sync has read completely, so that nothing is
    known of them.

    If the collection has no document, its content has been lost since, unless the list of changes was empty. It raises
    StoreError.
    """
    held = await cursors.all()
    is_empty = await store.count() == 0
    return sorted(each for each in ecosystems if not _is_read(held.get(cursor_name(each)), is_empty=is_empty))


@dataclass(frozen=True)
class AdvisorySync:
    """This has the source that a sync reads and the stores that it reads and writes."""

    bucket: OsvBucket
    store: AdvisoryStore
    graph: Graph
    redis: Redis
    stream: str
    registries: Collection[Registry]
    reconcile_s: float
    """All records of an ecosystem are compared when the last such comparison is so many seconds old."""
    pool: ParserPool | None = None
    """Much rating is done in this pool; with None it is done in this process."""

    async def run(self, run: Run, only: Collection[str] | None = None) -> None:
        """Do one sync, of only some ecosystems (OSV's names) if `only` names them.

        It raises StoreError, or the first of the errors that kept a part from being read. That is after all other parts
        have been read and rated; the cursor of such a part stays where it was.
        """
        metrics = ("advisories_read", "advisories_written", "withdrawn", "packages_rated", "errors")
        run.metrics |= dict.fromkeys(metrics, 0)
        if only is None:
            await self._rating.rate_again(run)
            await self._rating.rate_by_new_rule(run)
        named = {osv for registry in self.registries if (osv := registry.ecosystem.osv) is not None}
        parts = only if only is not None else named
        failures: list[IngestError] = []
        is_empty = await self.store.count() == 0
        for ecosystem in sorted(parts):
            await self._sync(ecosystem, run, failures, is_empty=is_empty)
        if only is None:
            await self._sync_homeless(run, failures)
        if failures:
            raise failures[0]

    @cached_property
    def _rating(self) -> AdvisoryRating:
        return AdvisoryRating(self.store, self.graph, self.redis, self.stream, self.registries, self.pool)

    @property
    def _cursors(self) -> Cursors:
        return Cursors(self.redis, self.stream)

    async def _sync(self, ecosystem: str, run: Run, failures: list[IngestError], *, is_empty: bool) -> None:
        """Write what has changed in one ecosystem, rate it, and move the ecosystem's cursor."""
        cursor = await self._cursors.get(cursor_name(ecosystem))
        if not _is_read(cursor, is_empty=is_empty):
            cursor = None
        reached: tuple[Modified, bool] | None = None
        try:
            reached = await self._read(ecosystem, cursor, run, failures)
        except (StoreError, ConfigError):
            raise
        except IngestError as error:
            self._report_failure(ecosystem, error, run, failures)
        await self._rating.rate_remembered(run)
        if reached is not None:
            await self._move(ecosystem, *reached, run)

    async def _sync_homeless(self, run: Run, failures: list[IngestError]) -> None:
        """Write the records that have lost their ecosystem. They come from the folder of records without an
        ecosystem or, if OSV has none, from the list of all records."""
        try:
            for folder in (WITHOUT_ECOSYSTEM, EVERYWHERE):
                cursor = await self._cursors.get(cursor_name(folder))
                since, validator = _times(cursor)
                try:
                    found = await self.bucket.modified(folder, _earlier(since), validator)
                except NotFound:
                    if folder == EVERYWHERE:
                        raise
                    continue
                if found is not None:
                    self._report_lines(found, run)
                    for ids in chunks(found.ids):
                        # Only records that the collection has are read: they had one of its ecosystems before.
                        await self._read_changed(WITHOUT_ECOSYSTEM, tuple(await self.store.held(ids)), run)
                    await self._rating.rate_remembered(run)
                    await self._move(folder, found, False, run)
                return
        except (StoreError, ConfigError):
            raise
        except IngestError as error:
            self._report_failure(WITHOUT_ECOSYSTEM, error, run, failures)
            await self._rating.rate_remembered(run)

    async def _move(self, folder: str, found: Modified, is_complete: bool, run: Run) -> None:
        value = orjson.dumps([found.newest, found.validator]).decode()
        await self._cursors.move(cursor_name(folder), value, run.id, reconciled=is_complete)
        so_far = f"{run.cursor_after}, " if run.cursor_after else ""
        run.cursor_after = f"{so_far}{folder} {found.newest}"

    async def _read(
        self, ecosystem: str, cursor: Cursor | None, run: Run, failures: list[IngestError]
    ) -> tuple[Modified, bool] | None:
        """Write what has changed. The result is the list of changes and whether all records were compared; it is
        None if nothing has changed."""
        since, validator = _times(cursor)
        is_due = cursor is None or cursor.reconciled_before(datetime.now(UTC) - timedelta(seconds=self.reconcile_s))
        compares_all = is_due or run.options.get("reconcile") == "true"
        found = await self.bucket.modified(ecosystem, _earlier(since), None if compares_all else validator)
        await self._read_left_out(ecosystem, run)
        if found is None:
            return None
        self._report_lines(found, run)
        if bool(since) and (not found.newest or moment(found.newest) < moment(since)):
            logger.warning("cursor_lost", ecosystem=cursor_name(ecosystem), reason="the list of changes went back")
            compares_all = True
        if not compares_all and len(found.ids) <= SINGLE_RECORDS:
            await self._read_changed(ecosystem, found.ids, run)
            return found, False
        try:
            await self._read_all(ecosystem, found.ids, run)
        except (StoreError, ConfigError):
            raise
        except IngestError as error:
            if not found.ids or len(found.ids) > SINGLE_RECORDS:
                raise
            # The changed records can be read all the same; the next sync compares all records.
            self._report_failure(ecosystem, error, run, failures)
            await self._read_changed(ecosystem, found.ids, run)
            return found, False
        return found, True

    async def _read_left_out(self, ecosystem: str, run: Run) -> None:
        """Ask once more for the records that could not be read the last time."""
        with store_errors():
            members: Any = await self.redis.smembers(Keys(self.stream).unread_advisories(ecosystem))
        if ids := tuple(sorted(member.decode() for member in members)):
            await self._read_changed(ecosystem, ids, run)

    async def _read_changed(self, ecosystem: str, ids: tuple[str, ...], run: Run) -> None:
        """Read and write the records that a list names."""
        for identifier in sorted(await self._read_single(ecosystem, ids, run)):
            self._report_unreadable(f"{ecosystem}/{identifier}.json is no longer there", run)

    async def _read_single(self, ecosystem: str, ids: tuple[str, ...], run: Run) -> set[str]:
        """Read and write records one by one. Return the ids of those that no longer exist.

        The next sync asks again for a record that cannot be read now. If many cannot be read, it raises Unavailable or
        ParserLost.
        """
        gone: set[str] = set()
        left_out: set[str] = set()
        for some in chunks(ids):
            records: list[Record] = []

            async def read(identifier: str, records: list[Record] = records) -> None:
                try:
                    records.append(await self.bucket.record(ecosystem, identifier))
                except NotFound:
                    gone.add(identifier)
                except (Malformed, TooLarge, ArchiveRefused) as error:
                    # This record is read again when it changes.
                    self._report_unreadable(str(error), run)
                except (Unavailable, ParserLost) as error:
                    left_out.add(identifier)
                    if len(left_out) > MAX_FAILURES:
                        raise
                    self._report_unreadable(str(error), run)

            await for_each(some, read, at_once=_AT_ONCE, name="advisory")
            await self._write(records, frozenset(some), run)
            with store_errors():
                if left_out:
                    await self.redis.sadd(Keys(self.stream).unread_advisories(ecosystem), *left_out)
                if there := set(some) - left_out:
                    await self.redis.srem(Keys(self.stream).unread_advisories(ecosystem), *there)
        return gone

    async def _read_all(self, ecosystem: str, changed: tuple[str, ...], run: Run) -> None:
        """Compare all records. Those that have changed since the cursor are rated even if another process has
        already written them."""
        present = set(changed)
        announced = frozenset(changed)
        async with self.bucket.everything(ecosystem) as batches:
            async for batch in batches:
                # A record that cannot be read is present, too.
                present.update(identifier for identifier, _ in batch)
                for _, reason in batch:
                    if isinstance(reason, str):
                        self._report_unreadable(reason, run)
                await self._write([record for _, record in batch if not isinstance(record, str)], announced, run)
        await self._withdraw_missing(ecosystem, present, run)

    async def _withdraw_missing(self, ecosystem: str, present: set[str], run: Run) -> None:
        """Mark as withdrawn the records of an ecosystem that OSV no longer has.

        Each record that the archive lacks is asked for singly before that, in its ecosystem and among the records
        without one. If very many are missing at once, they are marked only when two comparisons in a row miss them.
        """
        missing = await self.store.missing(ecosystem, present)
        gone = {each for each, was_missed in missing.items() if was_missed}
        asked = set(missing) - gone
        if len(asked) > SINGLE_RECORDS:
            logger.warning("advisories_missing", ecosystem=ecosystem, count=len(asked))
            await self.store.mark_missing(asked, self._rating.remember, removed=False)
        else:
            left = await self._read_single(ecosystem, tuple(sorted(asked)), run)
            gone |= await self._read_single(WITHOUT_ECOSYSTEM, tuple(sorted(left)), run)
        await self.store.mark_missing(gone, self._rating.remember, removed=True)
        run.metrics["withdrawn"] += len(gone)

    async def _write(self, records: list[Record], announced: Collection[str], run: Run) -> None:
        written = await self.store.upsert(records, self._rating.remember, announced=announced)
        for identifier, reason in written.refused:
            self._report_unreadable(f"{identifier}: {reason}", run)
        run.metrics["advisories_read"] += len(records)
        run.metrics["advisories_written"] += written.count

    def _report_lines(self, found: Modified, run: Run) -> None:
        for reason in found.unreadable[:MAX_SENTENCES]:
            self._report_unreadable(reason, run)

    def _report_unreadable(self, reason: str, run: Run) -> None:
        logger.warning("advisory_unreadable", reason=reason)
        run.metrics["errors"] += 1

    def _report_failure(self, ecosystem: str, error: IngestError, run: Run, failures: list[IngestError]) -> None:
        logger.warning("advisories_not_read", ecosystem=ecosystem, kind=error.kind, reason=str(error))
        run.metrics["errors"] += 1
        failures.append(error)


def _is_read(cursor: Cursor | None, *, is_empty: bool) -> bool:
    """Return whether a sync has read everything of an ecosystem and the collection still has it."""
    since, _ = _times(cursor)
    return cursor is not None and not (since and is_empty)


def _times(cursor: Cursor | None) -> tuple[str, str | None]:
    """Return the time of the newest change that was seen (empty if there is none) and the validator of the list that
    had it."""
    try:
        match orjson.loads(cursor.value) if cursor else None:
            case [str(since), str(validator) | (None as validator)]:
                _ = moment(since) if since else None
                return since, validator
    except ValueError:
        pass
    return "", None


def _earlier(since: str) -> str:
    try:
        return (moment(since) - _OVERLAP).isoformat() if since else ""
    except OverflowError:
        return ""
