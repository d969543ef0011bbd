"""This makes a digest of all that a graph holds of packages, for comparing two graphs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from datetime import UTC
from typing import Any

from neo4j import GraphDatabase
from neo4j.time import DateTime

from tests.stores import GraphTarget

_NODES = """
MATCH (n) WHERE NOT n:User AND NOT n:Repository AND NOT n:RequirementFile
RETURN labels(n) AS labels, properties(n) AS properties
"""

_RELATIONSHIPS = """
MATCH (a)-[r]->(b) WHERE type(r) IN ['HAVE', 'AWAITED_BY'] OR (type(r) = 'REQUIRE' AND a:Version)
RETURN a.purl AS a, type(r) AS type, b.purl AS b, properties(r) AS properties
"""


def graph_lines(target: GraphTarget, *, without: Collection[str] = ("queued_at", "settled")) -> list[str]:
    """Return a sorted line of JSON for each node and each relationship, without some properties."""
    with (
        GraphDatabase.driver(target.uri, auth=(target.user, target.password)) as driver,
        driver.session(database=target.database) as session,
    ):
        rows = [record.data() for query in (_NODES, _RELATIONSHIPS) for record in session.run(query)]
    for row in rows:
        row["properties"] = {name: _plain(each) for name, each in row["properties"].items() if name not in without}
    return sorted(json.dumps(row, sort_keys=True) for row in rows)


def digest_of(lines: Collection[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, DateTime):
        native = value.to_native()
        # ArcadeDB gives no zone back, and keeps milliseconds.
        moment = native.replace(tzinfo=UTC) if native.tzinfo is None else native.astimezone(UTC)
        return moment.isoformat(timespec="milliseconds")
    return value
