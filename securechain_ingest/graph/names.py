"""This module says which packages of a registry's list the graph has.

Some names are looked up, ten thousand at a time. For the whole list of a registry the graph's own packages are walked
in the order of an index instead: a package costs a third of the server's time, and no name need be sent to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from securechain_ingest.graph.connection import Connection
from securechain_ingest.graph.properties import FORMAT
from securechain_ingest.graph.statements import for_label
from securechain_ingest.model import Ecosystem

NAMES_A_QUERY = 10_000

_PART = 2_500
"""One statement takes this many names. The statements of one query go to the server together."""

# One row with everything: a row for each package took four times as long, most of it on the way. For an
# incomplete package `listed` says only that its registry lacked it then.
_HELD = """
UNWIND $rows.purls AS purl
MATCH (p:PACKAGE {purl: purl})
RETURN collect([p.purl, coalesce(p.format = $format, false), p.revision, p.removed_at IS NOT NULL,
                CASE WHEN p.format = $format OR p.tried_at IS NOT NULL THEN p.listed END]) AS states
"""

# An absent package that was never tried has been queued by whoever requires it. If that was long ago, its message has
# been lost.
_AWAITED = """
UNWIND $rows.purls AS purl
MATCH (a:AbsentPackage {purl: purl})
WHERE a.tried_at IS NOT NULL OR coalesce(a.queued_at < $lost_before, false)
RETURN collect([a.purl, a.listed]) AS states
"""

# Here, too, a row for each package took ten times as long.
_WALK = """
MATCH (p:PACKAGE) WHERE p.purl > $after
WITH p ORDER BY p.purl LIMIT $limit
RETURN collect([p.purl, coalesce(p.format = $format, false), p.revision, p.removed_at IS NOT NULL]) AS packages,
       max(p.purl) AS last
"""

_WALK_AWAITED = """
MATCH (a:AbsentPackage) WHERE a.purl > $after AND a.purl < $before
WITH a.purl AS purl ORDER BY purl LIMIT $limit
RETURN collect(purl) AS packages, max(purl) AS last
"""

_KNOWN = """
MATCH (p:PACKAGE) WHERE p.purl > $after
WITH p ORDER BY p.purl LIMIT $limit
RETURN collect([p.purl, coalesce(p.registry_name, p.name), p.removed_at IS NOT NULL]) AS packages, max(p.purl) AS last
"""

_COUNT = "MATCH (p:PACKAGE) WHERE p.purl > '' RETURN count(p) AS count"


@dataclass(frozen=True, slots=True)
class PackageState:
    """It says what the graph has of a package, as far as a comparison with a list of names needs it."""

    is_complete: bool
    """This release has written the package. If it is False, another program or an earlier release has written the
    package, or the package is only awaited."""
    revision: str | None
    is_removed: bool
    """The package is marked as gone from its registry."""
    is_awaited: bool
    """The package is not in the graph, but versions require it. Its registry lacked it when it was asked, or was never
    asked."""
    listed: str | None = None
    """The registry was last asked because its list showed a state of the package. This is the list's text for that
    state, or None if something has changed since."""


WalkedPackage: TypeAlias = tuple[str, bool, str | None, bool]
"""The purl of a package, and `is_complete`, `revision` and `is_removed` as a PackageState has them."""


@dataclass(frozen=True, slots=True)
class KnownName:
    purl: str
    name: str
    """The name is spelled as in its registry."""
    is_removed: bool


class PackageNames:
    """It gives the packages of one ecosystem by purl. Its methods raise StoreError and ConfigError."""

    def __init__(self, connection: Connection, queued_retry_s: float) -> None:
        """A package that was queued more than `queued_retry_s` seconds ago and has not come since counts as not
        queued."""
        self._connection = connection
        self._queued_retry_s = queued_retry_s

    async def states(self, ecosystem: Ecosystem, purls: Sequence[str]) -> dict[str, PackageState]:
        """Return by purl the states of those of at most NAMES_A_QUERY packages that the graph has or awaits.

        A package that is written meanwhile may be missing. The next comparison finds it.
        """
        parts = [purls[start : start + _PART] for start in range(0, len(purls), _PART)]
        found: dict[str, PackageState] = {}
        for states in await asyncio.gather(*(self._states(ecosystem, part) for part in parts)):
            found |= states
        return found

    async def _states(self, ecosystem: Ecosystem, purls: Sequence[str]) -> dict[str, PackageState]:
        parameters: dict[str, Any] = {"rows": {"purls": list(purls)}, "format": FORMAT}
        [held] = await self._connection.read(for_label(_HELD, ecosystem.label), parameters)
        found = {
            purl: PackageState(is_complete, revision, is_removed, is_awaited=False, listed=listed)
            for purl, is_complete, revision, is_removed, listed in held["states"]
        }
        if missing := [purl for purl in purls if purl not in found]:
            lost_before = datetime.now(UTC) - timedelta(seconds=self._queued_retry_s)
            parameters = {"rows": {"purls": missing}, "lost_before": lost_before}
            [awaited] = await self._connection.read(_AWAITED, parameters)
            for purl, listed in awaited["states"]:
                found[purl] = PackageState(False, None, is_removed=False, is_awaited=True, listed=listed)
        return found

    async def walk(self, ecosystem: Ecosystem) -> AsyncIterator[Sequence[WalkedPackage]]:
        """Yield all packages, NAMES_A_QUERY at a time, in the order of their purls.

        A package that is written meanwhile may be missing, or may be as it was before.
        """
        async for packages in self._walk(for_label(_WALK, ecosystem.label), "", format=FORMAT):
            yield packages

    async def walk_awaited(self, ecosystem: Ecosystem) -> AsyncIterator[Sequence[str]]:
        """Yield the purls of all packages that versions require and the graph lacks, NAMES_A_QUERY at a time."""
        begin, behind_slash = f"pkg:{ecosystem.purl_type}/", f"pkg:{ecosystem.purl_type}0"
        async for purls in self._walk(_WALK_AWAITED, begin, before=behind_slash):
            yield purls

    async def known(self, ecosystem: Ecosystem) -> AsyncIterator[list[KnownName]]:
        """Yield all packages with their names, NAMES_A_QUERY at a time, in the order of their purls."""
        async for packages in self._walk(for_label(_KNOWN, ecosystem.label), ""):
            yield [KnownName(*package) for package in packages]

    async def _walk(self, cypher: str, after: str, **parameters: Any) -> AsyncIterator[Any]:
        while True:
            given = {"after": after, "limit": NAMES_A_QUERY, **parameters}
            [row] = await self._connection.read(cypher, given)
            if not row["packages"]:
                return
            yield row["packages"]
            after = row["last"]

    async def count(self, ecosystem: Ecosystem) -> int:
        """Return how many packages of the ecosystem the graph has."""
        return int((await self._connection.read(for_label(_COUNT, ecosystem.label)))[0]["count"])
