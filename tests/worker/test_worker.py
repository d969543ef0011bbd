"""This tests what the worker makes of one message, of one that comes again and of several on one package at once."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from securechain_ingest.errors import ArchiveRefused, Malformed, NotFound, PoisonMessage, Unavailable
from securechain_ingest.graph.statements import COUNT
from securechain_ingest.model import PackageRef
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.messages import Message
from securechain_ingest.worker.request import Request
from tests.graph.builders import PYPI, npm
from tests.queue.running import entry_of
from tests.worker.made import Bench, package


async def count(bench: Bench, what: str) -> int:
    [row] = await bench.read(COUNT[what].replace("PACKAGE", "NPMPackage"))
    return int(row["count"])


async def test_a_package_is_fetched_once_and_then_only_for_a_refresh(bench: Bench) -> None:
    bench.registry.has(package("app", "1.0.0", "1.1.0"))
    assert (await bench.serve("app")).versions == 2
    assert (await bench.serve("app")).versions == 0
    assert bench.registry.names_fetched == ["app"]
    before = (await bench.node("app"))["moment"]
    await bench.serve("app", refresh=True)
    assert bench.registry.names_fetched == ["app", "app"]
    assert (await bench.node("app"))["moment"] > before
    assert bench.registry.archives_read == 1, "it was unchanged"


async def test_another_ecosystem_than_this_release_serves_is_no_retry(bench: Bench) -> None:
    with pytest.raises(PoisonMessage, match=r"PyPIPackage is not served.*NPMPackage") as caught:
        await bench.worker.handle(entry_of(Message(PYPI.label, "six")))
    assert caught.value.kind == "unsupported_type"


async def test_unknown_requirements_are_asked_for_as_deep_as_the_message_or_the_setting_says(bench: Bench) -> None:
    for number in range(5):
        bench.registry.has(package(f"app{number}", requires={f"lib{number}": "^1.0.0"}))
    assert await bench.follow_ups("app0") == {"lib0": None}
    bench.depth = 2
    assert await bench.follow_ups("app1") == {"lib1": 1}
    assert await bench.follow_ups("app2", depth=7) == {"lib2": 6}
    assert await bench.follow_ups("app3", depth=0) == {}
    bench.depth = 0
    assert await bench.follow_ups("app4") == {}
    assert await bench.follow_ups("app3", depth=1) == {"lib3": 0}, "left out at first, wanted now"


async def test_a_message_that_comes_again_names_again_what_was_never_queued(bench: Bench) -> None:
    bench.registry.has(package("app", requires={"lib": "any"}))
    assert await bench.follow_ups("app") == {"lib": None}
    assert await bench.follow_ups("app") == {}, "another message: it is queued"
    assert await bench.follow_ups("app", redelivered=True) == {"lib": None}

    bench.registry.has(package("app", requires={"lib": "any"}, validator='"next"'))
    assert await bench.follow_ups("app", refresh=True, redelivered=True) == {"lib": None}, "also when it was written"
    assert await bench.follow_ups("app", refresh=True) == {}


async def test_requests_for_one_package_share_a_fetch_and_each_gets_its_edge(bench: Bench) -> None:
    bench.registry.has(package("app"))
    files = [await bench.requirement_file() for _ in range(3)]

    def ask(number: int) -> Any:
        return lambda: bench.serve("app", parent_id=files[number], constraints=f"^{number}")

    await bench.together(ask(0), ask(1), ask(2))
    assert bench.registry.names_fetched == ["app"]
    assert [await bench.edges_of(each) for each in files] == [{"pkg:npm/app": f"^{number}"} for number in range(3)]


async def test_requests_that_share_a_fetch_share_its_failure(bench: Bench) -> None:
    errors = await bench.together(*[lambda: bench.serve("missing")] * 3)
    assert [type(error) for error in errors] == [NotFound] * 3
    assert bench.registry.names_fetched == ["missing"]
    bench.registry.has(package("missing"))
    assert (await bench.serve("missing")).versions == 1, "whoever comes later asks anew"


async def test_different_packages_wait_for_nobody(bench: Bench) -> None:
    bench.registry.has(package("a"), package("b"))
    await bench.together(lambda: bench.serve("a"), lambda: bench.serve("b"))
    assert sorted(bench.registry.names_fetched) == ["a", "b"]


async def test_what_a_feed_announced_is_answered_by_a_fetch_that_knew_of_it_alone(bench: Bench) -> None:
    bench.registry.has(package("app"))

    def ask(at_least: str | None) -> Any:
        return lambda: bench.serve("app", refresh=True, internal=True, at_least=at_least)

    await bench.together(ask(None), ask("7"), ask("7"), ask(None), ask("8"))
    asked = bench.registry.fetched
    assert asked[0] == ("app", None)
    assert sorted(str(at_least) for _, at_least in asked[1:] if at_least) == ["7", "8"]


async def test_that_a_package_is_gone_is_not_answered_by_a_fetch_before_it(bench: Bench) -> None:
    bench.registry.has(package("app"))
    await bench.serve("app")

    async def gone() -> None:
        await bench.serve("app", refresh=True, internal=True, removed=True)

    async def refresh_and_lose_it() -> None:
        await bench.serve("app", refresh=True, internal=True)
        bench.registry.packages.clear()

    await bench.together(refresh_and_lose_it, gone)
    assert (await bench.node("app")).get("removed_at") is not None


async def test_an_absent_package_is_no_failure_of_the_daemon_s_own_message(bench: Bench) -> None:
    bench.registry.has(package("app", requires={"lib": "any"}))
    await bench.serve("app")
    assert (await bench.serve("lib", internal=True)).queue == ()
    [absent] = (await bench.read.nodes("AbsentPackage")).values()
    assert absent["reason"] == "pkg:npm/lib does not exist"
    assert absent.get("tried_at") is not None
    assert absent.get("queued_at") is None
    with pytest.raises(NotFound):
        await bench.serve("lib")
    assert set(await bench.nodes()) == {"pkg:npm/app"}


async def test_a_known_package_that_its_registry_lacks_still_gets_its_edge(bench: Bench) -> None:
    bench.registry.has(package("app"))
    await bench.serve("app")
    bench.registry.packages.clear()
    file = await bench.requirement_file()
    with pytest.raises(NotFound):
        await bench.serve("app", refresh=True, parent_id=file, constraints="^1")
    assert await bench.edges_of(file) == {"pkg:npm/app": "^1"}
    assert (await bench.node("app")).get("tried_at") is not None
    assert (await bench.node("app")).get("removed_at") is None, "nobody has said that it is gone for good"


async def test_a_name_in_another_case_means_the_lower_case_package(bench: Bench) -> None:
    bench.registry.has(package("app"))
    file = await bench.requirement_file()
    await bench.serve("APP", parent_id=file)
    assert await bench.edges_of(file) == {"pkg:npm/app": "any"}
    assert bench.registry.names_fetched == ["APP", "app"]


async def test_a_lower_case_name_means_the_package_that_clients_find_under_it(bench: Bench) -> None:
    bench.registry.has(package("JSONStream"))
    await bench.serve("JSONStream")
    file = await bench.requirement_file()
    await bench.serve("jsonstream", parent_id=file)
    assert await bench.edges_of(file) == {"pkg:npm/JSONStream": "any"}


async def test_a_lower_case_name_means_a_near_one_that_differs_in_case_alone(bench: Bench) -> None:
    bench.registry.has(package("JSONStream"))
    bench.registry.near = {"jsonstream": ("jsonstreams", "JSONStream")}
    await bench.serve("jsonstream")
    assert set(await bench.nodes()) == {"pkg:npm/JSONStream"}


async def test_other_near_names_are_told_five_at_most(bench: Bench) -> None:
    bench.registry.near = {"expres": tuple(f"express{number}" for number in range(9))}
    near = ", ".join(f"express{number}" for number in range(5))
    with pytest.raises(NotFound, match=rf"expres does not exist; near names: {near}$"):
        await bench.serve("expres")


async def test_near_names_that_cannot_be_had_change_nothing_about_the_answer(bench: Bench) -> None:
    bench.registry.near_error = Unavailable("the search is away", url="http://localhost/")
    with capture_logs() as logs, pytest.raises(NotFound, match=r"expres does not exist$"):
        await bench.serve("expres")
    assert [line["reason"] for line in logs if line["event"] == "near_names_failed"] == ["the search is away"]


async def test_an_exact_name_and_the_daemon_s_own_mean_no_other_package(bench: Bench) -> None:
    bench.registry.has(package("app"))
    await bench.serve("APP", internal=True)
    with pytest.raises(NotFound):
        await bench.worker.ingest(bench.registry, Request(npm("APP"), exact=True))
    assert bench.registry.names_fetched == ["APP", "APP"]


async def test_a_lost_parent_is_told_and_costs_only_its_edge(bench: Bench) -> None:
    bench.registry.has(package("app"))
    with capture_logs() as logs:
        await bench.serve("app", parent_id="#1:999999")
        await bench.serve("app", parent_id="#1:999999")
    lost = [line["parent_id"] for line in logs if line["event"] == "parent_not_found"]
    assert lost == ["#1:999999", "#1:999999"]
    assert set(await bench.nodes()) == {"pkg:npm/app"}


async def test_an_archive_that_is_away_has_its_message_tried_again_before_the_package_goes_on(bench: Bench) -> None:
    bench.registry.has(package("app"))
    bench.registry.archive_error = Unavailable("the archive is away", url="http://localhost/")
    with pytest.raises(Unavailable):
        await bench.serve("app")
    assert await bench.nodes() == {}
    assert (await bench.serve("app", attempts=1)).versions == 1
    node = await bench.node("app")
    assert (node["import_names"], node["import_names_error"]) == (["app"], "the archive is away")


async def test_an_archive_that_cannot_be_read_at_all_is_no_reason_to_try_the_message_again(bench: Bench) -> None:
    bench.registry.has(package("app"))
    bench.registry.archive_error = ArchiveRefused("the archive is damaged", reason="damaged")
    assert (await bench.serve("app")).versions == 1
    assert (await bench.node("app"))["import_names_error"] == "the archive is damaged"


async def test_a_document_that_cannot_be_read_costs_nothing_that_is_known(bench: Bench) -> None:
    bench.registry.has(package("app"))
    await bench.serve("app")
    before = await bench.nodes()

    async def fetch(ref: PackageRef, *_: object, **__: object) -> Any:
        raise Malformed("no document", url=ref.purl)

    bench.registry.fetch = fetch  # type: ignore[method-assign]
    with pytest.raises(Malformed):
        await bench.serve("app", refresh=True)
    assert await bench.nodes() == before


async def test_a_repository_that_only_the_archive_names_is_taken_with_its_owner(bench: Bench) -> None:
    bench.registry.repository = "https://github.com/owner/app"
    bench.registry.has(package("app", repository_url=None, vendor=None), package("told"))
    await bench.serve("app")
    await bench.serve("told")
    node = await bench.node("app")
    assert (node["repository_url"], node["vendor"]) == ("https://github.com/owner/app", "owner")
    assert (await bench.node("told"))["repository_url"] == "n/a", "the document's word goes before"
    bench.registry.archive_error = ArchiveRefused("the archive is damaged", reason="damaged")
    bench.registry.has(package("app", "1.0.0", "1.1.0", repository_url=None, vendor=None, validator='"next"'))
    await bench.serve("app", refresh=True)
    node = await bench.node("app")
    assert node["import_names_error"] == "the archive is damaged"
    assert (node["repository_url"], node["vendor"]) == ("https://github.com/owner/app", "owner"), "as known before"


async def test_advisories_are_taken_to_the_versions_also_of_an_unchanged_package(bench: Bench) -> None:
    bench.registry.has(package("app", "1.0.0", "2.0.0"))
    await bench.serve("app")
    await bench.stores.advisories.sibling("vulnerabilities").insert_one(
        {
            "id": "GHSA-made",
            "details": "",
            "affected": [{"package": {"ecosystem": "npm", "name": "app"}, "versions": ["1.0.0"]}],
            "severity": [{"type": "CVSS_V3", "base_score": 8.0}],
        }
    )
    await bench.serve("app", refresh=True)
    versions = {node["name"]: node["vulnerabilities"] for node in (await bench.read.nodes("Version")).values()}
    assert versions == {"1.0.0": ["GHSA-made"], "2.0.0": []}
    assert await count(bench, "versions") == 2


async def test_a_refresh_is_not_answered_by_a_visit_that_asks_no_registry(bench: Bench) -> None:
    bench.registry.has(package("app"))
    await bench.serve("app")
    await bench.together(lambda: bench.serve("app"), lambda: bench.serve("app", refresh=True))
    assert bench.registry.names_fetched == ["app", "app"]


async def test_a_refresh_is_not_answered_by_the_completion_of_a_first_reading(bench: Bench) -> None:
    bench.registry.has(package("app", "1.0.0"))
    await bench.serve("app", first=True, lane=Lane.LISTED)
    bench.registry.has(package("app", "1.0.0", "2.0.0", validator='"next"'))
    await bench.together(
        lambda: bench.serve("app", internal=True, lane=Lane.COMPLETED),
        lambda: bench.serve("app", refresh=True, internal=True),
    )
    [row] = await bench.read("MATCH (:NPMPackage {name: 'app'})-[:HAVE]->(v) RETURN count(v) AS versions")
    assert row["versions"] == 2
