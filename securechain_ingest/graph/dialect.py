"""This module holds all differences between Neo4j and ArcadeDB. ArcadeDB is the server that this product brings along
for a machine without a graph server."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from neo4j.time import DateTime


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
)
ARCADEDB: Final = Dialect(
    writes_in_turn=True,
    trusts_ranges=False,
    makes_full_text=False,
    keeps_counts_of_relationships=False,
    keeps_zones=False,
    keep_plan="",
)


def dialect_of(agent: str) -> Dialect:
    """Return the dialect of a server by the `agent` name that it gives when a driver connects. An unknown server is
    treated as Neo4j."""
    return ARCADEDB if "ArcadeDB" in agent else NEO4J


def aware(moment: DateTime) -> datetime:
    """Return a stored date-time in UTC. ArcadeDB returns it without its zone."""
    native = moment.to_native()
    return native.replace(tzinfo=UTC) if native.tzinfo is None else native.astimezone(UTC)
