"""This module is the graph as the worker uses it. Each request is one transaction, and repeating it leaves no trace."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, TypeVar

from neo4j import AsyncTransaction

from securechain_ingest.bounds import sentence
from securechain_ingest.errors import LeftGraph, Malformed
from securechain_ingest.graph.connection import Connection
from securechain_ingest.graph.copying import GraphCopy
from securechain_ingest.graph.dialect import aware
from securechain_ingest.graph.difference import Difference
from securechain_ingest.graph.due import DuePackages
from securechain_ingest.graph.identity import identify, possible_names, reference
from securechain_ingest.graph.lookups import Lookups
from securechain_ingest.graph.names import PackageNames
from securechain_ingest.graph.nodes import PackageNode, collect
from securechain_ingest.graph.pending import Pending
from securechain_ingest.graph.portion_statements import portion_statements
from securechain_ingest.graph.portions import PortionWriter
from securechain_ingest.graph.properties import (
    FORMAT,
    archive_of,
    archive_texts,
    attempts_properties,
    change_properties,
    names_properties,
)
from securechain_ingest.graph.ratings import write_ratings
from securechain_ingest.graph.schema import ensure_schema
from securechain_ingest.graph.statements import COUNT, FORGET_QUEUED, Statements, for_label, names_gaps_text, statements
from securechain_ingest.graph.transactions import (
    RESOLVED_AT_ONCE,
    each_once,
    fetched,
    link_rows,
    resolve_in_portions,
    write_difference,
    write_result,
)
from securechain_ingest.graph.undated import date_undated
from securechain_ingest.graph.view import GraphReader
from securechain_ingest.model import (
    Ecosystem,
    FailedAttempt,
    ImportNames,
    KnownPackage,
    Link,
    NamesGap,
    PackageRef,
    PackageWrite,
    WriteResult,
)
from securechain_ingest.settings import GraphSettings, PackageSettings

Item = TypeVar("Item", PackageRef, PackageWrite, Link)

_LISTED_VERSIONS = 2_000
"""If a package has more versions than this, its versions are not taken in one list."""
_QUEUED_RETRY_S = PackageSettings().queued_retry_s

NEVER = datetime.min.replace(tzinfo=UTC)
"""This is the time of the last check for a package that another program has left without a date."""
NEVER_DUE = datetime.fromtimestamp(0, UTC)
"""No package is due before this time."""


class Graph:
    """It is safe for concurrent use. Its methods raise StoreError if the graph is away or refuses a request, and
    ConfigError if it refuses the credentials."""

    def __init__(
        self, connection: Connection, settings: GraphSettings, *, absent_retry_s: float, queued_retry_s: float
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._absent_retry_s = absent_retry_s
        self._queued_retry_s = queued_retry_s
        self.due = DuePackages(connection)
        self.names = PackageNames(connection, queued_retry_s)
        self.reader = GraphReader(connection)
        self.lookups = Lookups(connection)
        self.pending = Pending(connection, queued_retry_s)
        self.copy = GraphCopy(connection)

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        uri: str,
        user: str,
        password: str,
        settings: GraphSettings,
        *,
        absent_retry_s: float,
        queued_retry_s: float = _QUEUED_RETRY_S,
    ) -> AsyncIterator[Graph]:
        """Yield a graph that connects on first use.

        A package that its registry lacked is not named again for `absent_retry_s` seconds. A package that was named and
        has not come since is not named again for `queued_retry_s` seconds; after that its message counts as lost.
        """
        async with Connection.open(
            uri,
            user,
            password,
            database=settings.database,
            timeout_s=settings.query_timeout_s,
            max_connections=settings.max_connections,
        ) as connection:
            yield cls(connection, settings, absent_retry_s=absent_retry_s, queued_retry_s=queued_retry_s)

    async def ensure_schema(self, ecosystems: Sequence[Ecosystem]) -> None:
        """Create the constraints and indexes. Where an old graph holds duplicates, log a warning and create a plain
        index."""
        await ensure_schema(self._connection, ecosystems)

    async def prepare(self, ecosystems: Sequence[Ecosystem]) -> None:
        """Do what a daemon does once, at its start. Packages without a date get one, so that an index finds them. The
        server plans the statements for a new package, so that the first package is as fast as the next one.

        A Neo4j that has just started takes seconds for this. Each statement has a transaction of its own, because on a
        busy machine all of them together take longer than one transaction may.
        """
        for ecosystem in ecosystems:
            await date_undated(self._connection, ecosystem)
        known = {"rows": {}, "format": FORMAT, "list_limit": _LISTED_VERSIONS}
        common = {**self._common(), "rows": {}}
        for ecosystem in ecosystems:
            queries = await self._statements(ecosystem)
            # A plan is kept for these parameters: the same ones that come with a package, no more and no fewer.
            await self._connection.change(queries.known, known)
            await self._connection.change(queries.read, common)
            await self._connection.change(queries.write, {**common, "resolved_at_once": 0})

    async def ping(self) -> None:
        """Return once the graph has answered."""
        await self._connection.read("RETURN 1 AS one")

    async def counts(self, ecosystems: Iterable[Ecosystem]) -> dict[str, int]:
        """Return how many nodes there are: packages by ecosystem, versions, and absent packages."""
        queries = {each.name: for_label(COUNT["packages"], each.label) for each in ecosystems}
        queries |= {name: query for name, query in COUNT.items() if name != "packages"}
        return {name: (await self._connection.read(query))[0]["count"] for name, query in queries.items()}

    async def known(self, refs: Sequence[PackageRef]) -> dict[str, KnownPackage]:
        """Return by purl those of the packages that this release has written completely. Each ecosystem takes one
        query."""
        found: dict[str, KnownPackage] = {}
        for queries, members in await self._by_ecosystem(refs):
            purls = sorted({ref.purl for ref in members})
            parameters = {"rows": {"purls": purls}, "format": FORMAT, "list_limit": _LISTED_VERSIONS}
            for row in await self._connection.read(queries.known, parameters):
                names = row["versions"]
                if names is None:
                    names = await self._version_names(members[0].ecosystem, row["purl"])
                if names:
                    found[row["purl"]] = KnownPackage(
                        purl=row["purl"],
                        registry_name=row["registry_name"],
                        versions=frozenset(names),
                        checked_at=aware(row["checked_at"]),
                        validator=row["validator"],
                        removed=frozenset(row["removed"]),
                        names_failed=_failed_attempt(row),
                        pending=frozenset(row["pending"]),
                        archive_pending=row["archive_pending"],
                        pending_archive=archive_of(row["pending_archive"]),
                        element_id=row["id"],
                        names_of=row["names_of"],
                    )
        return found

    async def write(self, writes: Sequence[PackageWrite]) -> list[WriteResult]:
        """Write packages in one transaction, all of them or none. The results are in the order of `writes`.

        A name may occur only once in `writes`, so that packages that differ in case only are written one after the
        other; a second one raises ValueError. The method raises Malformed for a package without versions, which no
        client could read.
        """
        for write in writes:
            if not write.package.versions:
                raise Malformed(f"{write.package.ref.purl} has no version", url=write.package.ref.purl)
        if len({(write.package.ref.ecosystem.label, write.package.ref.name) for write in writes}) != len(writes):
            raise ValueError("one name stands twice in one transaction")

        async def work(transaction: AsyncTransaction) -> dict[str, WriteResult]:
            results: dict[str, WriteResult] = {}
            for queries, members in await self._by_ecosystem(writes):
                results |= await self._write(transaction, queries, members)
            return results

        results = await self._connection.transaction(work)
        return [results[write.package.ref.purl] for write in writes]

    async def write_in_portions(self, write: PackageWrite) -> WriteResult:
        """Write one package that is too big for one transaction. Clients can read what a write that is broken off
        leaves.

        The method raises Malformed, as `write` does.
        """
        if not write.package.versions:
            raise Malformed(f"{write.package.ref.purl} has no version", url=write.package.ref.purl)
        dialect = await self._connection.dialect()
        return await PortionWriter(self._connection, self._settings, self._common, dialect, write).run()

    async def link(self, links: Sequence[Link]) -> list[WriteResult]:
        """Serve requests on packages that the graph knows. The results are in the order of `links`.

        Ratings are written first, in transactions of their own. It raises LeftGraph if one of the packages is not there
        any more; others may have been served then, and all may be asked for again.
        """
        answers: dict[str, Mapping[str, Any]] = {}
        common = {**self._common(), "resolved_at_once": RESOLVED_AT_ONCE}
        await write_ratings(self._connection, {link.ref: link.ratings for link in links if link.ratings is not None})
        for queries, members in await self._by_ecosystem(links):
            answer = (await self._connection.change(queries.link, {**common, "rows": link_rows(members)}))[0]
            lost = {link.ref.purl for link in members} - set(answer["found"])
            if lost:
                raise LeftGraph(f"{min(lost)} left the graph while it was being linked")
            once = {**answer, "queued": each_once(answer["queued"])}
            answers |= {link.ref.purl: once for link in members}
        return [write_result(link.ref, answers[link.ref.purl], link.parents) for link in links]

    async def resolve(self, ref: PackageRef) -> None:
        """Turn all requirements that wait for a package into edges, however many there are
        (`WriteResult.is_awaited_still`)."""
        await resolve_in_portions(self._connection, await self._statements(ref.ecosystem), self._common, ref.purl)

    async def mark_absent(
        self, ref: PackageRef, tried_at: datetime, reason: str, *, removed: bool = False, listed: str | None = None
    ) -> None:
        """Note that the registry lacks a package, on the package's own node or on that of the absent package. No node
        is created.

        `removed` says that a known package is gone for good since `tried_at`, until a later write or confirmation.
        `listed` has the same meaning as `PackageWrite.listed`.
        """
        await self._connection.change(
            (await self._statements(ref.ecosystem)).mark_absent,
            {
                "purl": ref.purl,
                "tried_at": tried_at,
                "reason": sentence(reason),
                "removed": removed,
                "listed": listed,
            },
        )

    async def forget_queued(self, purls: Sequence[str]) -> None:
        """Mark absent packages as not queued, because their messages were taken out of the queue. The next package that
        requires one of them asks for it again."""
        if purls:
            await self._connection.change(FORGET_QUEUED, {"purls": list(purls)})

    async def namesake(self, ref: PackageRef) -> PackageRef | None:
        """Return the package that a client finds under this lower-case name although its registry spells it otherwise,
        or None."""
        parameters = {"name": ref.name, "purl": ref.purl, "format": FORMAT}
        rows = await self._connection.read((await self._statements(ref.ecosystem)).namesake, parameters)
        return reference(ref.ecosystem, rows[0]["registry_name"], rows[0]["purl"]) if rows else None

    async def names_gaps(
        self, ecosystem: Ecosystem, *, older_than: int, after: str, limit: int, pending: bool = False
    ) -> tuple[list[NamesGap], str | None]:
        """Look at the `limit` packages after a position. Return those whose import names are wanting, and the position
        of the last package.

        Import names are wanting if there are none, if they are a fallback, if the archive is pending, or (if
        `older_than` is above 0) if a parser before that version found them. A position is a package's name or, with
        `pending`, which leaves out all packages that have been read whole, the time at which it is due; the first one
        is empty. The returned position is None if there are no more packages.
        """
        text = names_gaps_text(ecosystem.label, await self._connection.dialect(), pending=pending)
        behind = (datetime.fromisoformat(after) if after else NEVER_DUE) if pending else after
        rows = await self._connection.read(text, {"older_than": older_than, "after": behind, "limit": limit})
        positions = [aware(row["position"]).isoformat() if pending else row["position"] for row in rows]
        found = [_names_gap(row, position) for row, position in zip(rows, positions, strict=True) if row["wanting"]]
        return found, positions[-1] if positions else None

    async def fill_names(self, ecosystem: Ecosystem, found: Sequence[tuple[NamesGap, ImportNames]]) -> None:
        """Write the import names of packages and how they differ from an older version's, and nothing else. A stopgap
        is written only where there are no names.

        The names of a pending archive are not written if that archive is not pending any more.
        """
        rows = [
            {
                "id": gap.element_id,
                "archive": gap.known.pending_archive and archive_texts(gap.known.pending_archive),
                "attempts": attempts_properties(names),
                "is_stopgap": names.is_stopgap,
                "found": names_properties(ecosystem, names),
                "version": names.version,
                "change": names.change and change_properties(names.change),
            }
            # All writers lock packages in the order of their purls.
            for gap, names in sorted(found, key=lambda each: each[0].known.purl)
        ]
        await self._connection.change((await self._statements(ecosystem)).fill_names, {"rows": rows})

    async def _version_names(self, ecosystem: Ecosystem, purl: str) -> list[str]:
        """Return the names of the versions of a package that has very many."""
        queries = portion_statements(ecosystem.label, await self._connection.dialect())
        rows = await self._connection.read(queries.version_names, {"purl": purl})
        return [name for row in rows for name in row["names"]]

    async def _write(
        self, transaction: AsyncTransaction, queries: Statements, writes: Sequence[PackageWrite]
    ) -> dict[str, WriteResult]:
        difference = Difference()
        unconfirmed = set()
        common = self._common()
        nodes = await _read(transaction, queries, common, writes)
        for write in writes:
            ref = write.package.ref
            near = {node.id: node for key in (ref.purl, *possible_names(ref)) for node in nodes.get(key, ())}
            identity = identify(ref, near.values())
            if difference.add_package(write, identity, parent_property=self._settings.parent_version_name):
                unconfirmed.add(ref.purl)
        answer = await write_difference(transaction, queries, common, difference, self._settings.batch_rows)
        answer["queued"] = each_once(answer["queued"])
        return {
            ref.purl: replace(write_result(ref, answer, write.parents), unconfirmed=ref.purl in unconfirmed)
            for write in writes
            for ref in (write.package.ref,)
        }

    async def _by_ecosystem(self, items: Sequence[Item]) -> list[tuple[Statements, list[Item]]]:
        """Return the items of each ecosystem with its statements, in an order that all writers share."""
        ordered = sorted(items, key=lambda item: (_ref(item).ecosystem.label, _ref(item).purl))
        groups = groupby(ordered, key=lambda item: _ref(item).ecosystem)
        return [(await self._statements(ecosystem), list(members)) for ecosystem, members in groups]

    async def _statements(self, ecosystem: Ecosystem) -> Statements:
        return statements(ecosystem.label, await self._connection.dialect())

    def _common(self) -> dict[str, Any]:
        """Return the parameters that all statements share, for the present moment."""
        now = datetime.now(UTC)
        return {
            "now": now,
            "local_now": now.replace(tzinfo=None),
            "retry_before": now - timedelta(seconds=self._absent_retry_s),
            "lost_before": now - timedelta(seconds=self._queued_retry_s),
            "parent_version_name": self._settings.parent_version_name,
        }


async def _read(
    transaction: AsyncTransaction, queries: Statements, common: Mapping[str, Any], writes: Sequence[PackageWrite]
) -> dict[str, list[PackageNode]]:
    """Return the nodes that may stand for the packages, by purl and by name. They are locked until the commit."""
    names = {name for write in writes for name in possible_names(write.package.ref)}
    purls = sorted(write.package.ref.purl for write in writes)
    nodes: dict[str, list[PackageNode]] = {}
    keys = {"purls": purls, "names": sorted(names)}
    rows = await fetched(transaction, queries.read, {**common, "rows": keys})
    for node in collect(rows):
        for key in {node.name, node.purl} - {None}:
            nodes.setdefault(str(key), []).append(node)
    return nodes


def _names_gap(row: Mapping[str, Any], position: str) -> NamesGap:
    known = KnownPackage(
        purl=row["purl"] or "",
        registry_name=row["registry_name"] or row["name"],
        versions=frozenset(row["versions"]),
        checked_at=aware(row["checked_at"]) if row["checked_at"] else NEVER,
        validator=None,
        names_failed=_failed_attempt(row),
        names_of=row["names_of"],
    )
    return NamesGap(row["id"], row["name"], position, known)


def _failed_attempt(row: Mapping[str, Any]) -> FailedAttempt | None:
    """Return the failed attempt from the columns of `_FAILED_ATTEMPT`, or None."""
    if row["failed_attempts"] is None:
        return None
    return FailedAttempt(row["failed_version"] or "", row["failed_attempts"], aware(row["failed_at"]))


def _ref(item: PackageRef | PackageWrite | Link) -> PackageRef:
    if isinstance(item, PackageRef):
        return item
    return item.package.ref if isinstance(item, PackageWrite) else item.ref
