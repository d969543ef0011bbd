"""This tests what a release adds and takes away, from made registries of all ecosystems to `show`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from securechain_ingest.model import PackageRef
from securechain_ingest.reports.package import PackageReport, read_package
from tests.registry_server.registered import REGISTRIES
from tests.stores import GraphTarget
from tests.worker.everything import Everything
from tests.worker.samples import FIRST, SECOND, archives_of, ref_of, version_of, with_second_versions
from tests.worker.test_unread_archives import FAULTS

pytestmark = pytest.mark.asyncio(loop_scope="module")

PACKAGES = ("byrefresh", "byingest", "bybackfill")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(
    redis_server: str, arcadedb_server: GraphTarget, advisory_server: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Everything]:
    """Every package is in the graph with its first version, and has a second one by now."""
    stores = redis_server, arcadedb_server, advisory_server
    async with with_second_versions(PACKAGES, stores, tmp_path_factory.mktemp("samples")) as bench:
        yield bench


async def told_of(bench: Everything, ref: PackageRef) -> PackageReport:
    stores = bench.stores
    return await read_package(stores.graph.reader, stores.advisories, stores.changes, ref, None, is_rated=False)


async def assert_told(bench: Everything, ref: PackageRef) -> None:
    """The second version has taken the first one's module away and has added one of its own."""
    report = await told_of(bench, ref)
    change = report.release_change
    assert change is not None
    assert change.names is not None
    ecosystem = ref.ecosystem.name
    assert (change.version, change.before) == (version_of(ecosystem, 2), version_of(ecosystem, 1))
    assert (len(change.names.added), len(change.names.removed)) == (change.added_count, change.removed_count)
    assert change.removed_count > 0
    assert change.added_count > 0
    assert all(FIRST in name for name in change.names.removed)
    assert all(SECOND in name for name in change.names.added)


@pytest.mark.parametrize("ecosystem", REGISTRIES)
async def test_a_refresh_by_the_daemon_compares_the_new_release(bench: Everything, ecosystem: str) -> None:
    ref = ref_of(ecosystem, "byrefresh")
    assert (await told_of(bench, ref)).release_change is None
    await bench.refresh_as_the_daemon(ref)
    await assert_told(bench, ref)
    await bench.refresh_as_the_daemon(ref)
    await assert_told(bench, ref)


@pytest.mark.parametrize("ecosystem", REGISTRIES)
async def test_the_command_ingest_compares_the_new_release(bench: Everything, ecosystem: str) -> None:
    ref = ref_of(ecosystem, "byingest")
    await bench.ingest(ref, refresh=True)
    await assert_told(bench, ref)


@pytest.mark.parametrize("ecosystem", REGISTRIES)
async def test_a_backfill_compares_a_release_whose_archive_could_not_be_read_before(
    bench: Everything, ecosystem: str
) -> None:
    ref = ref_of(ecosystem, "bybackfill")
    bench.server.faults.add(replace(FAULTS["is500"], path=archives_of(ecosystem, "bybackfill")))
    await bench.ingest(ref, refresh=True)
    bench.server.faults.clear()
    assert (await told_of(bench, ref)).release_change is None
    await bench.backfill(ref.ecosystem.label)
    await assert_told(bench, ref)
