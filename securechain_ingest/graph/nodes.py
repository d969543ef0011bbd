"""These classes hold what a transaction has read about the packages that it is going to write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Edge(NamedTuple):
    """It is a REQUIRE relationship of a version."""

    id: str
    purl: str | None
    """This is the purl of the target. It is None if another program wrote the target's node."""
    name: str
    constraints: str | None
    parent: str | None


class Wait(NamedTuple):
    """It is a requirement on a package that is not in the graph yet."""

    id: str
    purl: str
    name: str
    constraints: str
    queueable: bool
    """The package was not queued before, and its registry is not known to lack it."""


@dataclass(frozen=True, slots=True)
class VersionNode:
    """It is a version's node with the relationships that hold its requirements."""

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
    """It is a package's node with its versions."""

    id: str
    purl: str | None
    name: str
    registry_name: str | None
    has_names: bool
    """This says whether the package has import names, which may be a fallback, or its archive is known to offer
    none."""
    versions: list[VersionNode] = field(default_factory=list)


def collect(rows: Iterable[Mapping[str, Any]]) -> list[PackageNode]:
    """Return the nodes from the rows of `Statements.read`, which has one row for each version."""
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
