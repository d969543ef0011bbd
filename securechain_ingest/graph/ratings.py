"""This module writes the ratings of packages that the graph has, and nothing else. Ratings that the graph has already
are not written again.

The ratings of a package are one row of a statement. If more of its versions have vulnerabilities than one statement
should hold, they are written in portions, each in a transaction of its own. A client that reads meanwhile finds some
versions with their old rating, as before a sync. A write that was broken off begins again.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

from securechain_ingest.graph.connection import Connection
from securechain_ingest.graph.properties import rating_properties
from securechain_ingest.graph.statements import for_label
from securechain_ingest.model import PackageRef, Rating

PORTION: Final = 500
"""One statement rates this many versions, which takes a few milliseconds of the event loop."""

_ROWS_AT_ONCE: Final = 100

# Only what differs is written: most advisories are old.
_RATE: Final = """
UNWIND $rows AS row
MATCH (p:PACKAGE {purl: row.package})
MATCH (p)-[:HAVE]->(v:Version)
WITH v, coalesce(row.ratings[v.name], row.none) AS rating
WHERE v.mean <> rating.mean OR v.weighted_mean <> rating.weighted_mean OR v.vulnerabilities <> rating.vulnerabilities
SET v += rating
RETURN count(*) AS rated
"""

# Each version is a row: the driver takes a long list in one piece, and the event loop waits for it.
_HELD: Final = """
MATCH (p:PACKAGE {purl: $purl})
MATCH (p)-[:HAVE]->(v:Version)
RETURN v.name AS name, v.purl AS purl, v.mean AS mean, v.weighted_mean AS weighted_mean,
       v.vulnerabilities AS vulnerabilities
"""

_RATE_PORTION: Final = """
UNWIND $rows AS row
UNWIND row.purls AS purl
MATCH (v:Version {purl: purl})
SET v += row.rating
RETURN count(*) AS rated
"""


async def write_ratings(connection: Connection, ratings: Mapping[PackageRef, Mapping[str, Rating]]) -> None:
    """Rate all versions of packages by their names. A version that is not named has no vulnerability.

    A package that the graph does not have is passed over. The function raises StoreError or ConfigError.
    """
    rows: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for ref, by_version in sorted(ratings.items(), key=lambda each: each[0].purl):
        if _is_big(by_version):
            await _write_in_portions(connection, ref, by_version)
        else:
            rows[ref.ecosystem.label].append(_row(ref, by_version))
    for label, members in sorted(rows.items()):
        await connection.change(for_label(_RATE, label), {"rows": members})


def _is_big(ratings: Mapping[str, Rating]) -> bool:
    """Return whether more versions have vulnerabilities than one statement should hold."""
    return sum(1 for _ in islice(filter(_has_vulnerabilities, ratings.values()), PORTION + 1)) > PORTION


def _row(ref: PackageRef, ratings: Mapping[str, Rating]) -> dict[str, Any]:
    affected = {name: rating_properties(rating) for name, rating in ratings.items() if _has_vulnerabilities(rating)}
    return {"package": ref.purl, "ratings": affected, "none": rating_properties(Rating())}


async def _write_in_portions(connection: Connection, ref: PackageRef, ratings: Mapping[str, Rating]) -> None:
    statement = for_label(_HELD, ref.ecosystem.label)
    held = await connection.read(statement, {"purl": ref.purl}, rows_at_once=_ROWS_AT_ONCE)
    differing = _differing(held, ratings)
    while rows := await _portion(differing):
        await connection.change(_RATE_PORTION, {"rows": rows})


async def _portion(differing: Iterator[tuple[str, Rating]]) -> list[dict[str, Any]]:
    """Return the rows for the next versions that differ. Versions with the same rating share one row."""
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
