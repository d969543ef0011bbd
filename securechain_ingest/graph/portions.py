"""A package of more versions than one transaction should hold, written in several.

Whoever reads meanwhile finds what the contract promises, and so does whoever comes after a write that was broken off:

- a package node never stands without a version, and its serial numbers are unique and dense. Versions that follow all
  that are there come in ascending order with their numbers; where any would have to move, new ones come without a
  number (as if they could not be ordered), and the last transaction numbers all anew;
- until that last transaction a new package has no `format`, so that nobody takes it for known, and an older one no
  `validator`, so that its registry sends the whole document again. Nothing else tells of a write that was broken off:
  the next visit writes what is missing;
- the node says who writes it, and when the last portion came. A portion that finds another writer there, or none, was
  overtaken and gives up; who finds another one that was there a moment ago waits for it, or for the moment to pass.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from neo4j import AsyncTransaction

from securechain_ingest.errors import StoreError
from securechain_ingest.graph.connection import Connection
from securechain_ingest.graph.difference import Difference, Requirements, Versions
from securechain_ingest.graph.identity import Identity, identify, spellings, version_purl
from securechain_ingest.graph.nodes import PackageNode, collect
from securechain_ingest.graph.portion_statements import portion_statements
from securechain_ingest.graph.properties import package_properties
from securechain_ingest.graph.ranking import ordered
from securechain_ingest.graph.statements import statements
from securechain_ingest.graph.transactions import each_once, fetched, outcome, write_difference
from securechain_ingest.model import UNORDERED, PackageWrite, Version, WriteResult
from securechain_ingest.settings import GraphSettings
from securechain_ingest.yielding import in_pieces

STATEMENT_ROWS: Final = 500
"""Rows that are packed, or taken in, in one piece: some milliseconds of the event loop."""

_NOT_BEFORE_THE_END: Final = ("format", "validator", "revision")
_PROCESS: Final = f"{os.getpid()}-{secrets.token_hex(8)}"
"""A process writes a package once at a time: what it finds of its own is of a try that has failed."""
_BEYOND_A_TRANSACTION_S: Final = 10.0
_LOOK_EVERY_S: Final = 1.0


def is_big(write: PackageWrite, portion_rows: int) -> bool:
    """Whether a package has more rows, with the versions that only the graph has, than one transaction should hold."""
    versions = write.package.versions
    if max(len(versions), len(write.ratings)) > portion_rows:
        return True
    return sum(1 + len(version.requirements or ()) for version in versions) > portion_rows


@dataclass(slots=True)
class _Plan:
    """What is to be written, by the names of versions."""

    listed: dict[str, Version] = field(default_factory=dict)
    held: dict[str, list[str]] = field(default_factory=dict)
    """The ids of their nodes, of which upstream may have left several."""
    numbers: dict[str, int] = field(default_factory=dict)
    """The serial numbers that the graph has."""
    purls: dict[str, str] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    """All of them as they are written."""
    serials: dict[str, int] = field(default_factory=dict)
    """As they are to be in the end."""
    shared_purls: frozenset[str] = frozenset()
    """Those that more than one version has."""
    is_unconfirmed: bool = False
    """Whether the document lacks versions of which nobody has confirmed that they are gone."""
    is_append: bool = True
    """Whether no version that is there has to move."""

    def number(self, name: str) -> int:
        """The serial number until the last transaction."""
        return self.serials[name] if self.is_append else self.numbers.get(name, UNORDERED)

    async def portions(self, rows: int) -> AsyncIterator[list[str]]:
        """The names in portions of about so many rows."""
        names: list[str] = []
        room = rows
        async for name in in_pieces(self.order):
            version = self.listed.get(name)
            weight = 1 + len(version.requirements or () if version else ())
            if names and weight > room:
                yield names
                names, room = [], rows
            names.append(name)
            room -= weight
        yield names


class PortionWriter:
    """Writes one package; `common` gives the parameters that all statements share, anew for each transaction."""

    def __init__(
        self,
        connection: Connection,
        settings: GraphSettings,
        common: Callable[[], dict[str, Any]],
        write: PackageWrite,
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._common = common
        self._write = write
        self._ref = write.package.ref
        self._queries = statements(self._ref.ecosystem.label)
        self._own = portion_statements(self._ref.ecosystem.label)
        self._token = f"{_PROCESS}-{secrets.token_hex(4)}"
        self._node_id: str | None = None

    async def run(self) -> WriteResult:
        """Returns when the last portion is committed. Raises StoreError, also if another writer is at it."""
        identity = await self._claimed()
        plan = await self._plan()
        queued: list[list[str]] = []
        parent = self._ref.purl if self._settings.parent_version_name == "purl" else identity.name
        async for names in plan.portions(self._settings.portion_rows):
            work = partial(self._portion, plan=plan, names=names, parent=parent)
            answer, self._node_id = await self._connection.transaction(work)
            queued += answer["queued"]
        answer = await self._connection.transaction(partial(self._finish, plan=plan))
        answer["queued"] = each_once(queued + answer["queued"])
        result = outcome(self._ref, answer, [parent.element_id for parent in self._write.parents])
        return replace(result, unconfirmed=plan.is_unconfirmed)

    async def _claimed(self) -> Identity:
        """The package's identity; its node says that this writer is at it."""
        patience_s = self._settings.query_timeout_s + _BEYOND_A_TRANSACTION_S
        async with asyncio.timeout(2 * patience_s) as waiting:
            try:
                while True:
                    identity, other = await self._connection.transaction(self._claim)
                    if other is None:
                        break
                    await asyncio.sleep(_LOOK_EVERY_S)
            except TimeoutError as error:
                if waiting.expired():
                    raise self._overtaken() from error
                raise
        self._node_id = identity.node.id if identity.node else None
        return identity

    async def _claim(self, transaction: AsyncTransaction) -> tuple[Identity, str | None]:
        """The identity, and who else is writing the package at the moment."""
        identity, writing = await self._identify(transaction)
        if identity.node is None:
            return identity, None
        oldest_s = self._settings.query_timeout_s + _BEYOND_A_TRANSACTION_S
        if writing is not None and not writing.startswith(_PROCESS) and _age_s(writing) < oldest_s:
            return identity, writing
        await self._sign(transaction, identity.node)
        return identity, None

    async def _sign(self, transaction: AsyncTransaction, node: PackageNode) -> None:
        await fetched(transaction, self._own.sign, {"id": node.id, "writing": self._writing()})

    def _writing(self) -> str:
        return f"{self._token} {datetime.now(UTC).isoformat(timespec='seconds')}"

    def _overtaken(self) -> StoreError:
        return StoreError(f"{self._ref.purl} is being written by another one; a later try finds what that has left")

    async def _identify(self, transaction: AsyncTransaction) -> tuple[Identity, str | None]:
        """Which node stands for the package, locked and without its versions; and who writes it."""
        keys = {"purls": [self._ref.purl], "names": sorted(spellings(self._ref))}
        rows = await fetched(transaction, self._own.nodes, {"rows": keys})
        identity = identify(self._ref, collect(rows))
        writers = {row["id"]: row["writing"] for row in rows}
        return identity, writers[identity.node.id] if identity.node else None

    async def _own_node(self, transaction: AsyncTransaction) -> tuple[Identity, PackageNode]:
        identity, writing = await self._identify(transaction)
        if identity.node is None or identity.node.id != self._node_id or not (writing or "").startswith(self._token):
            raise self._overtaken()
        return identity, identity.node

    async def _plan(self) -> _Plan:
        plan = _Plan()
        ref, package = self._ref, self._write.package
        async for version in in_pieces(package.versions):
            plan.listed[version.name] = version
            plan.purls[version.name] = version.purl
        if self._node_id is not None:
            await self._connection.transaction(partial(self._index, plan=plan))
        names, unordered = await ordered(ref.ecosystem, {**plan.held, **plan.listed})
        plan.order = [*unordered, *names]
        plan.serials = dict.fromkeys(unordered, UNORDERED)
        async for serial, name in in_pieces(enumerate(names)):
            plan.serials[name] = serial
        async for name in in_pieces(plan.held):
            plan.is_append = plan.is_append and plan.numbers.get(name) == plan.serials[name]
        counted = Counter(plan.purls.values())
        plan.shared_purls = frozenset(purl for purl, count in counted.items() if count > 1)
        return plan

    async def _index(self, transaction: AsyncTransaction, *, plan: _Plan) -> None:
        """The versions that are there, without what hangs on them."""
        plan.held.clear()
        plan.numbers.clear()
        plan.is_unconfirmed = False
        rows = await fetched(transaction, self._own.index, {"id": self._node_id})
        async for row in in_pieces(rows, look_every=1):
            for node, name, purl, number, is_removed in row["versions"]:
                nodes = plan.held.setdefault(name, [])
                nodes.append(node)
                if len(nodes) > 1:
                    # Which of them counts is seen when they are read; then all are numbered anew.
                    plan.is_append = False
                elif isinstance(number, int):
                    plan.numbers[name] = number
                plan.purls.setdefault(name, purl or version_purl(self._ref.purl, name))
                if not is_removed and name not in plan.listed and name not in self._write.gone:
                    plan.is_unconfirmed = self._write.package.lists_all_versions

    async def _portion(
        self, transaction: AsyncTransaction, *, plan: _Plan, names: Sequence[str], parent: str
    ) -> tuple[dict[str, list[Any]], str]:
        """What is queued and linked, and the id of the package's node."""
        difference = Difference()
        if self._node_id is None:
            identity, _ = await self._identify(transaction)
            if identity.node is not None:
                raise self._overtaken()
            self._create(difference, identity)
            versions = Versions.of(identity)
        else:
            _, node = await self._own_node(transaction)
            await self._sign(transaction, node)
            ids = [held for name in names for held in plan.held.get(name, ())]
            versions = await self._versions(transaction, node, ids)
        versions.purls.update(plan.shared_purls)
        requirements = Requirements(difference, self._write, parent)
        async for name in in_pieces(names):
            if name in plan.listed or name in versions.nodes:
                difference.add_version(
                    self._write, versions, name, plan.listed.get(name), plan.number(name), requirements
                )
        answer = await self._apply(transaction, difference)
        identity, _ = await self._identify(transaction)
        if identity.node is None:
            raise self._overtaken()
        return answer, identity.node.id

    def _create(self, difference: Difference, identity: Identity) -> None:
        difference.rename(identity)
        properties = package_properties(self._write, identity.name, has_names=False)
        properties |= {"writing": self._writing(), "listed": self._write.listed}
        for name in _NOT_BEFORE_THE_END:
            del properties[name]
        difference.created_packages.append({"purl": self._ref.purl, "properties": properties})
        difference.awaited.append(self._ref.purl)

    async def _versions(self, transaction: AsyncTransaction, node: PackageNode, ids: Sequence[str]) -> Versions:
        held = replace(node, versions=[])
        for start in range(0, len(ids), STATEMENT_ROWS):
            part = ids[start : start + STATEMENT_ROWS]
            rows = await fetched(transaction, self._own.read, {**self._common(), "id": node.id, "rows": part})
            held.versions.extend(version for package in collect(rows) for version in package.versions)
        return Versions.of(Identity(held, node.name, None))

    async def _finish(self, transaction: AsyncTransaction, *, plan: _Plan) -> dict[str, list[Any]]:
        identity, node = await self._own_node(transaction)
        if not plan.is_append:
            numbers = [[plan.purls[name], serial] for name, serial in plan.serials.items()]
            for start in range(0, len(numbers), STATEMENT_ROWS):
                await fetched(transaction, self._own.renumber, {"rows": numbers[start : start + STATEMENT_ROWS]})
        difference = Difference()
        difference.rename(identity)
        properties = package_properties(self._write, identity.name, has_names=node.has_names)
        if plan.is_unconfirmed:
            # As for a package of one transaction: the next check is to get the document.
            properties["validator"] = None
        difference.updated_packages.append({"id": node.id, "properties": properties, "listed": self._write.listed})
        difference.awaited.append(self._ref.purl)
        difference.add_parents(self._write)
        return await self._apply(transaction, difference)

    async def _apply(self, transaction: AsyncTransaction, difference: Difference) -> dict[str, list[Any]]:
        rows = min(STATEMENT_ROWS, self._settings.batch_rows)
        return await write_difference(transaction, self._queries, self._common(), difference, rows)


def _age_s(writing: str) -> float:
    """How long ago a portion was written; what cannot be read is as old as can be."""
    try:
        moment = datetime.fromisoformat(writing.rpartition(" ")[2])
        return (datetime.now(UTC) - moment).total_seconds()
    except (ValueError, TypeError):
        return float("inf")
