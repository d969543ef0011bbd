"""This module has the Cypher for packages of very many versions. No answer and no list ever holds all of the
versions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from securechain_ingest.graph.dialect import Dialect
from securechain_ingest.graph.statements import LOCK_NODES, NODE_COLUMNS, VERSION_COLUMNS, for_label


@dataclass(frozen=True, slots=True)
class PortionStatements:
    """These are the statements for one package label."""

    version_names: str
    nodes: str
    sign: str
    index: str
    read: str
    renumber: str


# A row has some hundreds of names: the driver takes it in one piece while the event loop waits, but rows cost time.
_VERSION_NAMES = """
MATCH (p:PACKAGE {purl: $purl})
MATCH (p)-[:HAVE]->(v:Version)
WITH collect(v.name) AS names
UNWIND range(0, size(names) - 1, 500) AS start
RETURN names[start..start + 500] AS names
"""

_NODES = f"""{LOCK_NODES}
RETURN {NODE_COLUMNS}, p.writing AS writing, null AS version_id
"""

# Without a validator the registry sends the whole document again, which the visit after a broken-off write needs.
_SIGN = """
MATCH (p) WHERE elementId(p) = $id
SET p.writing = $writing, p.validator = null
RETURN count(*) AS signed
"""

_INDEX = """
MATCH (p) WHERE elementId(p) = $id
MATCH (p)-[:HAVE]->(v:Version)
WHERE v.name IS NOT NULL
WITH collect([elementId(v), v.name, v.purl, v.serial_number, coalesce(v.removed, false)]) AS versions
UNWIND range(0, size(versions) - 1, 500) AS start
RETURN versions[start..start + 500] AS versions
"""

# The package is looked at last: a plan that begins with it goes through all of its versions for each of these.
_READ = f"""
UNWIND $rows AS version
MATCH (v) WHERE elementId(v) = version
MATCH (v)<-[have:HAVE]-(p)
WITH v, have, p
WHERE elementId(p) = $id
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
def portion_statements(label: str, dialect: Dialect) -> PortionStatements:
    """Return the statements for a label of the ecosystem table. The label is never text from outside."""

    def text(cypher: str) -> str:
        return dialect.searching(for_label(cypher, label))

    return PortionStatements(
        version_names=text(_VERSION_NAMES),
        nodes=text(_NODES),
        sign=text(_SIGN),
        index=text(_INDEX),
        read=text(_READ),
        renumber=text(_RENUMBER),
    )
