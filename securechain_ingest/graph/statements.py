"""The Cypher of the graph: constant texts, so that a server plans each once; only fixed labels are put into them.

Every statement runs alike on Neo4j 5 and on ArcadeDB's Bolt server. Both take long lists by UNWIND and look nodes up by
index if the value stands alone on one side of an equality, hence small parts instead of one clever pattern.
Parts are joined as subqueries that return one row each, because a round trip costs more than an empty list. All lists
are handed in as one map, `$rows`: Neo4j plans a text anew for each order of magnitude of a list parameter's length.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from securechain_ingest.graph.requirement_statements import REQUIREMENTS


@dataclass(frozen=True, slots=True)
class Statements:
    """The statements for one package label."""

    known: str
    read: str
    apply: str
    settle: str
    link: str
    mark_absent: str
    namesake: str
    stale: str
    view: str
    names_gaps: str
    count_names_gaps: str
    fill_names: str


_QUEUEABLE = "(a.tried_at IS NULL OR a.tried_at < $retry_before)"
"""The registry has not lately said that it does not have the package."""

_NOT_QUEUED = "(a.queued_at IS NULL OR a.queued_at < $lost_before)"
"""Nobody asks for the package; a message of long ago has been lost."""

_PARENT = "CASE $parent_version_name WHEN 'name' THEN parent.name ELSE parent.purl END"

_FAILED_TRY = """p.import_names_failed_version AS failed_version, p.import_names_tries AS failed_tries,
       p.import_names_tried_at AS failed_at"""

_HAS_NAMES = """(coalesce(size(p.import_names), 0) > 0
        OR (p.import_names_parser IS NOT NULL AND p.import_names_error IS NULL))"""
"""What a failure must not replace; an archive without names is known to have none."""

_KNOWN = f"""
UNWIND $rows.purls AS purl
MATCH (p:PACKAGE {{purl: purl}})
WHERE p.format = $format
RETURN p.purl AS purl, p.registry_name AS registry_name, p.moment AS checked_at, p.validator AS validator,
       {_FAILED_TRY},
       CASE WHEN COUNT {{ (p)-[:HAVE]->() }} <= $list_limit THEN [(p)-[:HAVE]->(v:Version) | v.name] END AS versions,
       [(p)-[:HAVE]->(v:Version) WHERE v.removed | v.name] AS removed
"""

# Setting a property first takes the package's lock (Neo4j) or lays hold of its page (ArcadeDB): what is read after it
# stays true until the commit.
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

VERSION_COLUMNS = """elementId(v) AS version_id, elementId(have) AS have_id, properties(v) AS version,
       [(v)-[r:REQUIRE]->(t) | [elementId(r), t.purl, t.name, r.constraints, r.parent_version_name]] AS edges,
       [(v)<-[w:AWAITED_BY]-(a:AbsentPackage) |
         [elementId(w), a.purl, a.name, w.constraints, NOT_QUEUED AND QUEUEABLE]] AS waits"""

_READ = f"""{LOCK_NODES}
OPTIONAL MATCH (p)-[have:HAVE]->(v:Version)
RETURN {NODE_COLUMNS},
       {VERSION_COLUMNS}
