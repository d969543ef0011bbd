"""This module has the Cypher of the graph. The texts are constant, so that a server plans each of them once; only fixed
labels are put into them.

Both kinds of server take long lists by UNWIND. They look up nodes by index if the value stands alone on one side of an
equality. Therefore the statements consist of small parts and not of one clever pattern.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from securechain_ingest.graph.dialect import Dialect
from securechain_ingest.graph.write_statements import LINK, NOT_QUEUED, QUEUEABLE, RESOLVE, WRITE, joined


@dataclass(frozen=True, slots=True)
class Statements:
    """These are the statements for one package label."""

    known: str
    read: str
    write: str
    resolve: str
    link: str
    mark_absent: str
    namesake: str
    fill_names: str


_FAILED_ATTEMPT = """p.import_names_failed_version AS failed_version, p.import_names_tries AS failed_attempts,
       p.import_names_tried_at AS failed_at"""

_HAS_NAMES = """(coalesce(size(p.import_names), 0) > 0
        OR (p.import_names_parser IS NOT NULL AND p.import_names_error IS NULL))"""
"""This condition says that the package has names that a failure must not replace. An archive without names is known to
have none."""

_KNOWN = f"""
UNWIND $rows.purls AS purl
MATCH (p:PACKAGE {{purl: purl}})
WHERE p.format = $format
RETURN p.purl AS purl, p.registry_name AS registry_name, p.moment AS checked_at, p.validator AS validator,
       {_FAILED_ATTEMPT},
       CASE WHEN COUNT {{ (p)-[:HAVE]->() }} <= $list_limit THEN [(p)-[:HAVE]->(v:Version) | v.name] END AS versions,
       [(p)-[:HAVE]->(v:Version) WHERE v.removed | v.name] AS removed,
       coalesce(p.archive_pending, false) AS archive_pending, p.import_names_of AS names_of,
       elementId(p) AS id, p.pending_archive AS pending_archive,
       CASE WHEN p.complete_at IS NULL THEN []
            ELSE [(p)-[:HAVE]->(v:Version) WHERE v.requirements_pending | v.name] END AS pending
"""

# Setting a property first locks the package (Neo4j) or claims its page (ArcadeDB), so that what is read after it stays
# true until the commit.
LOCK_NODES = """
CALL {
  UNWIND $rows.purls AS purl MATCH (p:PACKAGE {purl: purl}) RETURN p
  UNION
  UNWIND $rows.names AS name MATCH (p:PACKAGE {name: name}) RETURN p
}
SET p.name = p.name
WITH p
"""

NODE_COLUMNS = f"""elementId(p) AS id, p.purl AS purl, p.name AS name, p.registry_name AS registry_name,
       {_HAS_NAMES} AS has_names"""

VERSION_COLUMNS = f"""elementId(v) AS version_id, elementId(have) AS have_id, properties(v) AS version,
       [(v)-[r:REQUIRE]->(t) | [elementId(r), t.purl, t.name, r.constraints, r.parent_version_name]] AS edges,
       [(v)<-[w:AWAITED_BY]-(a:AbsentPackage) |
         [elementId(w), a.purl, a.name, w.constraints, {NOT_QUEUED} AND {QUEUEABLE}]] AS waits"""

_READ = f"""{LOCK_NODES}
OPTIONAL MATCH (p)-[have:HAVE]->(v:Version)
RETURN {NODE_COLUMNS},
       {VERSION_COLUMNS}
"""

_MARK_ABSENT = """
CALL {
  MATCH (a:AbsentPackage {purl: $purl})
  SET a.tried_at = $tried_at, a.reason = $reason, a.queued_at = null, a.left_out = null,
      a.listed = coalesce($listed, a.listed)
  RETURN count(*) AS awaited
}
CALL {
  MATCH (p:PACKAGE {purl: $purl})
  SET p.tried_at = $tried_at,
      p.removed_at = CASE WHEN $removed THEN coalesce(p.removed_at, $tried_at) ELSE p.removed_at END,
      p.listed = CASE WHEN $removed THEN null ELSE coalesce($listed, p.listed) END
  RETURN count(*) AS known
}
RETURN awaited, known
"""

_NAMESAKE = """
MATCH (p:PACKAGE {name: $name})
WHERE p.format = $format AND p.purl <> $purl
RETURN p.registry_name AS registry_name, p.purl AS purl
"""

_WANTING = """(coalesce(size(p.import_names), 0) = 0 OR p.import_names_error IS NOT NULL
       OR coalesce(p.archive_pending, false)
       OR coalesce(p.import_names_parser, 0) < $older_than)"""

# The limit stands before the filter, so that a page costs the same however far apart the gaps are; the last package of
# the page is among the rows in any case, for the next page begins behind it. A package that waits to be completed is
# found by the index on that time, and every other one by the index on its name.
_NAMES_GAPS = f"""
MATCH (p:PACKAGE) WHERE IS_BEHIND
WITH p ORDER BY p.POSITION LIMIT $limit
WITH collect(p) AS page, max(p.POSITION) AS last
UNWIND page AS p
WITH p, last WHERE p.POSITION = last OR {_WANTING}
RETURN elementId(p) AS id, p.name AS name, p.purl AS purl, p.registry_name AS registry_name, p.moment AS checked_at,
       p.POSITION AS position, {_WANTING} AS wanting, {_FAILED_ATTEMPT}, p.import_names_of AS names_of,
       [(p)-[:HAVE]->(v:Version) | v.name] AS versions
