"""This module has the Cypher that writes. It has named steps, each of which takes one list, and a table that says
which.

The steps are joined into one text as subqueries that return one row each, because a round trip costs more than an empty
list. All lists are passed as one map, `$rows`, because Neo4j plans a text anew for each order of magnitude of a list
parameter's length.

Rows that a step does not take are left out of its list, and no MATCH has a condition with OR. Otherwise Neo4j looks up
the nodes of all rows first, and once for each side of the OR.
"""

from __future__ import annotations

from typing import NamedTuple


class Step(NamedTuple):
    """It is a part of a statement."""

    rows: str
    """This is the list that the step takes. It stands as ROWS in the step's text."""
    cypher: str


NOT_QUEUED = "coalesce(a.queued_at < $lost_before, true)"
"""This condition says that nobody is asking for the package. A message of long ago counts as lost."""

QUEUEABLE = "coalesce(a.tried_at < $retry_before, true)"
"""This condition says that the registry has not lately said that it does not have the package."""

_PARENT = "CASE $parent_version_name WHEN 'name' THEN parent.name ELSE parent.purl END"

_FILL_PACKAGE = """p.import_names = coalesce(row.properties.import_names, p.import_names, []),
    p.vendor = coalesce(row.properties.vendor, p.vendor, 'n/a'),
    p.repository_url = coalesce(row.properties.repository_url, p.repository_url, 'n/a')"""
"""Clients need these values of every package. They are set where neither this write nor an earlier one has better
ones."""

# The earlier `listed` stays as long as the package is as it was when its registry was last asked.
_UPDATE_PACKAGES = f"""
UNWIND $rows.ROWS AS row
MATCH (p) WHERE elementId(p) = row.id
WITH row, p, CASE WHEN row.properties.purl IS NULL OR p.revision = row.properties.revision THEN p.listed END AS listed
SET p.listed = coalesce(row.listed, listed)
SET p += row.properties, {_FILL_PACKAGE}
RETURN count(*) AS updated_packages
"""

# If the merged node has a name already, another writer has made it since the package was read.
_CREATE_PACKAGES = f"""
UNWIND $rows.ROWS AS row
MERGE (p:PACKAGE {{purl: row.purl}})
WITH row, p, p.name AS name
SET p += row.properties, {_FILL_PACKAGE}
RETURN count(name) AS conflicts
"""

# An older graph may have such a node without a link to its package, and with old requirements.
_CLEAR_VERSIONS = """
UNWIND $rows.ROWS AS purl
MATCH (v:Version {purl: purl})
UNWIND [(v)-[r:REQUIRE]->() | r] + [(v)<-[w:AWAITED_BY]-() | w] AS relationship
DELETE relationship
RETURN count(*) AS cleared
"""

# An empty list of a parameter takes Neo4j 128 bytes on the disk, and one that it makes itself takes none.
_CREATE_VERSIONS = """
UNWIND $rows.ROWS AS row
MATCH (p:PACKAGE {purl: row.package})
MERGE (v:Version {purl: row.purl})
SET v += row.properties, v.vulnerabilities = coalesce(row.properties.vulnerabilities, range(1, 0))
MERGE (v)<-[:HAVE]-(p)
RETURN count(*) AS created_versions
"""

_UPDATE_VERSIONS = """
UNWIND $rows.ROWS AS row
MATCH (v) WHERE elementId(v) = row.id
SET v += row.properties
RETURN count(*) AS updated_versions
"""

# A comprehension always begins at its node; a pattern planned on an empty graph may begin at all relationships.
_DROP_RELATIONSHIPS = """
UNWIND $rows.ROWS AS row
MATCH (v) WHERE elementId(v) = row.id
UNWIND [(v)-[r]-() WHERE elementId(r) IN row.relationships | r] AS relationship
DELETE relationship
RETURN count(*) AS dropped
"""