"""

_FILL_PACKAGE = """p.import_names = coalesce(row.properties.import_names, p.import_names, []),
    p.vendor = coalesce(row.properties.vendor, p.vendor, 'n/a'),
    p.repository_url = coalesce(row.properties.repository_url, p.repository_url, 'n/a')"""
"""What clients need of every package, where neither this write nor an earlier one knows better."""

# What the list said when the package was last asked for holds as long as the package stays as it was then.
_UPDATE_PACKAGES = f"""
UNWIND $rows.updated_packages AS row
MATCH (p) WHERE elementId(p) = row.id
WITH row, p, CASE WHEN row.properties.purl IS NULL OR p.revision = row.properties.revision THEN p.listed END AS listed
SET p.listed = coalesce(row.listed, listed)
SET p += row.properties, {_FILL_PACKAGE}
RETURN count(*) AS updated_packages
"""

# A name on a node that was not there when the package was read: another writer came between.
_CREATE_PACKAGES = f"""
UNWIND $rows.created_packages AS row
MERGE (p:PACKAGE {{purl: row.purl}})
WITH row, p, p.name AS name
SET p += row.properties, {_FILL_PACKAGE}
RETURN count(name) AS conflicts
"""

# An older graph may have such a node apart from its package, with requirements of then.
_CLEAR_CREATED = """
UNWIND $rows.created_versions AS row
WITH row WHERE row.clear
MATCH (v:Version {purl: row.purl})
UNWIND [(v)-[r:REQUIRE]->() | r] + [(v)<-[w:AWAITED_BY]-() | w] AS relationship
DELETE relationship
RETURN count(*) AS cleared
"""

_CREATE_VERSIONS = """
UNWIND $rows.created_versions AS row
MATCH (p:PACKAGE {purl: row.package})
MERGE (v:Version {purl: row.purl})
SET v += row.properties
MERGE (v)<-[:HAVE]-(p)
RETURN count(*) AS created_versions
"""

_UPDATE_VERSIONS = """
UNWIND $rows.updated_versions AS row
MATCH (v) WHERE elementId(v) = row.id
SET v += row.properties
RETURN count(*) AS updated_versions
"""

# A comprehension always begins at its node; a pattern planned on an empty graph may begin at all relationships.
_DROP = """
UNWIND $rows.dropped AS row
MATCH (v) WHERE elementId(v) = row.id
UNWIND [(v)-[r]-() WHERE elementId(r) IN row.relationships | r] AS relationship
DELETE relationship
RETURN count(*) AS dropped
"""

_CLAIM_CREATED = """
UNWIND $rows.created_packages AS row
MERGE (a:AbsentPackage {purl: row.purl})
SET a.settled = true
RETURN count(*) AS claimed_created
"""

_CLAIM = """
UNWIND $rows.settle AS purl
MATCH (a:AbsentPackage {purl: purl})
SET a.settled = true
RETURN count(*) AS claimed
"""

_SETTLE = f"""
UNWIND $rows.settle AS purl
MATCH (a:AbsentPackage {{purl: purl}})
MATCH (a)-[w:AWAITED_BY]->(v:Version)
MATCH (v)<-[:HAVE]-(parent:PACKAGE)
MATCH (p:PACKAGE {{purl: purl}})
MERGE (v)-[r:REQUIRE]->(p)
SET r.constraints = w.constraints, r.parent_version_name = {_PARENT}
RETURN count(*) AS settled
"""

_REMOVE_SETTLED = """
UNWIND $rows.settle AS purl
MATCH (:PACKAGE {purl: purl})
MATCH (a:AbsentPackage {purl: purl})
DETACH DELETE a
RETURN count(*) AS removed
"""

_LINK_FILES = """
UNWIND $rows.parents AS row
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
UNWIND $rows.parents AS row
MATCH (v) WHERE elementId(v) = row.id
WITH row, v WHERE 'Version' IN labels(v)
MATCH (v)<-[:HAVE]-(parent:PACKAGE)
MATCH (p:PACKAGE {{purl: row.package}})
MERGE (v)-[r:REQUIRE]->(p)
SET r.constraints = row.constraints, r.parent_version_name = {_PARENT}
RETURN collect(row.id) AS parent_versions
"""

_FIND_LINKED = """
UNWIND $rows.links AS row
MATCH (p:PACKAGE {purl: row.purl})
RETURN collect(p.purl) AS found
"""

_TOUCH = """
UNWIND $rows.links AS row
WITH row WHERE row.moment IS NOT NULL
MATCH (p:PACKAGE {purl: row.purl})
SET p.moment = row.moment, p.tried_at = null, p.removed_at = null, p.revision = coalesce(row.revision, p.revision),
    p.listed = coalesce(row.listed, p.listed)
