"""What cannot be read of the advisories, or was written by somebody else, costs itself alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
import structlog

from securechain_ingest.errors import IngestError, NotFound, TooLarge, Unavailable
from securechain_ingest.jobs.cursors import Cursors
from tests.graph.builders import npm, pypi, write
from tests.jobs.advisories import FLASK, HIGH, MEDIUM, STREAM, AdvisoryBench
from tests.registry_server import Fault, FaultKind, osv

AFFECTED = {"1.0": (9.8, ["GHSA-1"]), "2.0": (0.0, [])}


@pytest.fixture
def bench(advisory_bench: AdvisoryBench) -> AdvisoryBench:
    return advisory_bench


@pytest.mark.parametrize("path", ["/npm/modified_id.csv", "/npm/all.zip", "*/modified_id.csv"])
@pytest.mark.parametrize("status", [404, 503])
async def test_while_one_ecosystem_cannot_be_read_the_others_are_rated(
    bench: AdvisoryBench, path: str, status: int
) -> None:
    bench.publish(FLASK, osv.Advisory("GHSA-2", (("npm", "left"),)))
    if path == "*/modified_id.csv":
        bench.server.faults.add(Fault("/?EMPTY?/modified_id.csv", FaultKind.STATUS, times=None, status=status))
        bench.server.faults.add(Fault("/modified_id.csv", FaultKind.STATUS, times=None, status=status))
    else:
        bench.server.faults.add(Fault(path, FaultKind.STATUS, times=None, status=status))

    with pytest.raises(NotFound if status == 404 else Unavailable):
        await bench.run()

    assert await bench.ratings(pypi("flask")) == AFFECTED
    assert "osv:PyPI" in await Cursors(bench.sync.redis, STREAM).all()


async def test_an_archive_that_cannot_be_read_keeps_no_single_change_away(bench: AdvisoryBench) -> None:
    bench.publish(FLASK)
    bench.server.faults.add(Fault("/PyPI/all.zip", FaultKind.TRUNCATED, times=None))

    with pytest.raises(IngestError):
        await bench.run()

    assert await bench.ratings(pypi("flask")) == AFFECTED
    assert (await Cursors(bench.sync.redis, STREAM).all())["osv:PyPI"].reconciled_at is None


async def test_a_list_larger_than_the_limit_costs_its_ecosystem(
    bench: AdvisoryBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.publish(FLASK)
    modified = type(bench.sync.bucket).modified

    async def limited(self: Any, ecosystem: str, *others: Any) -> Any:
        if ecosystem == "npm":
            raise TooLarge("the list is too large", url="made")
        return await modified(self, ecosystem, *others)

    monkeypatch.setattr(type(bench.sync.bucket), "modified", limited)
    with pytest.raises(TooLarge):
        await bench.run()
    assert await bench.ratings(pypi("flask")) == AFFECTED


async def test_a_record_that_fails_is_asked_for_again_by_the_next_sync(bench: AdvisoryBench) -> None:
    bench.publish()
    await bench.run()
    bench.publish(FLASK, replace(FLASK, id="GHSA-2"))
    bench.server.faults.add(Fault("/PyPI/GHSA-1.json", FaultKind.STATUS, times=1, status=500))

    run = await bench.run()
    assert (run.metrics["errors"], (await bench.ratings(pypi("flask")))["1.0"]) == (1, (9.8, ["GHSA-2"]))

    await bench.run()
    assert (await bench.ratings(pypi("flask")))["1.0"] == (9.8, ["GHSA-1", "GHSA-2"])


async def test_a_bucket_that_gives_no_record_is_an_error_and_its_cursor_stays(bench: AdvisoryBench) -> None:
    bench.publish()
    await bench.run()
    before = (await Cursors(bench.sync.redis, STREAM).all())["osv:PyPI"].value
    bench.publish(*(replace(FLASK, id=f"GHSA-{number}") for number in range(20)))
    bench.server.faults.add(Fault("/PyPI/GHSA-*.json", FaultKind.STATUS, times=None, status=500))

    with pytest.raises(Unavailable):
        await bench.run()

    assert (await Cursors(bench.sync.redis, STREAM).all())["osv:PyPI"].value == before


async def test_a_record_in_the_archive_that_cannot_be_read_is_not_taken_for_withdrawn(bench: AdvisoryBench) -> None:
    bench.publish(FLASK)
    await bench.run()
    bench.publish(replace(FLASK, fields={"modified": 5}))

    await bench.run(reconcile="true")
    await bench.run(reconcile="true")

    assert await bench.ratings(pypi("flask")) == AFFECTED


@pytest.mark.parametrize(
    "fields",
    [{"x" * 5_000_000: 1}, {"references": [{"n\0": 1}]}, {"credits": [2**63]}, {"related": "y" * 5_000_000}],
    ids=["a long name", "a name with a NUL", "a number that the database lacks", "a huge record"],
)
async def test_a_record_that_the_database_cannot_hold_costs_itself(
    bench: AdvisoryBench, fields: dict[str, Any]
) -> None:
    bench.publish(FLASK, replace(FLASK, id="GHSA-2", fields=fields))

    with structlog.testing.capture_logs() as logs:
        run = await bench.run()

    assert await bench.ratings(pypi("flask")) == AFFECTED
    assert run.metrics["errors"] == 1
    [line] = [line for line in logs if line["event"] == "advisory_unreadable"]
    assert "GHSA-2" in line["reason"]


async def test_what_another_program_wrote_first_is_rated(bench: AdvisoryBench) -> None:
    await bench.collection.insert_one({**FLASK.record()})
    bench.publish(FLASK)

    await bench.run()

    assert await bench.ratings(pypi("flask")) == AFFECTED


async def test_a_change_that_another_program_wrote_first_is_rated(bench: AdvisoryBench) -> None:
    bench.publish(FLASK)
    await bench.run()
    changed = replace(FLASK, modified="2026-08-09T00:00:00Z", vector=MEDIUM, fixed=None)
    await bench.collection.replace_one({"id": "GHSA-1"}, changed.record())
    bench.publish(changed)

    await bench.run()

    assert await bench.ratings(pypi("flask")) == {"1.0": (5.3, ["GHSA-1"]), "2.0": (5.3, ["GHSA-1"])}


async def test_what_another_program_wrote_is_completed_though_it_has_the_same_time(bench: AdvisoryBench) -> None:
    theirs = {**FLASK.record(), "cwes": ["CWE-1"]}
    theirs["affected"] = [{**theirs["affected"][0], "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]}]
    del theirs["details"]
    await bench.collection.insert_one(theirs)
    bench.publish(FLASK)

    await bench.run()

    document = await bench.document("GHSA-1")
    assert (document["details"], document["cwes"]) == ("Made for a test.", ["CWE-1"])
    assert document["severity"] == [{"type": "CVSS_V3", "score": HIGH, "base_score": 9.8}]
    assert await bench.ratings(pypi("flask")) == AFFECTED


async def test_a_comparison_writes_nothing_where_nothing_differs(bench: AdvisoryBench) -> None:
    bench.publish(FLASK)
    await bench.run()
    before = await bench.document("GHSA-1")

    run = await bench.run(reconcile="true")

    assert run.metrics["advisories_written"] == 0
    assert await bench.document("GHSA-1") == before


async def test_documents_of_the_wrong_types_end_no_sync_and_are_told_once(bench: AdvisoryBench) -> None:
    odd = {
        "id": "X-1",
        "affected": [
            {"package": {"ecosystem": "PyPI", "name": "flask"}, "ranges": [{"type": ["ECOSYSTEM"], "events": []}]}
        ],
    }
    await bench.collection.insert_one(odd)
    bench.publish(FLASK)

    with structlog.testing.capture_logs() as logs:
        await bench.run()

    assert await bench.ratings(pypi("flask")) == AFFECTED
    assert [line["reason"] for line in logs if line.get("advisory") == "X-1"] == ["a range has no type"]


async def test_a_record_that_has_left_our_ecosystems_is_asked_for_before_it_goes_on_counting(
    bench: AdvisoryBench,
) -> None:
    bench.publish(FLASK)
    await bench.run()
    bench.publish(replace(FLASK, packages=(("Packagist", "flask"),)))

    run = await bench.run(reconcile="true")

    assert await bench.ratings(pypi("flask")) == {"1.0": (0.0, []), "2.0": (0.0, [])}
    assert run.metrics["withdrawn"] == 1
    assert "/PyPI/GHSA-1.json" in bench.targets()


async def test_a_record_that_the_archive_lacks_and_the_bucket_has_goes_on_counting(bench: AdvisoryBench) -> None:
    bench.publish(FLASK)
    await bench.run()
    left_out = replace(FLASK, packages=(("Packagist", "flask"),))
    bench.publish(left_out)
    record = bench.sync.bucket.record

    async def there(ecosystem: str, identifier: str) -> dict[str, Any]:
        return FLASK.record() if ecosystem == "PyPI" else await record(ecosystem, identifier)

    object.__setattr__(bench.sync.bucket, "record", there)
    await bench.run(reconcile="true")

    assert await bench.ratings(pypi("flask")) == AFFECTED


@pytest.mark.parametrize("homeless", [{}, {"withdrawn": "2026-08-03T00:00:00Z"}], ids=["alive", "withdrawn"])
async def test_records_without_an_ecosystem_come_from_the_list_of_everything_where_they_have_none(
    bench: AdvisoryBench, homeless: dict[str, Any]
) -> None:
    bench.publish(FLASK)
    bench.server.faults.add(Fault("/?EMPTY?/modified_id.csv", FaultKind.STATUS, times=None, status=404))
    await bench.run()
    bench.publish(replace(FLASK, packages=(), modified="2026-08-03T00:00:00Z", fields=homeless))

    await bench.run()

    assert await bench.ratings(pypi("flask")) == {"1.0": (0.0, []), "2.0": (0.0, [])}
    assert "/modified_id.csv" in bench.targets()


async def test_a_collection_that_was_lost_is_read_anew(bench: AdvisoryBench) -> None:
    bench.publish(FLASK)
    await bench.run()
    await bench.collection.delete_many({})

    await bench.run()

    assert (await bench.document("GHSA-1"))["id"] == "GHSA-1"


async def test_a_package_of_another_release_in_the_set_of_unrated_ones_is_passed_over(bench: AdvisoryBench) -> None:
    await bench.sync.redis.sadd(f"{STREAM}-unrated", b"\xff{", orjson.dumps({"purl": "x"}), orjson.dumps(["PyPI"]))
    bench.publish(FLASK)

    await bench.run()

    assert await bench.ratings(pypi("flask")) == AFFECTED
    assert await bench.sync.redis.scard(f"{STREAM}-unrated") == 0


async def test_the_advisories_of_a_batch_of_packages_are_read_at_once(
    bench: AdvisoryBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"package-{number}" for number in range(40)]
    await bench.sync.graph.write([write(npm(name), "1.0.0") for name in names])
    bench.publish(*(osv.Advisory(f"GHSA-{name}", (("npm", name),)) for name in names))
    asked: list[int] = []
    of_packages = type(bench.sync.store).of_packages

    async def counted(self: Any, refs: Any) -> Any:
        asked.append(len(refs))
        return await of_packages(self, refs)

    monkeypatch.setattr(type(bench.sync.store), "of_packages", counted)
    await bench.run()

    assert asked == [40]
    assert await bench.ratings(npm("package-7")) == {"1.0.0": (0.0, ["GHSA-package-7"])}
