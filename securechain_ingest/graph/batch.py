"""This module commits in groups: what concurrent callers ask of the graph while it is busy shares one transaction.

A single request goes to the graph at once; the more requests wait, the more of them share a transaction. A transaction
costs as much as several packages in it. So if packages arrive in a stream, but more slowly than the graph writes them,
a write waits a moment for others.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby
from types import TracebackType
from typing import Generic, TypeVar

from securechain_ingest.errors import ConfigError, LeftGraph, StoreError
from securechain_ingest.graph.failures import came_from_the_server
from securechain_ingest.graph.portions import is_big
from securechain_ingest.graph.store import Graph
from securechain_ingest.metrics import graph_operation
from securechain_ingest.model import (
    Ecosystem,
    ImportNames,
    KnownPackage,
    Link,
    NamesGap,
    PackageRef,
    PackageWrite,
    WriteResult,
)
from securechain_ingest.progress import waiting
from securechain_ingest.settings import GraphSettings
from securechain_ingest.together import STREAM_PAUSE_S

_WORTH_A_TRANSACTION = 8
"""When this many packages wait, they do not wait for more."""

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class GraphBatcher:
    """This gives `Graph` to many concurrent callers, each of which asks about one package. It is an async context
    manager.

    The failure of one package does not affect the other packages of its batch. A caller that gives up does not affect
    them either: a write that has begun is finished without that caller.
    """

    def __init__(self, graph: Graph, settings: GraphSettings) -> None:
        async def known(refs: Sequence[PackageRef]) -> list[KnownPackage | None]:
            found = await graph.known(refs)
            return [found.get(ref.purl) for ref in refs]

        async def big(writes: Sequence[PackageWrite]) -> list[WriteResult]:
            return [await graph.write_in_portions(write) for write in writes]

        async def resolve(refs: Sequence[PackageRef]) -> list[None]:
            for ref in refs:
                await graph.resolve(ref)
            return [None] * len(refs)

        async def fill(fills: Sequence[_Fill]) -> list[None]:
            for ecosystem, found in groupby(sorted(fills, key=_fill_label), key=lambda fill: fill.ecosystem):
                await graph.fill_names(ecosystem, [(fill.gap, fill.names) for fill in found])
            return [None] * len(fills)

        limits = _Limits(settings.batch_packages, settings.batch_rows, settings.writers, linger_s=0.0)
        self.mark_absent = graph.mark_absent
        self.namesake = graph.namesake
        self.import_names = graph.reader.import_names
        self._known = _Batches("known", known, _ref_purl, _one_row, limits)
        lingering = replace(limits, linger_s=settings.linger_s)
        self._writes = _Batches("write", graph.write, _write_name, _write_rows, lingering)
        self._fills = _Batches("fill", fill, _fill_id, _one_row, lingering)
        self._portion_rows = settings.portion_rows
        # Big writes run one at a time, and beside the others, which would otherwise wait minutes for them.
        self._big = _Batches("portions", big, _write_name, _one_row, _Limits(1, 1, 1, linger_s=0.0))
        self._link_all = graph.link
        self.pending_of = graph.pending.of
        self._links = _Batches("link", graph.link, _link_purl, _one_row, limits)
        self._resolves = _Batches("resolve", resolve, _ref_purl, _one_row, _Limits(1, 1, 1, linger_s=0.0))

    async def __aenter__(self) -> GraphBatcher:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._big.abandon()
        await self._resolves.abandon()
        await self._known.close()
        await self._links.close()
        await self._fills.close()
        await self._writes.close()

    async def known(self, ref: PackageRef) -> KnownPackage | None:
        """Return what the graph holds about a package, or None if the package is not complete there. It raises
        StoreError or ConfigError."""
        return await self._known.submit(ref)

    async def write(self, write: PackageWrite) -> WriteResult:
        """Write a package. Return once it and the requirements that waited for it are committed.

        It raises StoreError, ConfigError or Malformed.
        """
        batches = self._big if is_big(write, self._portion_rows) else self._writes
        return await self._resolved(write.package.ref, await batches.submit(write))

    async def fill_names(self, ecosystem: Ecosystem, gap: NamesGap, names: ImportNames) -> None:
        """Write the import names of a package and nothing else, as `Graph.fill_names` does. Return once they are
        committed.

        It raises StoreError or ConfigError.
        """
        await self._fills.submit(_Fill(ecosystem, gap, names))

    async def link(self, link: Link) -> WriteResult:
        """Serve a request. Return once all of it is committed, with the requirements that waited for the package.

        It raises StoreError or ConfigError, and LeftGraph if the graph does not have the package any more.
        """
        return await self._resolved(link.ref, await self._links.submit(link))

    async def link_all(self, links: Sequence[Link]) -> list[WriteResult]:
        """Serve many requests in one transaction, all of them or none. The results are in the order of `links`.

        It raises StoreError or ConfigError.
        """
        results = await self._link_all(links) if links else []
        return [await self._resolved(link.ref, result) for link, result in zip(links, results, strict=True)]

    async def _resolved(self, ref: PackageRef, result: WriteResult) -> WriteResult:
        """Return the result once no requirement waits for the package any more. Other writes go on meanwhile."""
        if not result.is_awaited_still:
            return result
        await self._resolves.submit(ref)
        return replace(result, is_awaited_still=False)


@dataclass(frozen=True, slots=True)
class _Fill:
    """It is what one caller of `fill_names` asks for."""

    ecosystem: Ecosystem
    gap: NamesGap
    names: ImportNames


@dataclass(frozen=True, slots=True)
class _Limits:
    packages: int
    rows: int
    runners: int
    linger_s: float


class _Batches(Generic[Item, Answer]):
    """It collects items while `run` is busy. At most `limits.runners` runs are active at once, and each run has a key
    only once."""

    def __init__(
        self,
        name: str,
        run: Callable[[Sequence[Item]], Awaitable[list[Answer]]],
        key: Callable[[Item], str],
        rows: Callable[[Item], int],
        limits: _Limits,
    ) -> None:
        self._name = name
        self._run = run
        self._key = key
        self._rows = rows
        self._limits = limits
        self._waiting: deque[tuple[Item, asyncio.Future[Answer]]] = deque()
        self._runners: set[asyncio.Task[None]] = set()
        self._enough = asyncio.Event()
        self._finished_at = float("-inf")

    async def submit(self, item: Item) -> Answer:
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if len(self._waiting) >= _WORTH_A_TRANSACTION:
            self._enough.set()
        if len(self._runners) < self._limits.runners:
            runner = asyncio.create_task(self._drain(), name=f"graph {self._name}")
            self._runners.add(runner)
        with waiting():
            return await future

    async def close(self) -> None:
        """Finish what has been asked for. Callers that have gone are not served."""
        await asyncio.gather(*self._runners)

    async def abandon(self) -> None:
        """Cancel the work that is under way. Such work may be cancelled, and its callers have gone by now."""
        for runner in self._runners:
            runner.cancel()
        await asyncio.gather(*self._runners, return_exceptions=True)

    async def _drain(self) -> None:
        try:
            while self._waiting:
                await self._linger()
                if batch := self._take():
                    await self._serve(batch)
                self._finished_at = asyncio.get_running_loop().time()
        finally:
            # This is not left to a callback: an item that comes before it would wait for a runner that has left.
            self._runners -= {asyncio.current_task()}

    async def _linger(self) -> None:
        """Wait for other items to share the next run, if a run has finished just before."""
        is_stream = asyncio.get_running_loop().time() - self._finished_at < STREAM_PAUSE_S
        if self._limits.linger_s and is_stream and len(self._waiting) < _WORTH_A_TRANSACTION:
            self._enough.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._limits.linger_s):
                    await self._enough.wait()

    def _take(self) -> list[tuple[Item, asyncio.Future[Answer]]]:
        batch: list[tuple[Item, asyncio.Future[Answer]]] = []
        keys: set[str] = set()
        later: list[tuple[Item, asyncio.Future[Answer]]] = []
        room = self._limits.rows
        while self._waiting and len(batch) < self._limits.packages:
            item, future = self._waiting[0]
            rows = self._rows(item)
            if batch and rows > room:
                break
            self._waiting.popleft()
            if future.done():
                continue
            if (key := self._key(item)) in keys:
                later.append((item, future))
                continue
            keys.add(key)
            room -= rows
            batch.append((item, future))
        self._waiting.extendleft(reversed(later))
        return batch

    async def _serve(self, batch: list[tuple[Item, asyncio.Future[Answer]]]) -> None:
        try:
            with graph_operation(self._name, len(batch)):
                [outcome] = await asyncio.gather(self._run([item for item, _ in batch]), return_exceptions=True)
        except asyncio.CancelledError:
            for _, future in batch:
                future.cancel()
            raise
        if isinstance(outcome, BaseException):
            if len(batch) > 1 and _may_be_ones_own(outcome):
                for member in batch:
                    await self._serve([member])
                return
            for _, future in batch:
                if not future.done():
                    future.set_exception(outcome)
            return
        for (_, future), answer in zip(batch, outcome, strict=True):
            if not future.done():
                future.set_result(answer)


def _may_be_ones_own(error: BaseException) -> bool:
    """Return whether the other items of a batch may succeed without the one that caused the error. This includes errors
    in the code of this program."""
    if isinstance(error, StoreError):
        return isinstance(error, LeftGraph) or came_from_the_server(error)
    return isinstance(error, Exception) and not isinstance(error, ConfigError)


def _ref_purl(ref: PackageRef) -> str:
    return ref.purl


def _write_name(write: PackageWrite) -> str:
    ref = write.package.ref
    return f"{ref.ecosystem.label} {ref.name}"


def _fill_id(fill: _Fill) -> str:
    return fill.gap.element_id


def _fill_label(fill: _Fill) -> str:
    return fill.ecosystem.label


def _link_purl(link: Link) -> str:
    return link.ref.purl


def _one_row(_: object) -> int:
    return 1


def _write_rows(write: PackageWrite) -> int:
    return sum(1 + len(version.requirements or ()) for version in write.package.versions)
