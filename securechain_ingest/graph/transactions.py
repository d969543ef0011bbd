"""What is done within a transaction, and what of its answers a caller learns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from neo4j import AsyncTransaction

from securechain_ingest.graph.connection import Rows, rows_of
from securechain_ingest.graph.difference import Difference
from securechain_ingest.graph.failures import Conflict
from securechain_ingest.graph.identity import reference
from securechain_ingest.graph.statements import Statements
from securechain_ingest.model import PackageRef, WriteResult


async def fetched(transaction: AsyncTransaction, cypher: str, parameters: Mapping[str, Any]) -> Rows:
    """All rows of one statement."""
    return await rows_of(await transaction.run(cypher, dict(parameters)))


async def write_difference(
    transaction: AsyncTransaction, queries: Statements, common: Mapping[str, Any], difference: Difference, rows: int
) -> dict[str, list[Any]]:
    """Write it in statements of at most so many rows; returns what is `queued` and `linked`. Raises Conflict."""
    queued: list[list[str]] = []
    linked: list[str] = []
    for portion in difference.portions(rows):
        answer = (await fetched(transaction, queries.write, {**common, "rows": portion}))[0]
        if answer["conflicts"]:
            raise Conflict
        if answer["late"]:
            await fetched(transaction, queries.resolve, {**common, "rows": {"awaited": answer["late"]}})
        late = set(answer["late"])
        queued += [entry for entry in answer["queued"] if entry[1] not in late]
        linked += answer["linked"]
    return {"queued": queued, "linked": linked}


def each_once(queued: Iterable[list[str]]) -> list[list[str]]:
    """Each absent package for the first only of those that require it: (package, absent package, name)."""
    first: dict[str, list[str]] = {}
    for entry in queued:
        first.setdefault(entry[1], entry)
    return list(first.values())


def outcome(ref: PackageRef, answer: Mapping[str, Any], parents: Sequence[str]) -> WriteResult:
    """What one package's caller has to do, from what a whole transaction has `queued` and `linked`."""
    queued = {purl: name for package, purl, name in answer["queued"] if package == ref.purl}
    linked = set(answer["linked"])
    return WriteResult(
        purl=ref.purl,
        to_queue=tuple(reference(ref.ecosystem, name, purl) for purl, name in sorted(queued.items())),
        lost_parents=tuple(sorted(set(parents) - linked)),
    )
