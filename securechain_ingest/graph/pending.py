"""This module finds the work that was left for later: packages that a first reading has not read whole, and absent
packages that no lane holds, because none had room or because Redis has lost their messages. An index finds each kind,
one page at a time. Within a page the packages that most versions require come first."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from securechain_ingest.graph.connection import Connection
from securechain_ingest.graph.dialect import Dialect
from securechain_ingest.graph.properties import FORMAT
from securechain_ingest.graph.statements import for_label
from securechain_ingest.graph.write_statements import LOCK
from securechain_ingest.model import Ecosystem, LeftOut, PackageRef

# The number of a node's relationships stands beside it, so that the order within a page costs no look at them.
_DUE = """
MATCH (p:PACKAGE) WHERE IS_DUE
WITH p ORDER BY p.complete_at LIMIT $limit
RETURN elementId(p) AS id, coalesce(p.registry_name, p.name) AS name, p.complete_depth AS depth,
       COUNT { (p)<-[:REQUIRE]-() } AS required
ORDER BY required DESC
"""

# A package that was read meanwhile has another time by now, or none. It is locked before that is looked at: else one
# that is just being written would get back a time that its write takes away.
_ASK_AGAIN_AT = """
UNWIND $ids AS id
MATCH (p) WHERE elementId(p) = id
SET p.name = p.name
WITH p WHERE p.complete_at <= $now
SET p.complete_at = $again_at
RETURN count(*) AS asked
"""

# The value is looked at once more, because ArcadeDB's index goes on naming what has changed.
LEFT_OUT = """
MATCH (a:AbsentPackage {left_out: $ecosystem})
WITH a, a.left_out AS left_out WHERE left_out = $ecosystem
WITH a LIMIT $limit
RETURN a.purl AS purl, a.name AS name, a.left_out_depth AS depth, coalesce(a.left_out_first, false) AS first,
       COUNT { (a)-[:AWAITED_BY]->() } AS required
ORDER BY required DESC
"""

# Their messages were queued long ago and have not come to an end: Redis has lost them.
_LOST = """
MATCH (a:AbsentPackage) WHERE IS_LOST
WITH a WHERE a.ecosystem = $ecosystem
WITH a LIMIT $limit
RETURN a.purl AS purl, a.name AS name, null AS depth, false AS first, COUNT { (a)-[:AWAITED_BY]->() } AS required
ORDER BY required DESC
"""

# A message may have come to its end before this: then its package is neither left out nor queued, and gets no mark.
_TAKE_UP = f"""
UNWIND $purls AS purl
MATCH (a:AbsentPackage {{purl: purl}})
SET {LOCK}
WITH a
WHERE a.left_out IS NOT NULL OR a.queued_at IS NOT NULL
SET a.left_out = null, a.queued_at = $now
RETURN count(*) AS taken_up
"""


_PENDING_OF = """
UNWIND $rows.purls AS purl
MATCH (p:PACKAGE {purl: purl})
WHERE p.format = $format AND EXISTS { (p)-[:HAVE]->(:Version) }
RETURN p.purl AS purl, coalesce(p.archive_pending, false) OR (p.complete_at IS NOT NULL AND
       EXISTS { (p)-[:HAVE]->(v:Version) WHERE v.requirements_pending }) AS is_pending
"""


@dataclass(frozen=True, slots=True)
class PendingPackage:
    """It is a package that has not been read whole."""

    element_id: str
    name: str
    """The registry is asked with this name."""
    depth: int | None
    """This is `PackageWrite.complete_depth`."""


@dataclass(frozen=True, slots=True)
class AbsentPackage:
    """It is a package that versions require, and no lane holds a message that asks for it."""

    purl: str
    name: str
    """The registry is asked with this name."""
    left_out: LeftOut


class Pending:
    """It finds the packages that were left for later. Its methods raise StoreError and ConfigError."""

    def __init__(self, connection: Connection, queued_retry_s: float) -> None:
        """A message that was queued `queued_retry_s` seconds ago and has come to no end counts as lost."""
        self._connection = connection
        self._queued_retry = timedelta(seconds=queued_retry_s)

    async def of(self, refs: Iterable[PackageRef]) -> dict[str, bool]:
        """Return by purl, for those of the packages that this release has written, whether a part was left for later
        (`KnownPackage.is_pending`). Each ecosystem takes one query."""
        purls: dict[str, set[str]] = {}
        for ref in refs:
            purls.setdefault(ref.ecosystem.label, set()).add(ref.purl)
        found: dict[str, bool] = {}
        for label, members in sorted(purls.items()):
            parameters = {"rows": {"purls": sorted(members)}, "format": FORMAT}
            rows = await self._connection.read(for_label(_PENDING_OF, label), parameters)
            found |= {row["purl"]: row["is_pending"] for row in rows}
        return found

    async def due(self, ecosystem: Ecosystem, now: datetime, limit: int) -> list[PendingPackage]:
        """Return at most `limit` packages that are to be read whole by `now`, with the most required ones first."""
        text = due_text(ecosystem, await self._connection.dialect())
        rows = await self._connection.read(text, {"now": now, "limit": limit})
        return [PendingPackage(row["id"], row["name"], row["depth"]) for row in rows]

    async def ask_again_at(self, element_ids: Collection[str], now: datetime, again_at: datetime) -> None:
        """Leave these packages out of `due` until `again_at`. A package that is read whole is not due any more."""
        await self._connection.change(_ASK_AGAIN_AT, {"ids": list(element_ids), "now": now, "again_at": again_at})

    async def left_out(self, ecosystem: Ecosystem, limit: int) -> list[AbsentPackage]:
        """Return at most `limit` absent packages that a write or a link has left out, with the most required ones
        first."""
        return await self._absent(LEFT_OUT, {"ecosystem": ecosystem.name, "limit": limit})

    async def lost(self, ecosystem: Ecosystem, now: datetime, limit: int) -> list[AbsentPackage]:
        """Return at most `limit` absent packages whose messages count as lost, with the most required ones first."""
        text = lost_text(await self._connection.dialect())
        before = now - self._queued_retry
        return await self._absent(text, {"ecosystem": ecosystem.name, "lost_before": before, "limit": limit})

    async def _absent(self, text: str, parameters: dict[str, Any]) -> list[AbsentPackage]:
        rows = await self._connection.read(text, parameters)
        return [AbsentPackage(row["purl"], row["name"], LeftOut(row["depth"], row["first"])) for row in rows]

    async def take_up(self, purls: Collection[str], now: datetime) -> None:
        """Mark absent packages as queued, but for those whose messages have come to an end already. The caller has
        queued them before."""
        await self._connection.change(_TAKE_UP, {"purls": list(purls), "now": now})


def lost_text(dialect: Dialect) -> str:
    """Return the query for the absent packages whose messages count as lost."""
    return _LOST.replace("IS_LOST", dialect.at_most("a.queued_at", "$lost_before"))


def due_text(ecosystem: Ecosystem, dialect: Dialect) -> str:
    """Return the query for the packages that are to be read whole."""
    return for_label(_DUE, ecosystem.label).replace("IS_DUE", dialect.at_most("p.complete_at", "$now"))