# ArcadeDB has no locks: of two transactions that change a node the second one fails and is repeated. A property that
# gets the value that it has is no change there, so this one always gets another value.
LOCK = "a.settled = coalesce(NOT a.settled, true)"

# A transaction that requires the absent package merges the same node: one of the two waits for the other's commit.
_LOCK_CREATED = f"""
UNWIND $rows.ROWS AS row
MERGE (a:AbsentPackage {{purl: row.purl}})
SET {LOCK}
RETURN count(*) AS locked_created
"""

_LOCK_AWAITED = f"""
UNWIND $rows.ROWS AS purl
MATCH (a:AbsentPackage {{purl: purl}})
SET {LOCK}
RETURN count(*) AS locked
"""

# A version that no package has, which only another program can have left, cannot get an edge: it does not count.
_RESOLVE = f"""
UNWIND $rows.ROWS AS purl
MATCH (a:AbsentPackage {{purl: purl}})
MATCH (p:PACKAGE {{purl: purl}})
MATCH (a)-[w:AWAITED_BY]->(v:Version)
MATCH (v)<-[:HAVE]-(parent:PACKAGE)
WITH p, w, v, parent LIMIT $resolved_at_once
MERGE (v)-[r:REQUIRE]->(p)
SET r.constraints = w.constraints, r.parent_version_name = {_PARENT}
DELETE w
RETURN count(*) AS resolved
"""

# The condition stands behind the nodes, for a plan that began with it would go through all absent packages. The label
# of the parent is no part of the pattern: Neo4j would plan to go through all packages of the label while there is none
# of it, and keep that plan.
_REMOVE_AWAITED = """
UNWIND $rows.ROWS AS purl
MATCH (a:AbsentPackage {purl: purl})
MATCH (p:PACKAGE {purl: purl})
WITH a
WHERE NOT EXISTS { MATCH (a)-[:AWAITED_BY]->(:Version)<-[:HAVE]-(parent) WHERE 'PACKAGE' IN labels(parent) }
DETACH DELETE a
RETURN count(*) AS removed
"""

_FIND_UNRESOLVED = """
UNWIND $rows.ROWS AS purl
MATCH (a:AbsentPackage {purl: purl})
RETURN collect(a.purl) AS unresolved
"""

# This locks the node against a transaction that is just resolving what waits for it. What waits is noted
# before packages are looked for: a package that another transaction commits meanwhile is found late, and not missed.
_MERGE_ABSENT = f"""
UNWIND $rows.ROWS AS row
WITH row WHERE NOT EXISTS {{ MATCH (t:PACKAGE {{purl: row.purl}}) }}
MERGE (a:AbsentPackage {{purl: row.purl}})
SET a.name = row.name, a.ecosystem = row.ecosystem, {LOCK}
RETURN collect(row.purl) AS absent
"""


# A package that is there may still have this node until all that waits for it is resolved. Nothing more is added then.
def _await(verb: str, answer: str) -> str:
    return f"""
UNWIND $rows.ROWS AS row
MATCH (a:AbsentPackage {{purl: row.purl}})
WITH row, a
WHERE NOT EXISTS {{ MATCH (t:PACKAGE {{purl: row.purl}}) }}
UNWIND row.edges AS edge
MATCH (v:Version {{purl: edge[0]}})
{verb} (v)<-[w:AWAITED_BY]-(a)
SET w.constraints = edge[1]
RETURN count(*) AS {answer}
"""


# A requirement that still waits would bring back old constraints. The lock lets nobody read it while it is deleted.
_FORGET_WAITS = f"""
UNWIND $rows.ROWS AS row
MATCH (a:AbsentPackage {{purl: row.purl}})
MATCH (t:PACKAGE {{purl: row.purl}})
SET {LOCK}
WITH row, a
UNWIND row.edges AS edge
MATCH (v:Version {{purl: edge[0]}})
MATCH (v)<-[w:AWAITED_BY]-(a)
DELETE w
RETURN count(*) AS forgotten
"""


