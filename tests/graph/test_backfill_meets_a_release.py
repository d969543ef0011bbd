"""This tests import names that a backfill has read while a message wrote a newer release of the package."""

from __future__ import annotations

from datetime import timedelta

from securechain_ingest.graph.store import Graph
from securechain_ingest.model import ImportNames
from tests.graph.builders import MONDAY, PYPI, pypi, write
from tests.graph.conftest import CypherRunner


async def test_names_of_the_newer_release_stay(graph: Graph, read: CypherRunner) -> None:
    await graph.write([write(pypi("flask"), "1.0", names=ImportNames(()))])
    [gap], _ = await graph.names_gaps(PYPI, older_than=0, after="", limit=10)
    newer = write(pypi("flask"), "1.0", "2.0", names=ImportNames(("of_2",)), checked_at=MONDAY + timedelta(days=1))
    await graph.write([newer])

    await graph.fill_names(PYPI, [(gap, ImportNames(("of_1",)))])

    [[names]] = [list(row.values()) for row in await read("MATCH (p:PyPIPackage) RETURN p.import_names AS names")]
    assert names == ["of_2"]
