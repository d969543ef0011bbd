"""This module holds all differences between Neo4j and ArcadeDB. ArcadeDB is the server that this product brings along
for a machine without a graph server."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from neo4j.time import DateTime

# A node that a MATCH names by a property, with the path that goes on from it, or whose WHERE begins with a comparison.
_NAMED: Final = re.compile(r"MATCH (\((\w+):(\w+) \{(\w+): [^{}]+\}\)(?:<?-\[[^\]]*\]->?\([^()]*\))*)")
_COMPARED: Final = re.compile(r"MATCH (\((\w+):(\w+)\)) WHERE (?=\2\.(\w+) (?:[<>]=? |STARTS WITH ))")


@dataclass(frozen=True, slots=True)
class Dialect:
    """It says what one kind of server needs."""

    writes_in_turn: bool
    """This says whether writing transactions must follow one another, because the server overlooks conflicts between
    them."""
    trusts_ranges: bool
    """This says whether an index may be asked for a range. ArcadeDB's index still returns entries that have changed or
    are gone."""
    makes_full_text: bool
    """This says whether Cypher makes full-text indexes. Only these find one value of a list. Whoever starts ArcadeDB
    makes them by other means (`embedded/full_text.py`)."""

    keeps_counts_of_relationships: bool
    """This says whether the server knows without a scan how many relationships of a type begin at nodes of a label."""
    keeps_zones: bool
    """This says whether a date-time comes back with its zone. ArcadeDB returns it in UTC, without a zone."""
    keep_plan: str
    """The server keeps the plan of a statement that begins with this. Neo4j otherwise plans a statement anew each time
    that the graph has grown by some factor, which takes it seconds of a processor for the long ones."""
    takes_hints: bool
    """This says whether a statement can demand that an index is searched."""

    def searching(self, cypher: str) -> str:
        """Return a statement that demands a search of an index for each node of a MATCH that is named by a property, as
        in `(p:Label {purl: $purl})`, or compared with a value first of all, as in `(p:Label) WHERE p.purl > $after`.

        All such properties have an index. While Neo4j has not counted what is in it, which may take it ten seconds and
        more after many nodes have come, it may otherwise walk through the whole index for each row.

        A statement that demands it already stays as it is: Neo4j plans each text for itself, so that one that was
        prepared must have the text that is run later.
        """
        return _searching(cypher) if self.takes_hints else cypher

    def at_most(self, value: str, bound: str) -> str:
        """Return the Cypher condition `value <= bound`, which is false for an absent value. It uses an index where an
        index can be trusted."""
        return f"{value} <= {bound}" if self.trusts_ranges else f"NOT {value} > {bound}"

    def beyond(self, value: str, bound: str) -> str:
        """Return the Cypher condition `value > bound`, which is false for an absent value. It uses an index where an
        index can be trusted."""
        return f"{value} > {bound}" if self.trusts_ranges else f"NOT {value} <= {bound}"

    def without_zone(self, moment: str, any_local_time: str) -> str:
        """Return the Cypher condition that a date-time has no zone. It uses an index. Where no index can be trusted,
        the condition is true for every date-time.

        `any_local_time` is a date-time without a zone that is later than all others.
        """
        return f"{moment} <= {any_local_time}" if self.trusts_ranges else "true"


NEO4J: Final = Dialect(
    writes_in_turn=False,
    trusts_ranges=True,
    makes_full_text=True,
    keeps_counts_of_relationships=True,
    keeps_zones=True,
    keep_plan="CYPHER replan=skip ",
    takes_hints=True,
)
ARCADEDB: Final = Dialect(
    writes_in_turn=True,
    trusts_ranges=False,
    makes_full_text=False,
    keeps_counts_of_relationships=False,
    keeps_zones=False,
    keep_plan="",
    takes_hints=False,
)


@lru_cache(maxsize=1_000)
def _searching(cypher: str) -> str:
    if "USING INDEX SEEK" in cypher:
        return cypher
    hinted = _NAMED.sub(r"MATCH \1 USING INDEX SEEK \2:\3(\4)", cypher)
    return _COMPARED.sub(r"MATCH \1 USING INDEX SEEK \2:\3(\4) WHERE ", hinted)


def dialect_of(agent: str) -> Dialect:
    """Return the dialect of a server by the `agent` name that it gives when a driver connects. An unknown server is
    treated as Neo4j."""
    return ARCADEDB if "ArcadeDB" in agent else NEO4J


def aware(moment: DateTime) -> datetime:
    """Return a stored date-time in UTC. ArcadeDB returns it without its zone."""
    native = moment.to_native()
    return native.replace(tzinfo=UTC) if native.tzinfo is None else native.astimezone(UTC)
