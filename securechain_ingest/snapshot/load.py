"""This module brings a snapshot into an empty installation.

It writes in batches, and notes after each of them how far it has come, so that an interrupted import goes on from
there. A batch that was written but not noted is written once more, which changes nothing. The cursors are set last.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from bson import json_util

from securechain_ingest.drivers.redis_errors import store_errors
from securechain_ingest.errors import SnapshotError
from securechain_ingest.graph.copying import ABSENT_LABEL, VERSION_LABEL, GraphCopy
from securechain_ingest.jobs.advisory_rating import note_unfinished_ratings
from securechain_ingest.jobs.cursors import Cursors
from securechain_ingest.model import Ecosystem
from securechain_ingest.queue.heartbeats import daemons_seen
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.messages import Message, parse_data
from securechain_ingest.queue.submission import enqueue
from securechain_ingest.settings import QueueSettings
from securechain_ingest.snapshot.manifest import Kind, Part, SnapshotManifest, read_manifest
from securechain_ingest.snapshot.parts import check_digest, lines_of
from securechain_ingest.snapshot.tables import columns_of, rows_in
from securechain_ingest.stores import Stores

Report = Callable[[int], None]
"""It is called with the number of rows, or of bytes, that are done."""

_ROWS: Final = 1_000
_ELEMENTS: Final = 50_000
"""A batch has at most so many rows, and so many elements of lists."""

_GRAPH: Final[Sequence[Kind]] = ("packages", "versions", "absent", "have", "require", "awaited_by")
_DOCUMENTS: Final[Sequence[Kind]] = ("advisories", "release_changes")


def verify(folder: Path, report: Report) -> SnapshotManifest:
    """Compare a snapshot with its manifest, which is returned. `report` receives numbers of bytes.

    It raises SnapshotError if the snapshot is not whole, or if this release cannot import it.
    """
    manifest = read_manifest(folder)
    for part in manifest.parts:
        check_digest(folder, part, report)
    return manifest


@dataclass(frozen=True)
class SnapshotImport:
    """This imports one snapshot, which `verify` has found to be whole."""

    stores: Stores
    ecosystems: Mapping[str, Ecosystem]
    """This maps the name of each ecosystem to it."""
    queue: QueueSettings
    folder: Path
    manifest: SnapshotManifest
    has_graph: bool
    """This says that the graph has been imported by Neo4j's own tool before."""

    async def run(self, report: Report) -> None:
        """Import the snapshot, or the rest of it. It raises SnapshotError before anything is changed, StoreError and
        ConfigError."""
        done = await self._begin()
        await self.stores.graph.ensure_schema(list(self.ecosystems.values()))
        await self.stores.advisories.ensure_indexes()
        if self.has_graph:
            await self._copy.fill_empty_lists([each.label for each in self.ecosystems.values()])
        for part in self.parts:
            write = self._writer(part)
            before = done.get(part.file, 0)
            report(before)
            for number, batch in _batches(self._rows(part), before):
                await write(batch)
                await self._note(part.file, number)
                report(len(batch))
        await self._finish()

    @property
    def parts(self) -> list[Part]:
        """Return the files whose rows are imported, in their order."""
        wanted = _DOCUMENTS if self.has_graph else (*_GRAPH, *_DOCUMENTS)
        return [part for kind in wanted for part in self.manifest.parts if part.kind == kind]

    async def _begin(self) -> dict[str, int]:
        """Return by file how many rows an interrupted import has written. It raises SnapshotError if the snapshot
        cannot be imported here."""
        await self._refuse_beside_a_daemon()
        with store_errors():
            held: Any = await self.stores.redis.hgetall(self._key)
        self.manifest.refuse_unknown(self.ecosystems)
        done = {name.decode(): value.decode() for name, value in held.items()}
        if done:
            self._refuse_other(done.pop("id"))
            return {file: int(rows) for file, rows in done.items()}
        await self._check_graph()
        with store_errors():
            await self.stores.redis.hset(self._key, "id", self._mark)
        try:
            # A daemon that was just starting has not seen the mark, and has been seen by nobody until now.
            await self._refuse_beside_a_daemon()
        except SnapshotError:
            with store_errors():
                await self.stores.redis.delete(self._key)
            raise
        return {}

    async def _refuse_beside_a_daemon(self) -> None:
        with store_errors():
            running = [daemon for daemon in await daemons_seen(self.stores.redis, self.queue.stream) if daemon.is_up]
        if running:
            raise SnapshotError(
                f"a daemon is running on these stores ({running[0].name}): stop it, import, and start it again"
            )

    def _refuse_other(self, begun: str) -> None:
        """Raise SnapshotError if the import that was interrupted here is not this one."""
        if begun.partition(" ")[0] != self.manifest.id:
            raise SnapshotError(
                "the import of another snapshot was interrupted here: finish it, or begin with empty stores"
            )
        if begun != self._mark:
            way = "without" if self.has_graph else "with"
            raise SnapshotError(f"this import was begun {way} --after-offline: go on with it so")

    async def _check_graph(self) -> None:
        counts = await self.stores.graph.counts(self.ecosystems.values())
        for kind, ecosystem, counted, label in self._labels():
            count = counts[counted]
            parts = [part for part in self.manifest.parts if part.kind == kind and ecosystem in {None, part.ecosystem}]
            wanted = sum(part.rows for part in parts) if self.has_graph else 0
            if count == wanted:
                continue
            if self.has_graph:
                raise SnapshotError(
                    f"the graph has {count} nodes with the label {label} instead of the snapshot's {wanted}: import"
                    " the tables by the command that `snapshot offline` prints, and start Neo4j"
                )
            raise SnapshotError(
                f"the graph is not empty: it has {count} nodes with the label {label}; import into an empty graph"
            )
        if not self.has_graph and (foreign := await self._copy.foreign_label()) is not None:
            raise SnapshotError(
                f"the graph is not empty: it has nodes of another program, with the label {foreign}; import into a"
                " database of its own"
            )

    def _labels(self) -> list[tuple[Kind, str | None, str, str]]:
        """Return each kind of node: its tables' kind and ecosystem, its word in `Graph.counts`, and its label."""
        packages: list[tuple[Kind, str | None, str, str]] = [
            ("packages", name, name, each.label) for name, each in self.ecosystems.items()
        ]
        others: list[tuple[Kind, str | None, str, str]] = [
            ("versions", None, "versions", VERSION_LABEL),
            ("absent", None, "absent_packages", ABSENT_LABEL),
        ]
        return packages + others

    async def _note(self, file: str, rows: int) -> None:
        with store_errors():
            await self.stores.redis.hset(self._key, file, str(rows))

    async def _finish(self) -> None:
        redis, stream = self.stores.redis, self.queue.stream
        unrated = [line.rstrip("\n").encode() for line in self._lines("unrated")]
        await note_unfinished_ratings(redis, stream, self.manifest.rating_rule, unrated)
        changed: dict[str, list[Message]] = {}
        for line in self._lines("changed"):
            message = parse_data(line)
            ecosystem = next(each for each in self.ecosystems.values() if each.label == message.node_type)
            changed.setdefault(ecosystem.name, []).append(message)
        for name, messages in changed.items():
            await enqueue(redis, self.queue, name, Lane.CHANGED, messages)
        await Cursors(redis, stream).restore(self.manifest.cursors)
        with store_errors():
            await redis.delete(self._key)

    def _lines(self, kind: Kind) -> Iterator[str]:
        for part in self.manifest.parts:
            if part.kind == kind:
                with lines_of(self.folder, part) as lines:
                    yield from lines

    def _rows(self, part: Part) -> Iterator[dict[str, Any]]:
        with lines_of(self.folder, part) as lines:
            if part.kind in _DOCUMENTS:
                yield from (json_util.loads(line) for line in lines)
            else:
                yield from rows_in(lines, columns_of(next(lines)))

    def _writer(self, part: Part) -> Callable[[Sequence[dict[str, Any]]], Awaitable[None]]:
        copy = self._copy
        label = self.ecosystems[part.ecosystem].label if part.ecosystem else ABSENT_LABEL
        match part.kind:
            case "packages" | "absent":
                return lambda rows: copy.merge_nodes(label, rows)
            case "versions":
                return lambda rows: copy.merge_nodes(VERSION_LABEL, rows)
            case "have":
                return lambda rows: copy.merge_have(label, rows)
            case "require":
                return lambda rows: copy.merge_requirements(label, list(map(_relationship, rows)))
            case "awaited_by":
                return lambda rows: copy.merge_waits(list(map(_relationship, rows)))
            case "release_changes":
                return self.stores.changes.restore
        return self.stores.advisories.restore

    @property
    def _copy(self) -> GraphCopy:
        return self.stores.graph.copy

    @property
    def _mark(self) -> str:
        """Return what an unfinished import is known by: the snapshot, and whether the tables are left out."""
        return f"{self.manifest.id} after-offline" if self.has_graph else self.manifest.id

    @property
    def _key(self) -> str:
        return Keys(self.queue.stream).snapshot_import


def _relationship(row: dict[str, Any]) -> dict[str, Any]:
    return {"from": row.pop("from"), "to": row.pop("to"), "properties": row}


def _batches(rows: Iterator[dict[str, Any]], skipped: int) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Yield the rows behind the first `skipped` ones in batches, each with the number of rows up to its end."""
    number = skipped
    batch: list[dict[str, Any]] = []
    elements = 0
    for row in islice(rows, skipped, None):
        batch.append(row)
        elements += sum(len(value) for value in row.values() if isinstance(value, list))
        if len(batch) == _ROWS or elements > _ELEMENTS:
            number += len(batch)
            yield number, batch
            batch, elements = [], 0
    if batch:
        yield number + len(batch), batch
