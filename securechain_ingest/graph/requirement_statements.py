"""The parts of a write that hold the requirements of its versions, of packages that are there and that are not."""

from __future__ import annotations

# Setting a property locks the node against a transaction that is just settling it. What waits is noted before packages
# are looked for, so that a package that another transaction commits meanwhile is found late, not missed.
_MERGE_ABSENT = """
UNWIND $rows.targets AS row
WITH row WHERE NOT EXISTS { MATCH (t:PACKAGE {purl: row.purl}) }
MERGE (a:AbsentPackage {purl: row.purl})
SET a.name = row.name, a.ecosystem = row.ecosystem
RETURN count(*) AS absent
"""


def _await(rows: str, verb: str, answer: str) -> str:
    return f"""
UNWIND $rows.targets AS row
WITH row WHERE {rows}
MATCH (a:AbsentPackage {{purl: row.purl}})
UNWIND row.edges AS edge
MATCH (v:Version {{purl: edge[0]}})
{verb} (v)<-[w:AWAITED_BY]-(a)
SET w.constraints = edge[1]
RETURN count(*) AS {answer}
"""


def _require(rows: str, verb: str, answer: str) -> str:
    return f"""
UNWIND $rows.targets AS row
WITH row WHERE {rows}
MATCH (t:PACKAGE {{purl: row.purl}})
UNWIND row.edges AS edge
MATCH (v:Version {{purl: edge[0]}})
{verb} (v)-[r:REQUIRE]->(t)
SET r.constraints = edge[1], r.parent_version_name = row.parent
RETURN count(*) AS {answer}
"""


# The merge above may have waited for the transaction that wrote the very package: then both are there now.
_FIND_LATE = """
UNWIND $rows.targets AS row
MATCH (a:AbsentPackage {purl: row.purl})
MATCH (t:PACKAGE {purl: row.purl})
RETURN collect(t.purl) AS late
"""

_QUEUE_TARGETS = """
UNWIND $rows.targets AS row
WITH row WHERE row.follow
MATCH (a:AbsentPackage {purl: row.purl})
WHERE NOT_QUEUED AND QUEUEABLE
WITH row, a, a.name AS name
SET a.queued_at = $now
RETURN collect([row.package, row.purl, name]) AS queued
"""

# The versions that the same transaction creates have no edge yet: looking for one would be half of its database hits.
REQUIREMENTS = (
    _MERGE_ABSENT,
    _await("row.new", "CREATE", "awaited_by_new"),
    _await("NOT row.new", "MERGE", "awaited"),
    _require("row.new", "CREATE", "required_by_new"),
    _require("NOT row.new", "MERGE", "required"),
    _FIND_LATE,
    _QUEUE_TARGETS,
)
