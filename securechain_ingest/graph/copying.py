"""This module reads the whole graph page by page, and writes such pages into an empty graph. Snapshots use it.

Only packages, their versions, absent packages and the relationships between them are read. Nodes of other programs
(users, repositories, requirement files) are not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from neo4j.time import DateTime

from securechain_ingest.graph.connection import Connection
from securechain_ingest.graph.dialect import aware
from securechain_ingest.graph.statements import for_label
from securechain_ingest.model import Ecosystem

ABSENT_LABEL: Final = "AbsentPackage"
VERSION_LABEL: Final = "Version"

VERSIONS_AT_ONCE: Final = 5_000
"""One answer holds at most so many versions with their requirements."""

# Each page is asked for by an index, in the order of the purls.
_PACKAGES: Final = """
MATCH (p:PACKAGE) WHERE p.purl > $after
WITH p ORDER BY p.purl LIMIT $limit
RETURN p.purl AS purl, properties(p) AS properties, COUNT { (p)-[:HAVE]->() } AS versions
"""

_NAMED: Final = """
UNWIND $purls AS purl
MATCH (p:PACKAGE {purl: purl})
RETURN p.purl AS purl, properties(p) AS properties, COUNT { (p)-[:HAVE]->() } AS versions
"""

# A label in a pattern allows Neo4j to begin there. With `(t:PACKAGE)` it may go through all packages for each version,
# in search of those that it requires, and with `(v:Version)` through all versions for each package.
_VERSIONS: Final = """
UNWIND $purls AS purl
MATCH (p:PACKAGE {purl: purl})-[:HAVE]->(v)
WHERE 'Version' IN labels(v) AND v.purl IS NOT NULL
WITH purl, p.name AS name, v ORDER BY v.purl SKIP $skip LIMIT $limit
RETURN purl AS package, name AS package_name, properties(v) AS properties,
       [(v)-[r:REQUIRE]->(t) WHERE 'PACKAGE' IN labels(t) AND t.purl IS NOT NULL |
         [t.purl, coalesce(t.registry_name, t.name), properties(r)]] AS requirements,
       [(v)<-[w:AWAITED_BY]-(a:AbsentPackage) | [a.purl, a.name, properties(w)]] AS waits
"""

_ABSENT: Final = """
MATCH (a:AbsentPackage) WHERE a.purl > $after
WITH a ORDER BY a.purl LIMIT $limit
RETURN a.purl AS purl, properties(a) AS properties
"""

# The nodes that docs/contract.md gives to the programs beside this one may be there before the packages.
_FOREIGN: Final = """
MATCH (n) WHERE NOT (n:User OR n:Repository OR n:RequirementFile)
RETURN head(labels(n)) AS label LIMIT 1
"""

_WITHOUT_PURL: Final = "MATCH (n:PACKAGE) WHERE n.purl IS NULL RETURN count(n) AS count"

# A batch that was written before a break is written once more, which changes nothing.
_MERGE_NODES: Final = """
UNWIND $rows AS row
MERGE (n:PACKAGE {purl: row.purl})
SET n += row
RETURN count(*) AS merged
"""

# An empty list of a parameter takes Neo4j 128 bytes on the disk, and one that it makes itself takes none.
_MERGE_VERSIONS: Final = """
UNWIND $rows AS row
MERGE (n:Version {purl: row.purl})
SET n += row, n.vulnerabilities = coalesce(row.vulnerabilities, range(1, 0))
RETURN count(*) AS merged
"""

_MERGE_HAVE: Final = """
UNWIND $rows AS row
MATCH (p:PACKAGE {purl: row.from})
MATCH (v:Version {purl: row.to})
MERGE (v)<-[:HAVE]-(p)
RETURN count(*) AS merged
"""

_MERGE_REQUIREMENTS: Final = """
UNWIND $rows AS row
MATCH (v:Version {purl: row.from})
MATCH (p:PACKAGE {purl: row.to})
MERGE (v)-[r:REQUIRE]->(p)
SET r += row.properties
RETURN count(*) AS merged
"""

_MERGE_WAITS: Final = """
UNWIND $rows AS row
MATCH (a:AbsentPackage {purl: row.from})
MATCH (v:Version {purl: row.to})
MERGE (v)<-[w:AWAITED_BY]-(a)
SET w += row.properties
RETURN count(*) AS merged
"""

# Neo4j's bulk import leaves out empty lists, which clients need.
_FILL_VERSIONS: Final = """
MATCH (v:Version) WHERE v.purl > $after
WITH v ORDER BY v.purl LIMIT $limit
WITH v, v.purl AS purl
FOREACH (_ IN CASE WHEN v.vulnerabilities IS NULL THEN [1] ELSE [] END | SET v.vulnerabilities = range(1, 0))
RETURN max(purl) AS last
"""

_FILL_PACKAGES: Final = """
MATCH (p:PACKAGE) WHERE p.purl > $after
WITH p ORDER BY p.purl LIMIT $limit
WITH p, p.purl AS purl
FOREACH (_ IN CASE WHEN p.import_names IS NULL THEN [1] ELSE [] END | SET p.import_names = range(1, 0))
RETURN max(purl) AS last
"""

_FILLED_AT_ONCE: Final = 20_000


@dataclass(frozen=True, slots=True)
class CopiedPackage:
    purl: str
    properties: Mapping[str, Any]
    versions: int
    """This is the number of the package's versions."""


