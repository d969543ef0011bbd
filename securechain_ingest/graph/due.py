"""This module finds the packages that are due by the clock: those whose last check is old, and those whose archive is
to be tried again.

On Neo4j an index finds each of them, however many packages there are.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

from securechain_ingest.graph.connection import Connection
from securechain_ingest.graph.dialect import Dialect
from securechain_ingest.graph.identity import reference
from securechain_ingest.graph.statements import for_label
from securechain_ingest.model import Ecosystem, PackageRef

# With OR Neo4j may plan the two cases apart, sort what both have and only then take the first of them.
_NOT_TRIED: Final = "coalesce(p.tried_at < $older_than, true)"
"""This condition says that the registry has not lately said that it does not have the package."""

_STALE: Final = f"""
MATCH (p:PACKAGE) WHERE IS_OLD
WITH p WHERE {_NOT_TRIED}
WITH p ORDER BY p.moment LIMIT $limit
RETURN p.name AS name, p.registry_name AS registry_name, p.purl AS purl
"""

# Upstream writes times without a zone, and this program writes them with one. Neo4j's index keeps the two kinds apart,
# so a time without a zone was written by another program.
_NEVER_READ: Final = f"""
MATCH (p:PACKAGE) WHERE IS_FOREIGN
WITH p WHERE p.format IS NULL AND {_NOT_TRIED}
WITH p ORDER BY p.moment LIMIT $limit
RETURN p.name AS name, p.registry_name AS registry_name, p.purl AS purl
"""
_ANY_LOCAL_TIME: Final = datetime(9999, 12, 31)  # noqa: DTZ001 - one without a zone is what is meant

# A package that its registry lacked is asked for in other ways, if at all.
_ARCHIVES: Final = """
MATCH (p:PACKAGE) WHERE IS_DUE
WITH p WHERE p.tried_at IS NULL
WITH p ORDER BY p.import_names_retry_at LIMIT $limit
RETURN elementId(p) AS id, coalesce(p.registry_name, p.name) AS name
"""

# A package that was read meanwhile has another time by now, or none. It is locked before that is looked at.
_ASK_AGAIN_AT: Final = """
UNWIND $ids AS id
MATCH (p) WHERE elementId(p) = id
SET p.name = p.name
WITH p WHERE p.import_names_retry_at <= $now
SET p.import_names_retry_at = $again_at
RETURN count(*) AS asked
"""


class DuePackages:
    """It finds the packages of one ecosystem that are due. Its methods raise StoreError and ConfigError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def stale(self, ecosystem: Ecosystem, older_than: datetime, limit: int) -> list[PackageRef]:
        """Return at most `limit` packages that were last checked before `older_than`, with the oldest check first."""
        text = stale_text(ecosystem, await self._connection.dialect())
        return await self._refs(ecosystem, text, {"older_than": older_than, "limit": limit})

    async def never_read(self, ecosystem: Ecosystem, older_than: datetime, limit: int) -> list[PackageRef]:
        """Return at most `limit` packages that another program has written and whose registry was not asked since
        `older_than`.

        A package that the other program has left without a date has got one at the start of a daemon (`undated`).
        """
        text = never_read_text(ecosystem, await self._connection.dialect())
        parameters = {"older_than": older_than, "limit": limit, "any_local_time": _ANY_LOCAL_TIME}
        return await self._refs(ecosystem, text, parameters)

    async def _refs(self, ecosystem: Ecosystem, text: str, parameters: dict[str, Any]) -> list[PackageRef]:
        rows = await self._connection.read(text, parameters)
        return [reference(ecosystem, row["registry_name"] or row["name"], row["purl"] or "") for row in rows]

    async def archives(self, ecosystem: Ecosystem, now: datetime, limit: int) -> dict[str, str]:
        """Return at most `limit` packages whose archive is to be tried again by `now`, as registry names by element
        id."""
        text = archives_text(ecosystem, await self._connection.dialect())
        rows = await self._connection.read(text, {"now": now, "limit": limit})
        return {row["id"]: row["name"] for row in rows}

    async def ask_again_at(self, element_ids: Collection[str], now: datetime, again_at: datetime) -> None:
        """Leave these packages out of `archives` until `again_at`, because they have been queued. The next attempt sets
        a time of its own."""
        await self._connection.change(_ASK_AGAIN_AT, {"ids": list(element_ids), "now": now, "again_at": again_at})


def stale_text(ecosystem: Ecosystem, dialect: Dialect) -> str:
    """Return the query for the packages whose last check is old."""
    return _text(_STALE, ecosystem, IS_OLD=dialect.at_most("p.moment", "$older_than"))


def never_read_text(ecosystem: Ecosystem, dialect: Dialect) -> str:
    """Return the query for the packages that another program has written and that nobody has read since."""
    return _text(_NEVER_READ, ecosystem, IS_FOREIGN=dialect.without_zone("p.moment", "$any_local_time"))


def archives_text(ecosystem: Ecosystem, dialect: Dialect) -> str:
    """Return the query for the packages whose archive is to be tried again."""
    return _text(_ARCHIVES, ecosystem, IS_DUE=dialect.at_most("p.import_names_retry_at", "$now"))


def _text(cypher: str, ecosystem: Ecosystem, **conditions: str) -> str:
    for name, condition in conditions.items():
        cypher = cypher.replace(name, condition)
    return for_label(cypher, ecosystem.label)
