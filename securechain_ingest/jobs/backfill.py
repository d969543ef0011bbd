"""This module reads the import names of packages that have none or have those of an older parser. It refreshes nothing
else.

It walks through the packages of one ecosystem, first through those that wait to be completed and then through all by
name. An index gives each page, so that it begins at once however large the graph is.

The position is kept after each batch that was written, so that an interrupted walk continues there. It then repeats
only the packages that were in work.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import structlog
from redis.asyncio import Redis

from securechain_ingest.bounds import bounded_package
from securechain_ingest.drivers.redis_errors import store_errors
from securechain_ingest.errors import ArchiveRefused, IngestError, Malformed, ParserLost, Paused, StoreError
from securechain_ingest.graph.store import Graph
from securechain_ingest.model import Ecosystem, ImportNames, NamesGap
from securechain_ingest.registries.protocol import Registry, Unchanged
from securechain_ingest.worker.import_names import read_import_names
from securechain_ingest.worker.import_names_cache import ImportNamesCache
from securechain_ingest.worker.release_changes import ReleaseChanges, with_change
from securechain_ingest.worker.request import LAST_TRY

PAGE_PACKAGES = 2_000
"""One query looks at so many packages, whether they lack names or not."""

BATCH_PACKAGES = 20
"""One transaction writes so many packages."""

logger = structlog.get_logger(__name__)


class BackfillOutcome(StrEnum):
    """This says what became of one package."""

    FOUND = "found"
    WITHOUT_NAMES = "without_names"
    """The archive offers no names, or there is no archive."""
    DOWNLOAD_ERROR = "download_errors"
    PARSE_ERROR = "parse_errors"


@dataclass(frozen=True, slots=True)
class _Result:
    gap: NamesGap
    kind: BackfillOutcome
    names: ImportNames | None
    """These names are written; None leaves the package as it is."""


class Position:
    """This keeps in Redis the position of the last package that a walk has finished with. Methods raise StoreError."""

    def __init__(self, redis: Redis, key: str, walk: str) -> None:
        """`walk` distinguishes walks that look for different packages."""
        self._redis = redis
        self._key = key
        self._walk = walk

    async def get(self) -> str:
        """Return the position of the last package that was finished. It is empty before the first one."""
        with store_errors():
            held = await self._redis.hget(self._key, self._walk)
        return held.decode() if isinstance(held, bytes) else ""

    async def set(self, position: str) -> None:
        with store_errors():
            await self._redis.hset(self._key, self._walk, position)

    async def forget(self) -> None:
        with store_errors():
            await self._redis.hdel(self._key, self._walk)


class Backfill:
    """This goes once over the packages of one ecosystem."""

    def __init__(
        self,
        graph: Graph,
        registry: Registry,
        cache: ImportNamesCache,
        changes: ReleaseChanges,
        pending: Position,
        position: Position,
        *,
        older_than: int,
        concurrency: int,
        why_stopped: Callable[[Ecosystem], Awaitable[str | None]],
        report: Callable[[BackfillOutcome], None],
    ) -> None:
        """`pending` is the position among the packages that wait to be completed, and `position` that among all.

        If `older_than` is above 0, names of parsers before that version are found, too. `why_stopped` says why the
        registry may not be asked now, as `breakers.why_stopped` does.

        At most `concurrency` packages are in work at once; `report` is called with the outcome of each one that is
        finished.
        """
        self._graph = graph
        self._registry = registry
        self._cache = cache
        self._changes = changes
        self._walks = pending, position
        self._older_than = older_than
        self._concurrency = concurrency
        self._why_stopped = why_stopped
        self._report = report
        self._finished: list[_Result] = []
        self._still_wanting: set[str] = set()
        """The first walk has not found names for these packages, which the second one would meet again."""

    async def run(self, limit: int | None) -> None:
        """Process at most `limit` packages, or all that remain if it is None; after the last one the positions are
        forgotten.

        A package that fails is logged and keeps its names, and the next backfill finds it again. StoreError is raised,
        and Paused as soon as the registry may not be asked, each alone or in a group.
        """
        left = limit
        for walk in self._walks:
            left = await self._walk(walk, left)
            if left == 0:
                return
        for walk in self._walks:
            await walk.forget()

    async def _walk(self, walk: Position, left: int | None) -> int | None:
        """Process at most `left` packages of one walk. Return how many may still be processed."""
        running: deque[asyncio.Task[_Result]] = deque()
        after: str | None = await walk.get()
        async with asyncio.TaskGroup() as tasks:
            while after is not None and left != 0:
                gaps, after = await self._graph.names_gaps(
                    self._registry.ecosystem,
                    older_than=self._older_than,
                    after=after,
                    limit=PAGE_PACKAGES,
                    pending=walk is self._walks[0],
                )
                gaps = [gap for gap in gaps if gap.element_id not in self._still_wanting]
                for gap in gaps[:left]:
                    await self._refuse_when_stopped()
                    running.append(tasks.create_task(self._read(gap), name=f"backfill-{gap.name}"))
                    if len(running) == self._concurrency:
                        await self._finish(walk, await running.popleft())
                if left is not None:
                    left -= min(left, len(gaps))
            for task in running:
                await self._finish(walk, await task)
        await self._write(walk)
        return left

    async def _refuse_when_stopped(self) -> None:
        reason = await self._why_stopped(self._registry.ecosystem)
        if reason is not None:
            raise Paused(reason)

    async def _finish(self, walk: Position, result: _Result) -> None:
        """Take a result. Results come in the order of the walk, so that the position is never ahead of the work."""
        self._finished.append(result)
        if walk is self._walks[0] and result.kind is not BackfillOutcome.FOUND:
            self._still_wanting.add(result.gap.element_id)
        if len(self._finished) < BATCH_PACKAGES:
            self._report(result.kind)
        else:
            await self._write(walk, last=result.kind)

    async def _write(self, walk: Position, *, last: BackfillOutcome | None = None) -> None:
        """Write the batch. `last` is the outcome of the package that fills it; it is reported once the batch is
        written."""
        if not self._finished:
            return
        found = [(result.gap, result.names) for result in self._finished if result.names is not None]
        write = asyncio.create_task(self._graph.fill_names(self._registry.ecosystem, found), name="backfill-write")
        try:
            await asyncio.shield(write)
        finally:
            # A write that has begun ends even if a Ctrl-C comes meanwhile: every package in the graph is reported.
            await write
            if last is not None:
                self._report(last)
        await walk.set(self._finished[-1].gap.position)
        self._finished.clear()

    async def _read(self, gap: NamesGap) -> _Result:
        """Read one package: its registry's document, which names the archive, and the import names in the archive.
        Raise StoreError."""
        now, before = datetime.now(UTC), gap.known.names_failed
        try:
            ref = self._registry.identify(gap.known.registry_name)
            answer = await self._registry.fetch(ref, gap.known)
            if isinstance(answer, Unchanged):
                raise Malformed(f"{ref.purl} is said to be unchanged, which nobody asked", url=ref.purl)
            package = await bounded_package(answer, max_versions=len(answer.versions))
            names, failure = await read_import_names(self._cache, self._registry, package, before, now, LAST_TRY)
            names = await with_change(names, package, gap.known, self._graph.reader.import_names, self._changes)
        except StoreError:
            raise
        except IngestError as error:
            logger.warning("import_names_failed", package=gap.name, kind=error.kind, reason=str(error))
            return _Result(gap, _kind_of(error), None)
        except Exception:
            logger.exception("import_names_failed", package=gap.name)
            return _Result(gap, BackfillOutcome.PARSE_ERROR, None)
        if failure is not None:
            return _Result(gap, _kind_of(failure), names)
        return _Result(
            gap, BackfillOutcome.FOUND if names.names and package.artifacts else BackfillOutcome.WITHOUT_NAMES, names
        )


def _kind_of(error: IngestError) -> BackfillOutcome:
    return (
        BackfillOutcome.PARSE_ERROR
        if isinstance(error, ArchiveRefused | ParserLost | Malformed)
        else BackfillOutcome.DOWNLOAD_ERROR
    )
