"""This tests the advisory sync: a new, changed or withdrawn advisory reaches the versions in the graph without any
registry.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from securechain_ingest.advisories.store import AdvisoryStore
from securechain_ingest.errors import Malformed, StoreError, Unavailable
from securechain_ingest.graph.store import Graph
from securechain_ingest.jobs import advisory_sync
from securechain_ingest.jobs.advisory_rating import AdvisoryRating
from securechain_ingest.jobs.cursors import Cursors
from tests.graph.builders import npm, pypi, write
from tests.jobs.advisories import FLASK, HIGH, MEDIUM, STREAM, AdvisoryBench
from tests.registry_server import Fault, FaultKind, osv


@pytest.fixture
def bench(advisory_bench: AdvisoryBench) -> AdvisoryBench:
    return advisory_bench


async def test_a_new_advisory_reaches_the_versions_that_it_affects(bench: AdvisoryBench) -> None:
    bench.publish(FLASK)

    run = await bench.run()

    assert await bench.ratings(pypi("flask")) == {"1.0": (9.8, ["GHSA-1"]), "2.0": (0.0, [])}
    assert run.metrics["advisories_written"] == 1
    assert run.metrics["packages_rated"] == 1
    assert {request.endpoint for request in bench.server.requests} == {"osv"}


async def test_nothing_new_costs_one_small_request_an_ecosystem(bench: AdvisoryBench) -> None:
    bench.publish(FLASK)
    await bench.run()
    bench.server.requests.clear()

    run = await bench.run()

    assert sorted(bench.targets()) == [
        "/PyPI/modified_id.csv",
        "/[EMPTY]/modified_id.csv",
        "/npm/modified_id.csv",
    ]
    assert {request.status for request in bench.server.requests} == {304}
    assert run.metrics["advisories_read"] == 0


async def test_a_changed_advisory_is_read_alone_and_rates_what_it_was_and_is_about(bench: AdvisoryBench) -> None:
    bench.publish(FLASK)
    await bench.run()
    moved = osv.Advisory("GHSA-1", (("npm", "left"),), modified="2026-08-02T00:00:00Z", fixed="2.0.0", vector=MEDIUM)
    other = osv.Advisory("GHSA-2", (("PyPI", "other"),), modified="2026-08-02T00:00:00Z")
    bench.publish(moved, other)

    await bench.run()

    assert await bench.ratings(npm("left")) == {"1.0.0": (5.3, ["GHSA-1"])}
    assert await bench.ratings(pypi("flask")) == {"1.0": (0.0, []), "2.0": (0.0, [])}
    assert "/npm/GHSA-1.json" in bench.targets()
    assert not [target for target in bench.targets() if target.endswith(".zip")]


@pytest.mark.parametrize("homeless", [False, True], ids=["in-its-place", "without-an-ecosystem"])
async def test_a_withdrawn_advisory_counts_no_more_and_stays_in_the_collection(
    bench: AdvisoryBench, homeless: bool
) -> None:
    bench.publish(FLASK)
    await bench.run()
    withdrawn = replace(
        FLASK,
        packages=() if homeless else FLASK.packages,
        modified="2026-08-03T00:00:00Z",
        fields={"withdrawn": "2026-08-03T00:00:00Z"},
    )
    bench.publish(withdrawn)

    await bench.run()

    assert await bench.ratings(pypi("flask")) == {"1.0": (0.0, []), "2.0": (0.0, [])}
    assert (await bench.document("GHSA-1"))["withdrawn"] == "2026-08-03T00:00:00Z"


async def test_an_advisory_that_is_missing_is_asked_for_once_before_it_counts_no_more(bench: AdvisoryBench) -> None:
    bench.publish(FLASK, replace(FLASK, id="GHSA-2"))
    await bench.run()
    bench.publish(replace(FLASK, id="GHSA-2"))

    run = await bench.run(reconcile="true")

    assert [target for target in bench.targets() if "GHSA-1" in target] == ["/PyPI/GHSA-1.json", "/[EMPTY]/GHSA-1.json"]

    assert (await bench.ratings(pypi("flask")))["1.0"] == (9.8, ["GHSA-2"])
    assert run.metrics["withdrawn"] == 1
    bench.publish(FLASK, replace(FLASK, id="GHSA-2"))
    await bench.run(reconcile="true")
    assert (await bench.ratings(pypi("flask")))["1.0"] == (9.8, ["GHSA-1", "GHSA-2"])


async def test_what_other_programs_wrote_into_a_document_stays(bench: AdvisoryBench) -> None:
    bench.publish(FLASK)
    await bench.run()
    theirs = {
        "cwes": ["CWE-79"],
        "exploits": ["EDB-1"],
        "affected_artefacts": {"source": {"artefacts": {"function": ["f"]}}},
        "their_own": {"nested": [1, 2]},
    }
    scored = {"type": "CVSS_V3", "score": HIGH, "base_score": 7.5}
    await bench.collection.update_one({"id": "GHSA-1"}, {"$set": {**theirs, "severity": [scored], "related": ["X"]}})
    before = await bench.document("GHSA-1")
    bench.publish(replace(FLASK, modified="2026-08-02T00:00:00Z", fields={"details": None, "summary": "Short."}))

    await bench.run()

    after = await bench.document("GHSA-1")
    assert {key: after[key] for key in theirs} == theirs
    assert after["_id"] == before["_id"]
    assert after["severity"] == [scored]
    assert after["details"] == "Short."
    assert "related" not in after
    assert (await bench.ratings(pypi("flask")))["1.0"] == (7.5, ["GHSA-1"])


async def test_malware_is_listed_and_does_not_count_in_the_means(bench: AdvisoryBench) -> None:
    bench.publish(replace(FLASK, id="MAL-2026-1"), replace(FLASK, vector=MEDIUM))

    await bench.run()

    assert (await bench.ratings(pypi("flask")))["1.0"] == (5.3, ["GHSA-1", "MAL-2026-1"])


async def test_scores_of_the_affected_package_count_where_the_record_has_none(bench: AdvisoryBench) -> None:
    record = FLASK.record()
    [element] = record["affected"]
    element["severity"] = [{"type": "CVSS_V3", "score": MEDIUM}, {"type": "CVSS_V4", "score": "CVSS:4.0/AV:N"}]
    bench.publish(replace(FLASK, vector=None, fields={"affected": [element]}))

    await bench.run()

    assert (await bench.ratings(pypi("flask")))["1.0"] == (5.3, ["GHSA-1"])
    [stored] = (await bench.document("GHSA-1"))["affected"]
    assert stored["severity"][0]["base_score"] == 5.3


async def test_very_many_changes_are_read_as_one_archive(bench: AdvisoryBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advisory_sync, "SINGLE_RECORDS", 3)
    bench.publish(FLASK)
    await bench.run()
    many = [replace(FLASK, id=f"GHSA-{number}", modified="2026-08-02T00:00:00Z") for number in range(4)]
    bench.publish(*many)

    await bench.run()

    assert sorted(bench.targets()) == [
        "/PyPI/all.zip",
        "/PyPI/modified_id.csv",
        "/[EMPTY]/modified_id.csv",
        "/npm/modified_id.csv",
    ]
    assert (await bench.ratings(pypi("flask")))["1.0"][1] == [f"GHSA-{number}" for number in range(4)]


async def test_a_list_that_went_back_is_compared_as_a_whole(bench: AdvisoryBench) -> None:
    bench.publish(replace(FLASK, modified="2026-08-05T00:00:00Z"))
    await bench.run()
    bench.publish(replace(FLASK, modified="2026-08-01T00:00:00Z", vector=MEDIUM))

    await bench.run()

    assert "/PyPI/all.zip" in bench.targets()
    assert (await bench.ratings(pypi("flask")))["1.0"] == (5.3, ["GHSA-1"])


@pytest.mark.parametrize("step", ["before the write", "before the rating", "while rating"])
async def test_a_sync_that_breaks_off_is_finished_by_the_next(
    bench: AdvisoryBench, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.publish(FLASK)

    async def away(*_: object, **__: object) -> None:
        raise StoreError("a store is away")

    owner, method = {
        "before the write": (AdvisoryStore, "_write"),
        "before the rating": (AdvisoryRating, "_rate_some"),
        "while rating": (Graph, "link"),
    }[step]
    with monkeypatch.context() as broken:
        broken.setattr(owner, method, away)
        with pytest.raises(StoreError):
            await bench.run()
    assert await Cursors(bench.sync.redis, STREAM).all() == {}
    assert await bench.ratings(pypi("flask")) == {"1.0": (0.0, []), "2.0": (0.0, [])}

    await bench.run()

    assert await bench.ratings(pypi("flask")) == {"1.0": (9.8, ["GHSA-1"]), "2.0": (0.0, [])}


async def test_a_package_written_with_an_older_reading_of_the_advisories_is_right_after_the_next_sync(
    bench: AdvisoryBench,
) -> None:
    bench.publish(FLASK)
    await bench.run()
    await bench.sync.graph.write([write(pypi("flask"), "1.0", "2.0", ratings={})])
    await bench.sync.graph._connection.change(
        "MATCH (v:Version) SET v.vulnerabilities = [], v.mean = 0.0, v.weighted_mean = 0.0 RETURN count(v) AS count"
    )

    await bench.run()

    assert (await bench.ratings(pypi("flask")))["1.0"] == (9.8, ["GHSA-1"])


async def test_a_record_that_cannot_be_read_stops_no_other(bench: AdvisoryBench) -> None:
    bench.publish(FLASK, replace(FLASK, id="GHSA-2", fields={"modified": 5}))

    run = await bench.run()

    assert run.metrics["errors"] == 1
    assert (await bench.ratings(pypi("flask")))["1.0"] == (9.8, ["GHSA-1"])


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault("/PyPI/modified_id.csv", FaultKind.STATUS, status=503), Unavailable),
        (Fault("/PyPI/modified_id.csv", FaultKind.HTML), Malformed),
        (Fault("/PyPI/all.zip", FaultKind.TRUNCATED), Malformed),
        (Fault("/PyPI/all.zip", FaultKind.STATUS, status=500), Unavailable),
    ],
    ids=["away", "a proxy's page", "cut off", "failing"],
)
async def test_a_bucket_that_cannot_be_read_is_an_error_and_withdraws_nothing(
    bench: AdvisoryBench, fault: Fault, error: type[Exception]
) -> None:
    bench.publish(FLASK)
    await bench.run()
    bench.server.faults.add(fault)

    with pytest.raises(error):
        await bench.run(reconcile="true")

    assert "securechain_absent" not in await bench.document("GHSA-1")
