"""This module reads packages in the form that `show`, `ingest` and the page print for people."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from securechain_ingest.graph.connection import Connection
from securechain_ingest.graph.dialect import aware
from securechain_ingest.graph.layout import IMPORT_NAMES_INDEX
from securechain_ingest.graph.statements import for_label
from securechain_ingest.model import Ecosystem

_PACKAGE: Final = "MATCH (p:PACKAGE {purl: $purl}) RETURN properties(p) AS package"

_PURL: Final = "MATCH (p:PACKAGE {name: $name}) RETURN p.purl AS purl"

_VERSIONS: Final = """
MATCH (p:PACKAGE {purl: $purl})-[:HAVE]->(v:Version)
RETURN v.name AS name, v.purl AS purl, v.serial_number AS serial_number, v.release_date AS release_date,
       v.mean AS mean, v.vulnerabilities AS vulnerabilities, v.yanked AS yanked, v.deprecated AS deprecated,
       v.removed AS removed, v.requirements_pending AS requirements_pending,
       v.import_names_added AS names_added, v.import_names_removed AS names_removed,
       v.import_names_before AS names_before
"""

_PRESENT: Final = """
MATCH (v:Version {purl: $purl})-[r:REQUIRE]->(p)
RETURN p.purl AS purl, r.constraints AS constraints, true AS present
"""

_AWAITED: Final = """
MATCH (v:Version {purl: $purl})<-[w:AWAITED_BY]-(a:AbsentPackage)
RETURN a.purl AS purl, w.constraints AS constraints, false AS present
"""

_IMPORT_NAMES: Final = """
MATCH (p:PACKAGE {purl: $purl})
WHERE p.import_names_of = $version AND p.import_names_parser = $parser
RETURN p.import_names AS names
"""

_REQUIRING_COUNT: Final = "MATCH (p:PACKAGE {purl: $purl})<-[:REQUIRE]-(v:Version) RETURN count(v) AS count"

_REQUIRING: Final = "MATCH (p:PACKAGE {purl: $purl})<-[:REQUIRE]-(v:Version) RETURN v.purl AS purl LIMIT $limit"

_WITH_ADVISORY: Final = """
UNWIND $purls AS purl
MATCH (p:PACKAGE {purl: purl})-[:HAVE]->(v:Version)
WHERE any(each IN v.vulnerabilities WHERE each IN $ids)
RETURN DISTINCT purl
"""


# The index takes a whole name as one word. The comparison drops what its query syntax may have found by mistake.
_OFFERING: Final = """
CALL db.index.fulltext.queryNodes($index, $phrase) YIELD node
WITH node WHERE $name IN node.import_names
RETURN node.purl AS purl
"""

_OFFERING_UNINDEXED: Final = "MATCH (p:PACKAGE) WHERE $name IN p.import_names RETURN p.purl AS purl"
"""An ArcadeDB that somebody else has started lacks the index. It looks at a million packages in a second or two."""


# Both servers know these numbers without a look at the nodes, except the second on ArcadeDB (`dialect`).
_PACKAGES: Final = "MATCH (p:PACKAGE) RETURN count(p) AS count"
_VERSIONS_OF: Final = "MATCH (:PACKAGE)-[r:HAVE]->() RETURN count(r) AS count"
_ALL_VERSIONS: Final = "MATCH (v:Version) RETURN count(v) AS count"


@dataclass(frozen=True, slots=True)
class GraphSize:
    """It says how much is in the graph."""

    packages: Mapping[str, int]
    """This maps the name of each ecosystem to its number of packages."""
    versions: Mapping[str, int]
    """This maps the name of each ecosystem to its number of versions. It is empty where the server would have to look
    at all of them to know."""
    all_versions: int


@dataclass(frozen=True, slots=True)
class RequirementView:
    purl: str
    constraints: str
    present: bool
    """This is False if the required package is not in the graph yet."""


@dataclass(frozen=True, slots=True)
class VersionView:
    name: str
    purl: str
    serial_number: int
    """This is -1 if the ecosystem's scheme cannot order the name."""
    release_date: str | None
    mean: float
    vulnerabilities: tuple[str, ...]
    """These are the ids of the advisories that affect the version."""
    yanked: bool = False
    deprecated: bool = False
    removed: bool = False
    requirements_pending: bool = False
    """The requirements of the version have not been read yet."""
    names_before: str | None = None
    """The import names of the version were compared with those of this older version. None means that they were not
    compared."""
    names_added: int = 0
    names_removed: int = 0


@dataclass(frozen=True, slots=True)
class PackageView:
    purl: str
    name: str
    vendor: str
    repository_url: str
    checked_at: datetime
    license: str | None
    import_names: tuple[str, ...]
    import_names_error: str | None
    removed_at: datetime | None
    """The registry has lacked the package since this moment."""
    versions: tuple[VersionView, ...]
    """The versions are in their order, with the oldest first. Versions without an order come before the others."""


@dataclass(frozen=True, slots=True)
class RequiringVersions:
    """It holds the versions of other packages that require a package."""

    count: int
    first: tuple[str, ...]
    """These are some of their purls, in the order in which the graph returns them."""


