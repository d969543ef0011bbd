"""This module writes a package with more versions than one transaction should hold, in several transactions.

Clients that read meanwhile find what the contract promises. They also find it after a write that was broken off:

- A package node never stands without a version, and its serial numbers are unique and dense. If all new versions come
  after the versions that are there, they are written in ascending order with their numbers. If any version would have
  to move, the new ones are written without a number (as if they could not be ordered), and the last transaction numbers
  all versions anew.
- Until that last transaction a new package has no `format`, so that it does not count as known. An older package has no
  `validator`, so that its registry sends the whole document again. Nothing else shows that a write was broken off: the
  next visit writes what is missing.
- The node says who writes it, and when the last portion came. A portion that finds another writer there, or none, was
  overtaken and gives up. A writer that finds another one that was active a moment ago waits until that one has finished
  or has been silent for too long.
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
from securechain_ingest.graph.dialect import Dialect
from securechain_ingest.graph.difference import Difference, Requirements, Versions
from securechain_ingest.graph.identity import Identity, identify, possible_names, version_purl
from securechain_ingest.graph.nodes import PackageNode, collect
from securechain_ingest.graph.portion_statements import portion_statements
from securechain_ingest.graph.properties import package_properties
from securechain_ingest.graph.ranking import ordered
from securechain_ingest.graph.statements import statements
from securechain_ingest.graph.transactions import each_once, fetched, write_difference, write_result
from securechain_ingest.model import UNORDERED, PackageWrite, Version, WriteResult
from securechain_ingest.settings import GraphSettings
from securechain_ingest.yielding import in_pieces

STATEMENT_ROWS: Final = 500
"""This many rows are packed or unpacked in one piece, which takes some milliseconds of the event loop."""

_NOT_BEFORE_THE_END: Final = ("format", "validator", "revision")
_PROCESS: Final = f"{os.getpid()}-{secrets.token_hex(8)}"
"""This identifies the process. A process writes a package only once at a time, so what it finds under its own name was
left by an attempt that has failed."""
_BEYOND_A_TRANSACTION_S: Final = 10.0
_LOOK_EVERY_S: Final = 1.0


def is_big(write: PackageWrite, portion_rows: int) -> bool:
    """Return whether a package has more rows than one transaction should hold. Versions that only the graph has count,
    too."""
    versions = write.package.versions
    if max(len(versions), len(write.ratings)) > portion_rows:
        return True
    return sum(1 + len(version.requirements or ()) for version in versions) > portion_rows


@dataclass(slots=True)
class _Plan:
    """It says what is to be written, by the names of versions."""

    listed: dict[str, Version] = field(default_factory=dict)
    held: dict[str, list[str]] = field(default_factory=dict)
    """These are the ids of the versions' nodes. Upstream may have left several for one version."""
    numbers: dict[str, int] = field(default_factory=dict)
    """These are the serial numbers that the graph has."""
    purls: dict[str, str] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    """These are all names, in the order in which they are written."""
    serials: dict[str, int] = field(default_factory=dict)
    """These are the serial numbers that the versions have in the end."""
    shared_purls: frozenset[str] = frozenset()
    """These are the purls that more than one version has."""
    is_unconfirmed: bool = False
    """This says whether the document lacks versions of which nobody has confirmed that they are gone."""
    is_append: bool = True
    """This says whether no version that is there has to move."""

    def number(self, name: str) -> int:
        """Return the serial number that a version has until the last transaction."""
        return self.serials[name] if self.is_append else self.numbers.get(name, UNORDERED)

    async def portions(self, rows: int) -> AsyncIterator[list[str]]:
        """Yield the names in portions of about `rows` rows."""
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
    """It writes one package. `common` returns the parameters that all statements share; it is called anew for each
    transaction."""

    def __init__(
        self,
        connection: Connection,
        settings: GraphSettings,
        common: Callable[[], dict[str, Any]],
        dialect: Dialect,
        write: PackageWrite,
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._common = common
        self._write = write
        self._ref = write.package.ref
        self._queries = statements(self._ref.ecosystem.label, dialect)
        self._own = portion_statements(self._ref.ecosystem.label, dialect)
        self._token = f"{_PROCESS}-{secrets.token_hex(4)}"
        self._node_id: str | None = None

    async def run(self) -> WriteResult:
        """Write the package, and return when the last portion is committed. It raises StoreError, also if another
        writer is writing the package."""
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
        result = write_result(self._ref, answer, self._write.parents)
        return replace(result, unconfirmed=plan.is_unconfirmed)

    async def _claimed(self) -> Identity:
        """Return the package's identity once its node says that this writer is writing it."""
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
        """Return the identity, and the other writer that is writing the package at the moment, or None."""
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
        return StoreError(f"{self._ref.purl} is being written by another one; a later attempt finds what that has left")

    async def _identify(self, transaction: AsyncTransaction) -> tuple[Identity, str | None]:
        """Return which node stands for the package, and who writes it. The node is locked, and read without its
        versions."""
        keys = {"purls": [self._ref.purl], "names": sorted(possible_names(self._ref))}
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
        """Note in the plan the versions that the graph has, without their relationships."""
        plan.held.clear()
        plan.numbers.clear()
        plan.is_unconfirmed = False
        rows = await fetched(transaction, self._own.index, {"id": self._node_id})
        async for row in in_pieces(rows, look_every=1):
            for node, name, purl, number, is_removed in row["versions"]:
                nodes = plan.held.setdefault(name, [])
                nodes.append(node)
                if len(nodes) > 1:
                    # A later reading shows which of them counts; then all versions are numbered anew.
                    plan.is_append = False
                elif isinstance(number, int):
                    plan.numbers[name] = number
                plan.purls.setdefault(name, purl or version_purl(self._ref.purl, name))
                if not is_removed and name not in plan.listed and name not in self._write.gone:
                    plan.is_unconfirmed = self._write.package.lists_all_versions

    async def _portion(
        self, transaction: AsyncTransaction, *, plan: _Plan, names: Sequence[str], parent: str
    ) -> tuple[dict[str, list[Any]], str]:
        """Write one portion. Return what is queued and linked, and the id of the package's node."""
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
            # As for a package of one transaction, the next check must get the document.
            properties["validator"] = None
        difference.updated_packages.append({"id": node.id, "properties": properties, "listed": self._write.listed})
        difference.awaited.append(self._ref.purl)
        difference.add_parents(self._write)
        return await self._apply(transaction, difference)

    async def _apply(self, transaction: AsyncTransaction, difference: Difference) -> dict[str, list[Any]]:
        rows = min(STATEMENT_ROWS, self._settings.batch_rows)
        return await write_difference(transaction, self._queries, self._common(), difference, rows)


def _age_s(writing: str) -> float:
    """Return how many seconds ago a portion was written. It is infinite if the text cannot be read."""
    try:
        moment = datetime.fromisoformat(writing.rpartition(" ")[2])
        return (datetime.now(UTC) - moment).total_seconds()
    except (ValueError, TypeError):
        return float("inf")
