"""This tests an ecosystem that OSV does not have: its advisories are never asked for, and it costs the others
nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from securechain_ingest.advisories.store import AdvisoryStore
from securechain_ingest.jobs.cursors import Cursors
from securechain_ingest.jobs.first_advisories import read_first_advisories
from securechain_ingest.reports.package import report_on
from securechain_ingest.worker.release_changes import ReleaseChanges
from tests.graph.builders import NPM, npm, pypi, write
from tests.jobs.advisories import FLASK, STREAM, AdvisoryBench
from tests.jobs.feeds import Identities
from tests.waiting import PATIENCE_S

LONE = replace(NPM, name="lone", label="LonePackage", purl_type="lone", osv=None)
LEFT = replace(npm("left"), ecosystem=LONE, purl="pkg:lone/left")


def with_lone(bench: AdvisoryBench) -> AdvisoryBench:
    """Add an ecosystem that OSV does not have to those of the bench."""
    lone: Any = Identities(LONE, lambda name: replace(LEFT, registry_name=name))
    bench.sync = replace(bench.sync, registries=(*bench.sync.registries, lone))
    return bench


async def test_a_sync_succeeds_and_asks_only_for_what_osv_has(advisory_bench: AdvisoryBench) -> None:
    bench = with_lone(advisory_bench)
    bench.publish(FLASK)
    run = await bench.run()
    assert {target.split("/")[1] for target in bench.targets()} == {"PyPI", "npm", "[EMPTY]"}
    assert run.metrics["errors"] == 0
    assert await bench.ratings(pypi("flask")) == {"1.0": (9.8, ["GHSA-1"]), "2.0": (0.0, [])}


async def test_a_command_that_asks_only_about_it_reads_no_advisories(advisory_bench: AdvisoryBench) -> None:
    bench = with_lone(advisory_bench)
    before = bench.targets()
    assert await read_first_advisories(bench.sync, set(), within_s=PATIENCE_S) == {}
    assert bench.targets() == before


async def test_its_packages_are_reported_as_unknown_even_after_a_sync(advisory_bench: AdvisoryBench) -> None:
    bench = with_lone(advisory_bench)
    await bench.sync.graph.ensure_schema([LONE])
    await bench.sync.graph.write([write(LEFT, "1.0.0")])
    bench.publish(FLASK)
    await bench.run()
    store: AdvisoryStore = bench.sync.store
    cursors = Cursors(bench.sync.redis, STREAM)
    changes = ReleaseChanges(store.sibling("changes"))
    report = await report_on(bench.sync.graph.reader, store, changes, cursors, LEFT, None)
    assert report.vulnerabilities is None
    assert report.as_dict()["vulnerabilities"] is None
