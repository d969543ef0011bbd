"""This module makes the columns of each table from the layout of the graph.

Columns for other programs' properties are added where a row needs them (`tables.type_of`).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Final

from securechain_ingest.graph.layout import (
    ABSENT_PROPERTIES,
    PACKAGE_PROPERTIES,
    RELATIONSHIPS,
    VERSION_PROPERTIES,
    Property,
    Type,
)
from securechain_ingest.model import Ecosystem
from securechain_ingest.snapshot.tables import Column, Columns

NOT_COPIED: Final = frozenset({"queued_at", "writing", "settled", "pending_archive"})
"""These properties belong to one installation: to its queue, to a transaction in it, or to its registries, whose
addresses may be those of a mirror that no other installation reaches."""

_KINDS: Final = {
    Type.STRING: "string",
    Type.INTEGER: "long",
    Type.FLOAT: "double",
    Type.BOOLEAN: "boolean",
    Type.STRINGS: "string[]",
    Type.MOMENT: "datetime",
}


def _of_properties(properties: Iterable[Property]) -> Columns:
    return [Column(each.name, _KINDS[each.type]) for each in properties if each.name not in NOT_COPIED]


def _of_nodes(group: str, properties: Iterable[Property]) -> Columns:
    """Return the columns of a table of nodes, of which the purl is the one that relationships name."""
    return [Column("purl", "ID", group), *(each for each in _of_properties(properties) if each.name != "purl")]


def _of_relationships(kind: str, source: str, target: str) -> Columns:
    [layout] = [each for each in RELATIONSHIPS if each.type == kind and each.source != "RequirementFile"]
    return [Column("", "START_ID", source), Column("", "END_ID", target), *_of_properties(layout.properties)]


@cache
def packages_of(ecosystem: Ecosystem) -> Columns:
    """Return the columns of an ecosystem's packages."""
    own = [Column(name, "string") for name, _ in ecosystem.node_properties]
    return [*_of_nodes("package", PACKAGE_PROPERTIES), *own]


VERSIONS: Final = _of_nodes("version", VERSION_PROPERTIES)
ABSENT: Final = _of_nodes("absent", ABSENT_PROPERTIES)
HAVE: Final = _of_relationships("HAVE", "package", "version")
REQUIRE: Final = _of_relationships("REQUIRE", "version", "package")
AWAITED_BY: Final = _of_relationships("AWAITED_BY", "absent", "version")
