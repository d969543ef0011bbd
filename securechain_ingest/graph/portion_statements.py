"""The Cypher for packages of very many versions: never all of them in one answer or in one list."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from securechain_ingest.graph.statements import LOCK_NODES, NODE_COLUMNS, VERSION_COLUMNS, for_label


@dataclass(frozen=True, slots=True)
class PortionStatements:
    """The statements for one package label."""

    version_names: str
    nodes: str
    mark: str
    index: str
    read: str
    renumber: str


# A row each: the driver takes a list of a hundred thousand in one piece, and the event loop waits for it.
_VERSION_NAMES = """
MATCH (p:PACKAGE {purl: $purl})
MATCH (p)-[:HAVE]->(v:Version)
RETURN v.name AS name
"""

_NODES = f"""{LOCK_NODES}
RETURN {NODE_COLUMNS}, p.writing AS writing, null AS version_id
"""

# Without its validator the registry sends the whole document again to whoever comes after a write that was broken off.
_MARK = """
MATCH (p) WHERE elementId(p) = $id
SET p.writing = $writing, p.validator = null
RETURN count(*) AS marked
"""

_INDEX = """
MATCH (p) WHERE elementId(p) = $id
MATCH (p)-[:HAVE]->(v:Version)
RETURN elementId(v) AS id, v.name AS name, v.purl AS purl, v.serial_number AS serial
"""

_READ = f"""
MATCH (p) WHERE elementId(p) = $id
UNWIND $rows AS version
MATCH (v) WHERE elementId(v) = version
MATCH (v)<-[have:HAVE]-(p)
RETURN {NODE_COLUMNS},
       {VERSION_COLUMNS}
"""

_RENUMBER = """
UNWIND $rows AS row
MATCH (v:Version {purl: row[0]})
SET v.serial_number = row[1]
RETURN count(*) AS renumbered
"""


@cache
def portion_statements(label: str) -> PortionStatements:
    """The statements for a label of the ecosystem table (never text from outside)."""
    return PortionStatements(
        version_names=for_label(_VERSION_NAMES, label),
        nodes=for_label(_NODES, label),
        mark=_MARK,
        index=_INDEX,
        read=for_label(_READ, label),
        renumber=_RENUMBER,
    )
