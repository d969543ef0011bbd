"""These are two installations with stores of their own: snapshots go from the one to the other, and so to another
kind of graph server.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from securechain_ingest.configuration import Settings, load
from securechain_ingest.registries import ECOSYSTEMS
from securechain_ingest.snapshot.export import Report, export
from securechain_ingest.snapshot.load import SnapshotImport, verify
from securechain_ingest.snapshot.manifest import SnapshotManifest
from securechain_ingest.store_addresses import configured
from securechain_ingest.stores import Stores, connect
from tests.stores import AdvisoryTarget, GraphTarget, empty_graph, store_variables


@dataclass(frozen=True)
class WholeInstallation:
    stores: Stores
    settings: Settings
    graph: GraphTarget
    variables: dict[str, str]
    """These point the command line to the installation."""

    async def export(self, folder: Path, report: Report = lambda _what, _count: None) -> SnapshotManifest:
        return await export(self.stores, ECOSYSTEMS, self.settings.queue, self.settings.graph, folder, report)

    async def load(self, folder: Path, *, has_graph: bool = False) -> None:
        await self.importing(folder, has_graph=has_graph).run(lambda _: None)

    def importing(self, folder: Path, *, has_graph: bool = False) -> SnapshotImport:
        ecosystems = {each.name: each for each in ECOSYSTEMS}
        manifest = verify(folder, lambda _: None)
        return SnapshotImport(self.stores, ecosystems, self.settings.queue, folder, manifest, has_graph=has_graph)


@asynccontextmanager
async def installation(
    redis_url: str,
    graph: GraphTarget,
    advisory_server: str,
    state_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    empty: bool = True,
) -> AsyncIterator[WholeInstallation]:
    if empty:
        empty_graph(graph)
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    variables = store_variables(redis_url, graph, AdvisoryTarget(advisory_server, f"t-{uuid.uuid4().hex}"), state_dir)
    # The first write of a Neo4j that has just started may take a busy machine longer than a minute.
    variables["SECURECHAIN_GRAPH__QUERY_TIMEOUT_S"] = "600"
    with monkeypatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        settings = load(None, warn=lambda _: None)
    async with connect(configured(settings), settings) as stores:
        await stores.graph.ensure_schema(ECOSYSTEMS)
        await stores.advisories.ensure_indexes()
        yield WholeInstallation(stores, settings, graph, variables)


@pytest.fixture(params=["to neo4j", "to arcadedb"])
async def installations(
    request: pytest.FixtureRequest,
    redis_server: str,
    arcadedb_server: GraphTarget,
    neo4j_server: GraphTarget,
    advisory_server: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[tuple[WholeInstallation, WholeInstallation]]:
    """Yield the source and the target."""
    graphs = [arcadedb_server, neo4j_server]
    if request.param == "to arcadedb":
        graphs.reverse()
    server, _, _ = redis_server.rpartition("/")
    first, second = (
        installation(f"{server}/{number}", graph, advisory_server, tmp_path / f"{number}", monkeypatch)
        for number, graph in enumerate(graphs, start=1)
    )
    async with first as source, second as target:
        yield source, target


@pytest.fixture
def source(installations: tuple[WholeInstallation, WholeInstallation]) -> WholeInstallation:
    return installations[0]


@pytest.fixture
def target(installations: tuple[WholeInstallation, WholeInstallation]) -> WholeInstallation:
    return installations[1]