def _require(verb: str, answer: str) -> str:
    return f"""
UNWIND $rows.ROWS AS row
MATCH (t:PACKAGE {{purl: row.purl}})
UNWIND row.edges AS edge
MATCH (v:Version {{purl: edge[0]}})
{verb} (v)-[r:REQUIRE]->(t)
SET r.constraints = edge[1], r.parent_version_name = row.parent
RETURN count(*) AS {answer}
"""


# The merge above may have waited for the transaction that wrote the same package: then both nodes are there now. If
# both were there before, the writer of the package is resolving what waits for it.
_FIND_LATE = """
WITH absent
UNWIND $rows.ROWS AS row
MATCH (a:AbsentPackage {purl: row.purl})
MATCH (t:PACKAGE {purl: row.purl})
WITH absent, a, t
WHERE t.purl IN absent OR NOT EXISTS { MATCH (a)-[:AWAITED_BY]->() }
RETURN collect(t.purl) AS late
"""

_QUEUE_TARGETS = f"""
UNWIND [row IN $rows.ROWS WHERE row.follow] AS row
MATCH (a:AbsentPackage {{purl: row.purl}})
WHERE {NOT_QUEUED} AND {QUEUEABLE}
WITH row, a, a.name AS name
SET a.queued_at = $now, a.left_out = null
RETURN collect([row.package, row.purl, name]) AS queued
"""

# If two packages leave it out, the one that asks for more counts. `left_out` is last: it says if the others are valid.
_MARK_LEFT_OUT = """
WITH row, a, a.left_out IS NOT NULL AS is_marked, a.left_out_depth AS depth, a.left_out_first AS first
SET a.left_out_depth = CASE WHEN is_marked AND (depth IS NULL OR depth > row.depth) THEN depth ELSE row.depth END,
    a.left_out_first = CASE WHEN row.first AND (first OR NOT is_marked) THEN true END,
    a.left_out = row.ecosystem
RETURN count(*) AS left_out
"""

_LEAVE_OUT = f"""
UNWIND [row IN $rows.ROWS WHERE row.leave_out] AS row
MATCH (a:AbsentPackage {{purl: row.purl}})
WHERE {NOT_QUEUED} AND {QUEUEABLE}
{_MARK_LEFT_OUT}
"""

_LINK_FILES = """
UNWIND $rows.ROWS AS row
MATCH (f) WHERE elementId(f) = row.id
WITH row, f WHERE 'RequirementFile' IN labels(f)
MATCH (p:PACKAGE {purl: row.package})
OPTIONAL MATCH (f)-[old:REQUIRE]->(p)
WITH row, f, p, old.constraints AS before
MERGE (f)-[r:REQUIRE]->(p)
SET r.constraints = row.constraints,
    r.parent_version_name = null,
    f.moment = CASE WHEN before = row.constraints THEN f.moment ELSE $local_now END
RETURN collect(row.id) AS files
"""

_LINK_VERSIONS = f"""
UNWIND $rows.ROWS AS row
MATCH (v) WHERE elementId(v) = row.id
WITH row, v WHERE 'Version' IN labels(v)
MATCH (v)<-[:HAVE]-(parent:PACKAGE)
MATCH (p:PACKAGE {{purl: row.package}})
MERGE (v)-[r:REQUIRE]->(p)
SET r.constraints = row.constraints, r.parent_version_name = {_PARENT}
RETURN collect(row.id) AS parent_versions
"""

_FIND_LINKED = """
UNWIND $rows.ROWS AS row
MATCH (p:PACKAGE {purl: row.purl})
RETURN collect(p.purl) AS found
"""

_TOUCH = """
UNWIND $rows.ROWS AS row
WITH row WHERE row.moment IS NOT NULL
MATCH (p:PACKAGE {purl: row.purl})
SET p.moment = row.moment, p.tried_at = null, p.removed_at = null, p.revision = coalesce(row.revision, p.revision),
    p.listed = coalesce(row.listed, p.listed)
RETURN count(*) AS touched
"""