class CopiedRequirement(NamedTuple):
    purl: str
    """This is the purl of the required package."""
    name: str
    """This is the package's name, with which its registry is asked."""
    properties: Mapping[str, Any]
    """These are the properties of the relationship."""


@dataclass(frozen=True, slots=True)
class CopiedVersion:
    package: str
    """This is the purl of the package that has the version."""
    package_name: str
    properties: Mapping[str, Any]
    requirements: Sequence[CopiedRequirement] = field(default=())
    waits: Sequence[CopiedRequirement] = field(default=())
    """These are requirements on absent packages."""


class GraphCopy:
    """Its methods raise StoreError and ConfigError. Every list that it takes is written in one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def packages(self, ecosystem: Ecosystem, after: str, limit: int) -> list[CopiedPackage]:
        """Return the next packages after a purl, in the order of their purls. The list is empty at the end."""
        rows = await self._read(for_label(_PACKAGES, ecosystem.label), {"after": after, "limit": limit})
        return [CopiedPackage(**row) for row in rows]

    async def named(self, ecosystem: Ecosystem, purls: Sequence[str]) -> list[CopiedPackage]:
        """Return those of the packages that the graph has."""
        return [
            CopiedPackage(**row) for row in await self._read(for_label(_NAMED, ecosystem.label), {"purls": list(purls)})
        ]

    async def versions(self, ecosystem: Ecosystem, purls: Sequence[str], skip: int = 0) -> list[CopiedVersion]:
        """Return at most VERSIONS_AT_ONCE versions of some packages, after the first `skip` of them."""
        parameters = {"purls": list(purls), "skip": skip, "limit": VERSIONS_AT_ONCE}
        rows = await self._read(for_label(_VERSIONS, ecosystem.label), parameters)
        return [
            CopiedVersion(
                row["package"],
                row["package_name"],
                row["properties"],
                [CopiedRequirement(*each) for each in row["requirements"]],
                [CopiedRequirement(*each) for each in row["waits"]],
            )
            for row in rows
        ]

    async def absent(self, after: str, limit: int) -> list[Mapping[str, Any]]:
        """Return the properties of the next absent packages after a purl, in the order of their purls."""
        return [row["properties"] for row in await self._read(_ABSENT, {"after": after, "limit": limit})]

    async def without_purl(self, ecosystem: Ecosystem) -> int:
        """Return how many packages have no purl. Only another program can have written them."""
        return int((await self._read(for_label(_WITHOUT_PURL, ecosystem.label), {}))[0]["count"])

    async def foreign_label(self) -> str | None:
        """Return a label of a node that is no user, repository or requirement file. It is None if there is no such
        node, and an empty text if the node has no label."""
        rows = await self._connection.read(_FOREIGN, {})
        return str(rows[0]["label"] or "") if rows else None

    async def merge_nodes(self, label: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write nodes that have a purl. A node that is there already gets the same properties again."""
        text = _MERGE_VERSIONS if label == VERSION_LABEL else for_label(_MERGE_NODES, label)
        await self._merge(text, rows)

    async def merge_have(self, label: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write which package (`from`) has which version (`to`); both are purls."""
        await self._merge(for_label(_MERGE_HAVE, label), rows)

    async def merge_requirements(self, label: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write which version (`from`) requires which package (`to`), and the `properties` of each relationship."""
        await self._merge(for_label(_MERGE_REQUIREMENTS, label), rows)

    async def merge_waits(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write which absent package (`from`) a version (`to`) waits for, and the `properties` of each relationship."""
        await self._merge(_MERGE_WAITS, rows)

    async def fill_empty_lists(self, labels: Sequence[str]) -> None:
        """Give every version and every package of the labels the list that it lacks."""
        for text in (_FILL_VERSIONS, *(for_label(_FILL_PACKAGES, label) for label in labels)):
            after: str | None = ""
            while after is not None:
                parameters = {"after": after, "limit": _FILLED_AT_ONCE}
                after = (await self._connection.change(text, parameters))[0]["last"]

    async def _merge(self, text: str, rows: Sequence[Mapping[str, Any]]) -> None:
        await self._connection.change(text, {"rows": list(rows)})

    async def _read(self, text: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        rows = await self._connection.read(text, parameters)
        if not (await self._connection.dialect()).keeps_zones:
            for row in rows:
                if "properties" in row:
                    row["properties"] = {name: _in_utc(value) for name, value in row["properties"].items()}
        return rows


def _in_utc(value: Any) -> Any:
    return DateTime.from_native(aware(value)) if isinstance(value, DateTime) else value