class GraphReader:
    """It reads packages for people. Its methods raise StoreError and ConfigError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def package(self, ecosystem: Ecosystem, purl: str) -> PackageView | None:
        """Return the package and its versions, or None if the graph lacks the package."""
        rows = await self._connection.read(for_label(_PACKAGE, ecosystem.label), {"purl": purl})
        if not rows:
            return None
        versions = await self._connection.read(for_label(_VERSIONS, ecosystem.label), {"purl": purl})
        return _package(rows[0]["package"], tuple(map(_version, versions)))

    async def purl_of(self, ecosystem: Ecosystem, name: str) -> str | None:
        """Return the purl of the package that has this name in the graph, or None if there is none."""
        rows = await self._connection.read(for_label(_PURL, ecosystem.label), {"name": name})
        return rows[0]["purl"] if rows else None

    async def size(self, ecosystems: Sequence[Ecosystem]) -> GraphSize:
        """Return how much is in the graph. The time that this takes does not depend on the graph's size."""
        has_versions = (await self._connection.dialect()).keeps_counts_of_relationships
        statements = [for_label(_PACKAGES, ecosystem.label) for ecosystem in ecosystems]
        if has_versions:
            statements += [for_label(_VERSIONS_OF, ecosystem.label) for ecosystem in ecosystems]
        answers = await asyncio.gather(*map(self._connection.read, [_ALL_VERSIONS, *statements]))
        all_versions, *counts = (rows[0]["count"] for rows in answers)
        names = [ecosystem.name for ecosystem in ecosystems]
        return GraphSize(
            dict(zip(names, counts, strict=False)),
            dict(zip(names, counts[len(names) :], strict=True)) if has_versions else {},
            all_versions,
        )

    async def requirements(self, version_purl: str) -> tuple[RequirementView, ...]:
        """Return what a version requires, in the order of the purls. Packages that the graph lacks are included."""
        rows = [
            row
            for statement in (_PRESENT, _AWAITED)
            for row in await self._connection.read(statement, {"purl": version_purl})
        ]
        return tuple(sorted((RequirementView(**row) for row in rows), key=lambda each: each.purl))

    async def import_names(self, ecosystem: Ecosystem, purl: str, version: str) -> tuple[str, ...] | None:
        """Return all import names of the package if the parser of today has read them from this version's archive.
        Otherwise return None."""
        parameters = {"purl": purl, "version": version, "parser": ecosystem.import_names_version}
        rows = await self._connection.read(for_label(_IMPORT_NAMES, ecosystem.label), parameters)
        return tuple(rows[0]["names"]) if rows else None

    async def required_by(self, ecosystem: Ecosystem, purl: str, limit: int) -> RequiringVersions:
        """Return how many versions require the package, and the first `limit` of them."""
        (count,) = await self._connection.read(for_label(_REQUIRING_COUNT, ecosystem.label), {"purl": purl})
        first = await self._connection.read(for_label(_REQUIRING, ecosystem.label), {"purl": purl, "limit": limit})
        return RequiringVersions(count["count"], tuple(row["purl"] for row in first))

    async def offering(self, ecosystems: Sequence[Ecosystem], name: str) -> list[str]:
        """Return the purls of the packages that have exactly this import name."""
        phrase = name.replace("\\", "\\\\").replace('"', '\\"')
        sought = {"name": name, "phrase": f'"{phrase}"'}
        if (await self._connection.dialect()).makes_full_text:
            rows = await self._connection.read(_OFFERING, {**sought, "index": IMPORT_NAMES_INDEX})
            return sorted(row["purl"] for row in rows)
        known = {row["name"] for row in await self._connection.read("SHOW INDEXES", {})}
        rows = []
        for ecosystem in ecosystems:
            if (index := f"{ecosystem.label}[import_namesbyitem]") in known:
                rows += await self._connection.read(_OFFERING, {**sought, "index": index})
            else:
                rows += await self._connection.read(for_label(_OFFERING_UNINDEXED, ecosystem.label), {"name": name})
        return sorted(row["purl"] for row in rows)

    async def with_advisory(self, ecosystem: Ecosystem, purls: Collection[str], ids: Collection[str]) -> list[str]:
        """Return the purls of those packages of which the graph has a version that one of the advisories affects."""
        rows = await self._connection.read(
            for_label(_WITH_ADVISORY, ecosystem.label), {"purls": sorted(purls), "ids": sorted(ids)}
        )
        return sorted(row["purl"] for row in rows)


def _package(stored: Mapping[str, Any], versions: tuple[VersionView, ...]) -> PackageView:
    removed_at = stored.get("removed_at")
    return PackageView(
        purl=stored["purl"],
        name=stored["name"],
        vendor=stored["vendor"],
        repository_url=stored["repository_url"],
        checked_at=aware(stored["moment"]),
        license=stored.get("license"),
        import_names=tuple(stored["import_names"]),
        import_names_error=stored.get("import_names_error"),
        removed_at=aware(removed_at) if removed_at is not None else None,
        versions=tuple(sorted(versions, key=lambda version: (version.serial_number, version.name))),
    )


def _version(row: Mapping[str, Any]) -> VersionView:
    return VersionView(
        name=row["name"],
        purl=row["purl"],
        serial_number=row["serial_number"],
        release_date=row["release_date"],
        mean=row["mean"],
        vulnerabilities=tuple(row["vulnerabilities"]),
        yanked=bool(row["yanked"]),
        deprecated=bool(row["deprecated"]),
        removed=bool(row["removed"]),
        requirements_pending=bool(row["requirements_pending"]),
        names_before=row["names_before"],
        names_added=row["names_added"] or 0,
        names_removed=row["names_removed"] or 0,
    )