ORDER BY position
"""


def names_gaps_text(label: str, dialect: Dialect, *, pending: bool) -> str:
    """Return the query for a page of packages whose import names are wanting, out of all packages by their names, or
    out of the pending ones by the time at which they are due."""
    position = "complete_at" if pending else "name"
    behind = dialect.beyond("p.complete_at", "$after") if pending else "p.name > $after"
    return for_label(_NAMES_GAPS.replace("IS_BEHIND", behind).replace("POSITION", position), label)


_HAS_NEWER = """(row.archive IS NULL AND coalesce(size(p.import_names), 0) > 0 AND p.import_names_error IS NULL
        AND NOT coalesce(p.archive_pending, false)
        AND coalesce(p.import_names_parser >= row.found.import_names_parser, false))"""
"""This condition says that a message has written names since the package was found to want them."""

# An archive that was left for later gives no names to a package that has been read whole since, or of which another
# archive is left. The package is locked before that is looked at.
_FILL_NAMES = f"""
UNWIND $rows AS row
MATCH (p) WHERE elementId(p) = row.id
SET p.name = p.name
WITH row, p WHERE (row.archive IS NULL OR p.pending_archive = row.archive) AND NOT {_HAS_NEWER}
WITH row, p, row.is_stopgap AND {_HAS_NAMES} AS is_kept, p.import_names AS names, p.import_names_parser AS parser,
     p.import_names_of AS of
SET p += row.attempts,
    p.import_names = CASE WHEN is_kept THEN names ELSE row.found.import_names END,
    p.import_names_parser = CASE WHEN is_kept THEN parser ELSE row.found.import_names_parser END,
    p.import_names_of = CASE WHEN is_kept THEN of ELSE row.found.import_names_of END,
    p.archive_pending = null,
    p.pending_archive = null,
    p.complete_at = CASE WHEN EXISTS {{ (p)-[:HAVE]->(v:Version) WHERE v.requirements_pending }}
                         THEN p.complete_at END
WITH row, p WHERE row.change IS NOT NULL
MATCH (p)-[:HAVE]->(v:Version) WHERE v.name = row.version
SET v += row.change
RETURN count(*) AS changed
"""

FORGET_QUEUED = """
UNWIND $purls AS purl
MATCH (a:AbsentPackage {purl: purl})
SET a.queued_at = null, a.left_out = null
"""
COUNT = {
    "packages": "MATCH (n:PACKAGE) RETURN count(n) AS count",
    "versions": "MATCH (n:Version) RETURN count(n) AS count",
    "absent_packages": "MATCH (n:AbsentPackage) RETURN count(n) AS count",
}


def for_label(cypher: str, label: str) -> str:
    """Return the text with the label put in."""
    return cypher.replace("PACKAGE", label)


@cache
def statements(label: str, dialect: Dialect) -> Statements:
    """Return the statements for a label of the ecosystem table. The label is never text from outside.

    Those of a message keep their plan, because it is the same for a graph of any size: it finds each node by a unique
    index.
    """

    def text(cypher: str) -> str:
        return dialect.searching(for_label(cypher, label))

    def planned_once(cypher: str) -> str:
        return dialect.keep_plan + text(cypher)

    return Statements(
        known=planned_once(_KNOWN),
        read=planned_once(_READ),
        write=planned_once(
            joined(WRITE, "conflicts, resolved, unresolved, late, queued, files + parent_versions AS linked")
        ),
        resolve=planned_once(joined(RESOLVE, "resolved, unresolved")),
        link=planned_once(joined(LINK, "found, unresolved, queued, files + parent_versions AS linked")),
        mark_absent=text(_MARK_ABSENT),
        namesake=text(_NAMESAKE),
        fill_names=_FILL_NAMES,
    )
