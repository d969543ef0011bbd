"""An archive that cannot be read now costs a package no import names: every ecosystem, failure and way to ask."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
import pytest_asyncio

from securechain_ingest.model import PackageRef
from securechain_ingest.registries import DECLARATIONS
from tests.registry_server import Fault, FaultKind
from tests.stores import GraphTarget
from tests.worker.everything import Everything
from tests.worker.samples import FIRST, SECOND, archives_of, ref_of, version_of, with_second_versions

pytestmark = pytest.mark.asyncio(loop_scope="module")

FAULTS = {
    "is404": Fault("", FaultKind.STATUS, times=None, status=404),
    "is403": Fault("", FaultKind.STATUS, times=None, status=403),
    "is500": Fault("", FaultKind.STATUS, times=None, status=500),
    "html": Fault("", FaultKind.HTML, times=None),
    "reset": Fault("", FaultKind.DROP, times=None),
    "cutoff": Fault("", FaultKind.DROP, times=None, after_bytes=40),
    "half": Fault("", FaultKind.TRUNCATED, times=None),
}
WAYS = ("daemon", "ingest", "backfill")
PACKAGES = [f"{way}{fault}" for way in WAYS for fault in FAULTS]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(
    redis_server: str, arcadedb_server: GraphTarget, advisory_server: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Everything]:
    """Every package is in the graph with its first version, and has a second one by now."""
    stores = redis_server, arcadedb_server, advisory_server
    async with with_second_versions(PACKAGES, stores, tmp_path_factory.mktemp("samples")) as bench:
        yield bench


async def ask(bench: Everything, way: str, ref: PackageRef) -> None:
    if way == "daemon":
        await bench.ask(ref, refresh=True)
    elif way == "ingest":
        await bench.ingest(ref, refresh=True)
    else:
        await bench.set(ref, import_names_parser=0)
        assert (await bench.backfill(ref.ecosystem.label, older_than=1)).total() == 1


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("ecosystem", [declared.name for declared in DECLARATIONS])
@pytest.mark.parametrize("way", WAYS)
async def test_names_outlast_an_archive_that_cannot_be_read(
    bench: Everything, ecosystem: str, fault: str, way: str
) -> None:
    ref = ref_of(ecosystem, f"{way}{fault}")
    before = await bench.names(ref)
    assert any(FIRST in name for name in before)
    bench.server.faults.add(replace(FAULTS[fault], path=archives_of(ecosystem, f"{way}{fault}")))

    await ask(bench, way, ref)

    failed = await bench.marks(ref)
    assert await bench.names(ref) == before
    assert failed["error"]
    assert failed["failed_version"] == version_of(ecosystem, 2)
    assert failed["tries"] == 1
    assert failed["retry_at"] - failed["tried_at"] == timedelta(hours=1)

    bench.server.faults.clear()
    if way == "daemon":
        assert await bench.due() == 0
        await bench.let_pass(ref, timedelta(hours=1))
        assert await bench.due() == 1
    else:
        await ask(bench, way, ref)

    after = await bench.names(ref)
    assert any(SECOND in name for name in after)
    assert not any(FIRST in name for name in after)
    assert await bench.marks(ref) == {}
