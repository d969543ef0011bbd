"""All that differs between Neo4j and ArcadeDB, the server that this product brings along for a machine without one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from neo4j.time import DateTime


@dataclass(frozen=True, slots=True)
class Dialect:
    """What one kind of server needs."""

    writes_in_turn: bool
    """Whether writing transactions have to follow each other, because the server overlooks conflicts between them."""
    trusts_ranges: bool
    """Whether an index may be asked for a range. ArcadeDB's goes on naming what has changed or is gone."""
    has_full_text: bool
    """Whether there are full-text indexes, which alone find one value of a list."""

    def at_most(self, value: str, bound: str) -> str:
        """The Cypher condition `value <= bound`, by an index where that can be trusted; false for an absent value."""
        return f"{value} <= {bound}" if self.trusts_ranges else f"NOT {value} > {bound}"

    def without_zone(self, moment: str, any_local_time: str) -> str:
        """The Cypher condition that a date-time has no zone, by an index; where none can be trusted, any may have one.

        `any_local_time`: a date-time without a zone that is later than all others.
        """
        return f"{moment} <= {any_local_time}" if self.trusts_ranges else "true"


NEO4J: Final = Dialect(writes_in_turn=False, trusts_ranges=True, has_full_text=True)
ARCADEDB: Final = Dialect(writes_in_turn=True, trusts_ranges=False, has_full_text=False)


def dialect_of(agent: str) -> Dialect:
    """The dialect of a server that calls itself so when a driver connects; one that is not known is taken for Neo4j."""
    return ARCADEDB if "ArcadeDB" in agent else NEO4J


def aware(moment: DateTime) -> datetime:
    """A stored date-time in UTC; ArcadeDB gives it back without its zone."""
    native = moment.to_native()
    return native.replace(tzinfo=UTC) if native.tzinfo is None else native.astimezone(UTC)
