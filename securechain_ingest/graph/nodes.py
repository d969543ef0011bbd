"""What a transaction read about the packages that it is going to write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Edge(NamedTuple):
    """A REQUIRE relationship of a version."""

    id: str
    purl: str | None
    """Of the target; None on a node that another program wrote."""
    name: str
    constraints: str | None
    parent: str | None


class Wait(NamedTuple):
    """A requirement on a package that is not in the graph yet."""

    id: str
    purl: str
    name: str
    constraints: str
    queueable: bool
    """Neither queued before nor known to be missing from its registry."""


@dataclass(frozen=True, slots=True)
class VersionNode:
    """A version's node, with the relationships that hold its requirements."""

    id: str
    have_id: str
    properties: Mapping[str, Any]
    edges: tuple[Edge, ...]
    waits: tuple[Wait, ...]

    @property
    def name(self) -> str:
        return str(self.properties["name"])


@dataclass(frozen=True, slots=True)
class PackageNode:
    """A package's node and its versions."""

    id: str
    purl: str | None
    name: str
    registry_name: str | None
    has_names: bool
    """Whether it has import names, be it a fallback, or its archive is known to offer none."""
    versions: list[VersionNode] = field(default_factory=list)


def collect(rows: Iterable[Mapping[str, Any]]) -> list[PackageNode]:
    """The nodes from the rows of `Statements.read`: one row a version."""
    packages: dict[str, PackageNode] = {}
    for row in rows:
        package = packages.get(row["id"])
        if package is None:
            package = PackageNode(row["id"], row["purl"], row["name"], row["registry_name"], row["has_names"])
            packages[row["id"]] = package
        if row["version_id"] is not None and row["version"].get("name") is not None:
            package.versions.append(
                VersionNode(
                    id=row["version_id"],
                    have_id=row["have_id"],
                    properties=row["version"],
                    edges=tuple(Edge(*edge) for edge in row["edges"]),
                    waits=tuple(Wait(*wait) for wait in row["waits"]),
                )
            )
    return list(packages.values())