RETURN count(*) AS touched
"""

# Only what differs is written: most advisories are old.
_RATE = """
UNWIND $rows.rated AS row
MATCH (p:PACKAGE {purl: row.package})
MATCH (p)-[:HAVE]->(v:Version)
WITH v, coalesce(row.ratings[v.name], row.none) AS rating
WHERE v.mean <> rating.mean OR v.weighted_mean <> rating.weighted_mean OR v.vulnerabilities <> rating.vulnerabilities
SET v += rating
RETURN count(*) AS rated
"""

# Setting may have waited for the transaction that wrote the very package: then the node is gone and nothing awaited.
_QUEUE_AWAITED = """
UNWIND $rows.links AS row
WITH row WHERE row.follow
MATCH (p:PACKAGE {purl: row.purl})
MATCH (p)-[:HAVE]->(v:Version)
MATCH (v)<-[:AWAITED_BY]-(a:AbsentPackage)
WITH DISTINCT row, a
WHERE (row.repeat_follow OR NOT_QUEUED) AND QUEUEABLE
SET a.queued_at = $now
WITH row, a WHERE a.purl IS NOT NULL
RETURN collect([row.purl, a.purl, a.name]) AS queued
"""

_MARK_ABSENT = """
CALL {
  MATCH (a:AbsentPackage {purl: $purl})
  SET a.tried_at = $tried_at, a.reason = $reason, a.queued_at = null, a.listed = coalesce($listed, a.listed)
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

_STALE = """
MATCH (p:PACKAGE)
WHERE (p.format IS NULL OR p.moment < $older_than) AND (p.tried_at IS NULL OR p.tried_at < $older_than)
RETURN p.name AS name, p.registry_name AS registry_name, p.purl AS purl
ORDER BY p.moment, p.name
LIMIT $limit
"""

_WANTING = """(coalesce(size(p.import_names), 0) = 0 OR p.import_names_error IS NOT NULL
       OR coalesce(p.import_names_parser, 0) < $older_than)"""

# The limit stands before the filter, so that a page costs the same however far apart the gaps are; the last package of
# the page is among the rows in any case, for the next page begins behind it.
_NAMES_GAPS = f"""
MATCH (p:PACKAGE) WHERE p.name > $after
WITH p ORDER BY p.name LIMIT $limit
WITH collect(p) AS page, max(p.name) AS last
UNWIND page AS p
WITH p, last WHERE p.name = last OR {_WANTING}
RETURN elementId(p) AS id, p.name AS name, p.purl AS purl, p.registry_name AS registry_name, p.moment AS checked_at,
       {_WANTING} AS wanting, {_FAILED_TRY},
       [(p)-[:HAVE]->(v:Version) | v.name] AS versions
ORDER BY name
"""

_COUNT_NAMES_GAPS = f"""
MATCH (p:PACKAGE) WHERE p.name > $after AND {_WANTING}
RETURN count(p) AS count
"""

_FILL_NAMES = f"""
UNWIND $rows AS row
MATCH (p) WHERE elementId(p) = row.id
WITH row, p, row.is_stopgap AND {_HAS_NAMES} AS is_kept, p.import_names AS names, p.import_names_parser AS parser
SET p += row.tries,
    p.import_names = CASE WHEN is_kept THEN names ELSE row.found.import_names END,
    p.import_names_parser = CASE WHEN is_kept THEN parser ELSE row.found.import_names_parser END
RETURN count(*) AS filled
"""

_VIEW = """
MATCH (p:PACKAGE {purl: $purl})
OPTIONAL MATCH (p)-[:HAVE]->(v:Version)
RETURN properties(p) AS package, properties(v) AS version,
       [(v)-[r:REQUIRE]->(t) | [t.purl, r.constraints]] AS present,
       [(v)<-[w:AWAITED_BY]-(a:AbsentPackage) | [a.purl, w.constraints]] AS awaited
"""

FORGET_QUEUED = """
UNWIND $purls AS purl
MATCH (a:AbsentPackage {purl: purl})
SET a.queued_at = null
"""
COUNT = {
    "packages": "MATCH (n:PACKAGE) RETURN count(n) AS count",
    "versions": "MATCH (n:Version) RETURN count(n) AS count",
    "absent_packages": "MATCH (n:AbsentPackage) RETURN count(n) AS count",
}


def for_label(cypher: str, label: str) -> str:
    """The text with the label put in."""
    return cypher.replace("PACKAGE", label).replace("QUEUEABLE", _QUEUEABLE).replace("NOT_QUEUED", _NOT_QUEUED)


@cache
def statements(label: str) -> Statements:
    """The statements for a label of the ecosystem table (never text from outside)."""

    def text(cypher: str) -> str:
        return for_label(cypher, label)

    def joined(*parts: str, answer: str) -> str:
        return text("".join(f"CALL {{{part}}}\n" for part in parts) + f"RETURN {answer}")

    settle = (_CLAIM, _SETTLE, _REMOVE_SETTLED)
    parents = (_LINK_FILES, _LINK_VERSIONS)
    return Statements(
        known=text(_KNOWN),
        read=text(_READ),
        apply=joined(
            _UPDATE_PACKAGES,
            _CREATE_PACKAGES,
            _CLEAR_CREATED,
            _CREATE_VERSIONS,
            _UPDATE_VERSIONS,
            _DROP,
            _CLAIM_CREATED,
            *settle,
            *REQUIREMENTS,
            *parents,
            answer="conflicts, late, queued, files + parent_versions AS linked",
        ),
        settle=joined(*settle, answer="removed"),
        link=joined(
            _FIND_LINKED,
            _TOUCH,
            _RATE,
            *settle,
            *parents,
            _QUEUE_AWAITED,
            answer="found, queued, files + parent_versions AS linked",
        ),
        mark_absent=text(_MARK_ABSENT),
        namesake=text(_NAMESAKE),
        stale=text(_STALE),
        view=text(_VIEW),
        names_gaps=text(_NAMES_GAPS),
        count_names_gaps=text(_COUNT_NAMES_GAPS),
        fill_names=_FILL_NAMES,
    )