# The lock may have waited for another transaction. If that one wrote the package, the node is gone, and nothing waits.
# If it noted that the registry lacks the package, the message that asked has come to its end, and no mark may follow.
_WHERE_TO_QUEUE = f"""
WITH DISTINCT row, a
WHERE (row.repeat_follow OR {NOT_QUEUED}) AND {QUEUEABLE}
SET {LOCK}
WITH row, a
WHERE a.purl IS NOT NULL AND (row.repeat_follow OR {NOT_QUEUED}) AND {QUEUEABLE}
"""

_QUEUE_AWAITED = f"""
UNWIND [row IN $rows.ROWS WHERE row.follow] AS row
MATCH (p:PACKAGE {{purl: row.purl}})
MATCH (p)-[:HAVE]->(v:Version)
MATCH (v)<-[:AWAITED_BY]-(a:AbsentPackage)
{_WHERE_TO_QUEUE}
SET a.queued_at = $now, a.left_out = null
RETURN collect([row.purl, a.purl, a.name]) AS queued
"""

_LEAVE_OUT_AWAITED = f"""
UNWIND [row IN $rows.ROWS WHERE row.leave_out] AS row
MATCH (p:PACKAGE {{purl: row.purl}})
MATCH (p)-[:HAVE]->(v:Version)
MATCH (v)<-[:AWAITED_BY]-(a:AbsentPackage)
{_WHERE_TO_QUEUE}
{_MARK_LEFT_OUT}
"""

RESOLVE = (
    Step("awaited", _LOCK_AWAITED),
    Step("awaited", _RESOLVE),
    Step("awaited", _REMOVE_AWAITED),
    Step("awaited", _FIND_UNRESOLVED),
)
"""These steps make edges of waiting requirements whose packages are there now, at most `$resolved_at_once` of them. The
node of an absent package is deleted with the last of its requirements. The packages whose nodes stay are `unresolved`.
"""

_PARENTS = (Step("parents", _LINK_FILES), Step("parents", _LINK_VERSIONS))

# The versions that the same transaction creates have no edge yet: looking for one would be half of its database hits.
WRITE = (
    Step("updated_packages", _UPDATE_PACKAGES),
    Step("created_packages", _CREATE_PACKAGES),
    Step("cleared_versions", _CLEAR_VERSIONS),
    Step("created_versions", _CREATE_VERSIONS),
    Step("updated_versions", _UPDATE_VERSIONS),
    Step("dropped_relationships", _DROP_RELATIONSHIPS),
    Step("created_packages", _LOCK_CREATED),
    *RESOLVE,
    Step("targets", _MERGE_ABSENT),
    Step("created_requirements", _await("CREATE", "awaited_by_new")),
    Step("changed_requirements", _await("MERGE", "awaited")),
    Step("changed_requirements", _FORGET_WAITS),
    Step("created_requirements", _require("CREATE", "required_by_new")),
    Step("changed_requirements", _require("MERGE", "required")),
    Step("targets", _FIND_LATE),
    Step("targets", _QUEUE_TARGETS),
    Step("targets", _LEAVE_OUT),
    *_PARENTS,
)
"""It says which steps take which list of a `Difference`, in the order of the steps."""

LINK = (
    Step("links", _FIND_LINKED),
    Step("links", _TOUCH),
    *RESOLVE,
    *_PARENTS,
    Step("links", _QUEUE_AWAITED),
    Step("links", _LEAVE_OUT_AWAITED),
)


def joined(steps: tuple[Step, ...], answer: str) -> str:
    """Return one statement that takes the steps one after the other and returns one row."""
    parts = "".join(f"CALL {{{step.cypher.replace('ROWS', step.rows)}}}\n" for step in steps)
    return f"{parts}RETURN {answer}"
