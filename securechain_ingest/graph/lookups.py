"""This module answers the page's questions about many packages at once: which have a name, which an advisory touches,
and what a version requires, level by level."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from securechain_ingest.graph.connection import Connection
from securechain_ingest.graph.statements import for_label
from securechain_ingest.model import Ecosystem

_NAMED: Final = "MATCH (p:PACKAGE) WHERE p.name STARTS WITH $start RETURN p.purl AS purl LIMIT $limit"

_TOUCHED: Final = """
UNWIND $rows AS row
MATCH (p:PACKAGE {purl: row.purl})-[:HAVE]->(v:Version)
WHERE row.id IN v.vulnerabilities
RETURN row.id AS id, row.purl AS purl, count(v) AS versions
"""

_NEWEST: Final = """
UNWIND $purls AS purl
MATCH (p:PACKAGE {purl: purl})-[:HAVE]->(v:Version)
WITH purl, v, CASE WHEN coalesce(v.removed, false) OR coalesce(v.yanked, false) THEN 1 ELSE 0 END AS is_out
ORDER BY is_out, v.serial_number DESC
WITH purl, collect(v)[0] AS v
RETURN purl, v.purl AS version, v.vulnerabilities AS vulnerabilities,
       coalesce(v.requirements_pending, false) AS is_pending
"""

_REQUIRED: Final = """
UNWIND $versions AS version
MATCH (v:Version {purl: version})-[r:REQUIRE]->(p)
RETURN version, p.purl AS purl, r.constraints AS constraints, true AS is_present LIMIT $limit
"""

_AWAITED: Final = """
UNWIND $versions AS version
MATCH (v:Version {purl: version})<-[w:AWAITED_BY]-(a:AbsentPackage)
RETURN version, a.purl AS purl, w.constraints AS constraints, false AS is_present LIMIT $limit
"""


@dataclass(frozen=True, slots=True)
class TouchedPackage:
    """It is a package of the graph of which an advisory affects so many versions."""

    purl: str
    versions: int


@dataclass(frozen=True, slots=True)
class NewestVersion:
    """It is the version that stands for a package: the last in order of those that are neither removed nor yanked."""

    purl: str
    vulnerabilities: tuple[str, ...]
    is_pending: bool
    """Its requirements have not been read yet."""


@dataclass(frozen=True, slots=True)
class RequiredPackage:
    """It is one requirement of a version."""

    version: str
    """This is the purl of the version that requires the package."""
    purl: str
    constraints: str
    is_present: bool
    """This is False if the package is not in the graph yet."""


class Lookups:
    """Its methods raise StoreError and ConfigError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def named(self, ecosystems: Sequence[Ecosystem], start: str, limit: int) -> list[str]:
        """Return the purls of at most `limit` packages of each ecosystem whose lower-case names begin with `start`."""
        asked = (
            self._connection.read(for_label(_NAMED, ecosystem.label), {"start": start, "limit": limit})
            for ecosystem in ecosystems
        )
        return [row["purl"] for rows in await asyncio.gather(*asked) for row in rows]

    async def touched(
        self, ecosystem: Ecosystem, pairs: Collection[tuple[str, str]]
    ) -> dict[str, list[TouchedPackage]]:
        """Return the packages that advisories touch, by the advisory's id. `pairs` are ids and purls."""
        rows = [{"id": identifier, "purl": purl} for identifier, purl in sorted(set(pairs))]
        found: dict[str, list[TouchedPackage]] = {}
        for row in await self._connection.read(for_label(_TOUCHED, ecosystem.label), {"rows": rows}):
            found.setdefault(row["id"], []).append(TouchedPackage(row["purl"], row["versions"]))
        return found

    async def newest(self, ecosystem: Ecosystem, purls: Collection[str]) -> dict[str, NewestVersion]:
        """Return the newest version of each package that has one, by the package's purl."""
        rows = await self._connection.read(for_label(_NEWEST, ecosystem.label), {"purls": sorted(purls)})
        return {row["purl"]: _newest(row) for row in rows}

    async def required(self, versions: Collection[str], limit: int) -> list[RequiredPackage]:
        """Return what versions require, at most `limit` requirements on packages of the graph and as many on others."""
        given = {"versions": sorted(versions), "limit": limit}
        answers = await asyncio.gather(*(self._connection.read(each, given) for each in (_REQUIRED, _AWAITED)))
        return [RequiredPackage(**row) for rows in answers for row in rows]


def _newest(row: Mapping[str, Any]) -> NewestVersion:
    return NewestVersion(row["version"], tuple(row["vulnerabilities"] or ()), bool(row["is_pending"]))
