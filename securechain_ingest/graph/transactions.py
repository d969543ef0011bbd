"""These functions do the work within a transaction, and turn its answers into what a caller learns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from neo4j import AsyncTransaction

from securechain_ingest.graph.connection import Connection, Rows, rows_of
from securechain_ingest.graph.difference import Difference
from securechain_ingest.graph.failures import Conflict
from securechain_ingest.graph.identity import reference
from securechain_ingest.graph.statements import Statements
from securechain_ingest.model import Link, PackageRef, Parent, WriteResult

RESOLVED_AT_ONCE = 5_000
"""One transaction turns at most this many waiting requirements into edges. That takes about a second of a server's
time."""


async def fetched(transaction: AsyncTransaction, cypher: str, parameters: Mapping[str, Any]) -> Rows:
    """Run one statement, and return all of its rows."""
    return await rows_of(await transaction.run(cypher, dict(parameters)))


async def write_difference(
    transaction: AsyncTransaction, queries: Statements, common: Mapping[str, Any], difference: Difference, rows: int
) -> dict[str, list[Any]]:
    """Write the difference in statements of at most `rows` rows. Return what is `queued`, `linked` and `unresolved`.

    All statements together resolve at most RESOLVED_AT_ONCE waiting requirements. The function raises Conflict if
    another writer has come between.
    """
    queued: list[list[str]] = []
    linked: list[str] = []
    unresolved: list[str] = []
    room = RESOLVED_AT_ONCE
    for portion in difference.portions(rows):
        parameters = {**common, "rows": portion, "resolved_at_once": room}
        answer = (await fetched(transaction, queries.write, parameters))[0]
        if answer["conflicts"]:
            raise Conflict
        room -= answer["resolved"]
        unresolved += answer["unresolved"]
        if late := answer["late"]:
            parameters = {**common, "rows": {"awaited": late}, "resolved_at_once": room}
            room -= (await fetched(transaction, queries.resolve, parameters))[0]["resolved"]
        queued += [entry for entry in answer["queued"] if entry[1] not in late]
        linked += answer["linked"]
    return {"queued": queued, "linked": linked, "unresolved": unresolved}


async def resolve_in_portions(
    connection: Connection, queries: Statements, common: Callable[[], Mapping[str, Any]], purl: str
) -> None:
    """Turn all requirements that wait for a package into edges, at most RESOLVED_AT_ONCE in one transaction.

    If this is broken off, the next request for the package goes on with it. The function raises StoreError or
    ConfigError.
    """
    is_resolved = False
    while not is_resolved:
        parameters = {**common(), "rows": {"awaited": [purl]}, "resolved_at_once": RESOLVED_AT_ONCE}
        is_resolved = not (await connection.change(queries.resolve, parameters))[0]["unresolved"]


def each_once(queued: Iterable[list[str]]) -> list[list[str]]:
    """Return each absent package once, for the first package that requires it. An entry is (package, absent package,
    name)."""
    first: dict[str, list[str]] = {}
    for entry in queued:
        first.setdefault(entry[1], entry)
    return list(first.values())


def write_result(ref: PackageRef, answer: Mapping[str, Any], parents: Sequence[Parent]) -> WriteResult:
    """Return what the caller of one package has to do, from the answer of a whole transaction."""
    queued = {purl: name for package, purl, name in answer["queued"] if package == ref.purl}
    linked = set(answer["linked"])
    return WriteResult(
        purl=ref.purl,
        to_queue=tuple(reference(ref.ecosystem, name, purl) for purl, name in sorted(queued.items())),
        lost_parents=tuple(sorted({parent.element_id for parent in parents} - linked)),
        is_awaited_still=ref.purl in answer["unresolved"],
    )


def link_rows(links: Sequence[Link]) -> dict[str, list[Any]]:
    """Return the lists of `write_statements.LINK`."""
    parents = {(link.ref.purl, parent.element_id): parent.constraints for link in links for parent in link.parents}
    return {
        "links": [
            {
                "purl": link.ref.purl,
                "follow": link.follow,
                "repeat_follow": link.repeat_follow,
                "moment": link.checked_at,
                "revision": link.revision,
                "listed": link.listed,
                "ecosystem": link.ref.ecosystem.name,
                "leave_out": link.leave_out is not None,
                "depth": link.leave_out and link.leave_out.depth,
                "first": bool(link.leave_out and link.leave_out.first),
            }
            for link in links
        ],
        "awaited": sorted({link.ref.purl for link in links}),
        "parents": [
            {"package": purl, "id": element_id, "constraints": constraints}
            for (purl, element_id), constraints in sorted(parents.items())
        ],
    }
