"""The ratings of a package so many of whose versions have vulnerabilities that one statement should not hold them.

They are written in portions, each in a transaction of its own: whoever reads meanwhile finds some versions with their
old rating, as before a sync, and who is broken off begins again. What the graph has already is not written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

from securechain_ingest.graph.changes import rating_properties
from securechain_ingest.graph.connection import Connection
from securechain_ingest.model import PackageRef, Rating

PORTION: Final = 500
"""So many versions are rated by one statement: a few milliseconds of the event loop."""

_ROWS_AT_ONCE: Final = 100

# A row each: the driver takes a long list in one piece, and the event loop waits for it.
_HELD: Final = """
MATCH (p:PACKAGE {purl: $purl})
MATCH (p)-[:HAVE]->(v:Version)
RETURN v.name AS name, v.purl AS purl, v.mean AS mean, v.weighted_mean AS weighted_mean,
       v.vulnerabilities AS vulnerabilities
"""

_RATE: Final = """
UNWIND $rows AS row
UNWIND row.purls AS purl
MATCH (v:Version {purl: purl})
SET v += row.rating
RETURN count(*) AS rated
"""


def is_big(ratings: Mapping[str, Rating]) -> bool:
    """Whether more versions have vulnerabilities than one statement should hold."""
    return sum(1 for _ in islice(filter(_has_vulnerabilities, ratings.values()), PORTION + 1)) > PORTION


async def write_big_ratings(connection: Connection, ref: PackageRef, ratings: Mapping[str, Rating]) -> None:
    """Rate all versions that the graph has of a package; one that is not named has no vulnerability.

    Raises StoreError.
    """
    statement = _HELD.replace("PACKAGE", ref.ecosystem.label)
    held = await connection.read(statement, {"purl": ref.purl}, rows_at_once=_ROWS_AT_ONCE)
    differing = _differing(held, ratings)
    while rows := await _portion(differing):
        await connection.change(_RATE, {"rows": rows})


async def _portion(differing: Iterator[tuple[str, Rating]]) -> list[dict[str, Any]]:
    """The next versions that differ, those of one rating together."""
    purls: dict[Rating, list[str]] = {}
    for purl, rating in islice(differing, PORTION):
        purls.setdefault(rating, []).append(purl)
    await asyncio.sleep(0)
    return [{"rating": rating_properties(rating), "purls": some} for rating, some in purls.items()]


def _differing(held: list[dict[str, Any]], ratings: Mapping[str, Rating]) -> Iterator[tuple[str, Rating]]:
    none = Rating()
    for row in held:
        rating = ratings.get(row["name"], none)
        found = (row["mean"], row["weighted_mean"], tuple(row["vulnerabilities"] or ()))
        if row["purl"] is not None and found != (rating.mean, rating.weighted_mean, rating.vulnerabilities):
            yield row["purl"], rating


def _has_vulnerabilities(rating: Rating) -> bool:
    return bool(rating.vulnerabilities)
