"""This tests writing packages: identity, versions and requirements as clients read them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from securechain_ingest.errors import Malformed
from securechain_ingest.graph.store import Graph
from securechain_ingest.model import ImportNames, Rating
from tests.graph.builders import MONDAY, link, npm, pypi, version, write
from tests.graph.conftest import CypherRunner


async def test_a_package_is_found_by_its_lower_case_name_with_all_that_clients_read(
    graph: Graph, read: CypherRunner
) -> None:
    flask = pypi("Flask")
    rating = Rating(7.5, 7.5, ("GHSA-m2qf-hxjv-5gpq",))
    await graph.write(
        [write(flask, "2.0.0", ratings={"2.0.0": rating}, names=ImportNames(("flask",)), properties={"group_id": "x"})]
    )

    [row] = await read(
        "MATCH (p:PyPIPackage {name: 'flask'})-[:HAVE]->(v:Version) "
        "RETURN labels(p) AS labels, properties(p) AS p, properties(v) AS v, p.moment IS NOT NULL AS checked"
    )
    assert row["labels"] == ["PyPIPackage"]
    assert row["p"]["purl"] == "pkg:pypi/flask"
    assert row["p"]["registry_name"] == "Flask"
    assert row["p"]["import_names"] == ["flask"]
    assert row["p"]["group_id"] == "x"
    assert row["p"]["moment"].to_native().replace(tzinfo=None) == MONDAY.replace(tzinfo=None)
    assert row["v"] == {
        "name": "2.0.0",
        "purl": "pkg:pypi/flask@2.0.0",
        "serial_number": 0,
        "mean": 7.5,
        "weighted_mean": 7.5,
        "vulnerabilities": ["GHSA-m2qf-hxjv-5gpq"],
        "release_date": "2021-05-11T14:05:36Z",
    }


async def test_a_vendor_and_a_repository_that_a_write_does_not_know_stay_or_are_not_available(
    graph: Graph, read: CypherRunner
) -> None:
    six = pypi("six")

    async def held() -> tuple[object, object]:
        [node] = (await read.nodes("PyPIPackage")).values()
        return node["vendor"], node["repository_url"]

    unknown = write(six, "1.0")
    unknown = replace(unknown, package=replace(unknown.package, vendor=None, repository_url=None))
    known = replace(
        unknown, package=replace(unknown.package, vendor="ben", repository_url="https://github.com/ben/six")
    )

    await graph.write([unknown])
    assert await held() == ("n/a", "n/a")
    await graph.write([known])
    await graph.write([unknown])
    assert await held() == ("ben", "https://github.com/ben/six")


async def test_a_version_without_advisories_has_zeroes_and_an_empty_list(graph: Graph, read: CypherRunner) -> None:
    await graph.write([write(pypi("six"), "1.0")])
    [held] = (await read.nodes("Version")).values()
    assert (held["mean"], held["weighted_mean"], held["vulnerabilities"]) == (0.0, 0.0, [])


async def test_writing_twice_changes_nothing(graph: Graph, read: CypherRunner) -> None:
    six, attrs = pypi("six"), pypi("attrs")
    snapshot = write(six, version(six, "1.0", {attrs: ">= 1", six: "any"}), version(six, "2.0", yanked=True))

    async def everything() -> object:
        return [await read.nodes(label) for label in ("PyPIPackage", "Version", "AbsentPackage")], await read(
            "MATCH (a)-[r]->(b) RETURN elementId(r) AS id, type(r) AS type, properties(r) AS properties ORDER BY id"
        )

    await graph.write([snapshot])
    before = await everything()
    [again] = await graph.write([snapshot])
    assert await everything() == before
    assert again.to_queue == ()


async def test_serial_numbers_are_dense_and_follow_the_ecosystems_order(graph: Graph, read: CypherRunner) -> None:
    six = pypi("six")
    await graph.write([write(six, "1.0", "1.10", "nonsense")])
    ids = {properties["name"]: element_id for element_id, properties in (await read.nodes("Version")).items()}
    await graph.write([write(six, "1.0", "1.9", "1.10", "nonsense")])

    nodes = await read.nodes("Version")
    assert {node["name"]: node["serial_number"] for node in nodes.values()} == {
        "nonsense": -1,
        "1.0": 0,
        "1.9": 1,
        "1.10": 2,
    }
    assert ids.items() <= {properties["name"]: element_id for element_id, properties in nodes.items()}.items()


async def test_a_version_that_left_the_registry_stays_and_is_ranked_with_the_others(
    graph: Graph, read: CypherRunner
) -> None:
    six = pypi("six")
    await graph.write([write(six, "1.0", "2.0")])
    await graph.write([write(six, "2.0", "3.0")])
    assert {node["name"]: node["serial_number"] for node in (await read.nodes("Version")).values()} == {
        "1.0": 0,
        "2.0": 1,
        "3.0": 2,
    }


async def test_a_yanked_mark_comes_and_goes(graph: Graph, read: CypherRunner) -> None:
    six = pypi("six")
    for yanked in (True, False):
        await graph.write([write(six, version(six, "1.0", yanked=yanked, deprecated=yanked))])
        [held] = (await read.nodes("Version")).values()
        assert ("yanked" in held, "deprecated" in held) == (yanked, yanked)


async def test_new_ratings_reach_old_versions_and_others_keep_theirs(graph: Graph, read: CypherRunner) -> None:
    six = pypi("six")
    await graph.write([write(six, "1.0", "2.0", ratings={"1.0": Rating(5.0, 5.0, ("A",))})])
    await graph.write([write(six, "1.0", "2.0", ratings={"2.0": Rating(9.0, 9.0, ("B",))})])
    held = {node["name"]: node["vulnerabilities"] for node in (await read.nodes("Version")).values()}
    assert held == {"1.0": ["A"], "2.0": ["B"]}


async def test_a_check_without_news_refreshes_the_ratings(graph: Graph, read: CypherRunner) -> None:
    six = pypi("six")
    await graph.write([write(six, "1.0", "2.0", "3.0", ratings={"1.0": Rating(5.0, 5.0, ("A",))})])
    await graph.link([link(six, checked_at=MONDAY, ratings={"2.0": Rating(9.0, 9.5, ("B", "C"))})])
    held = {
        node["name"]: (node["mean"], node["weighted_mean"], node["vulnerabilities"])
        for node in (await read.nodes("Version")).values()
    }
    assert held == {"1.0": (0.0, 0.0, []), "2.0": (9.0, 9.5, ["B", "C"]), "3.0": (0.0, 0.0, [])}
    await graph.link([link(six)])
    assert sorted(node["mean"] for node in (await read.nodes("Version")).values()) == [0.0, 0.0, 9.0]


async def test_the_package_that_owns_a_lower_case_name_is_found_by_it(graph: Graph) -> None:
    await graph.write([write(npm("JSONStream"), "1.0.0")])
    found = await graph.namesake(npm("jsonstream"))
    assert found is not None
    assert (found.registry_name, found.purl) == ("JSONStream", "pkg:npm/JSONStream")
    assert await graph.namesake(npm("other")) is None
    await graph.write([write(npm("jsonstream"), "1.0.0")])
    assert await graph.namesake(npm("jsonstream")) is None


async def test_unknown_import_names_leave_what_the_graph_has(graph: Graph, read: CypherRunner) -> None:
    six = pypi("six")
    await graph.write([write(six, "1.0", names=None)])
    [held] = (await read.nodes("PyPIPackage")).values()
    assert held["import_names"] == []
    await graph.write([write(six, "1.0", names=ImportNames(("six",), "the archive is damaged"))])
    await graph.write([write(six, "1.0", names=None)])
    [held] = (await read.nodes("PyPIPackage")).values()
    assert (held["import_names"], held["import_names_error"]) == (["six"], "the archive is damaged")
    await graph.write([write(six, "1.0", names=ImportNames(("six", "six.moves")))])
    [held] = (await read.nodes("PyPIPackage")).values()
    assert (held["import_names"], "import_names_error" in held) == (["six", "six.moves"], False)


async def test_a_requirement_is_one_edge_with_the_purl_of_the_parent_package(graph: Graph, read: CypherRunner) -> None:
    app, six = pypi("app"), pypi("six")
    await graph.write([write(six, "1.0"), write(app, version(app, "1.0", {six: ">= 1.0", app: "any"}))])
    assert await read.edges("pkg:pypi/app@1.0") == {
        "pkg:pypi/six": (">= 1.0", "pkg:pypi/app"),
        "pkg:pypi/app": ("any", "pkg:pypi/app"),
    }
    assert await read.awaited() == []


async def test_a_repeated_answer_replaces_the_requirements(graph: Graph, read: CypherRunner) -> None:
    app, six, attrs = pypi("app"), pypi("six"), pypi("attrs")
    gone, absent = pypi("gone"), pypi("absent")
    await graph.write([write(six, "1.0"), write(attrs, "1.0")])
    await graph.write([write(app, version(app, "1.0", {six: "any", attrs: ">= 1", gone: "any", absent: "any"}))])
    await graph.write([write(app, version(app, "1.0", {attrs: ">= 2", absent: ">= 3"}))])
    assert await read.edges("pkg:pypi/app@1.0") == {"pkg:pypi/attrs": (">= 2", "pkg:pypi/app")}
    assert await read.awaited() == [("pkg:pypi/absent", "pkg:pypi/app@1.0", ">= 3")]


async def test_unknown_requirements_leave_the_edges(graph: Graph, read: CypherRunner) -> None:
    app, six, absent = pypi("app"), pypi("six"), pypi("absent")
    await graph.write([write(six, "1.0"), write(app, version(app, "1.0", {six: "any", absent: "any"}))])
    await graph.write([write(app, version(app, "1.0", unknown=True))])
    assert await read.edges("pkg:pypi/app@1.0") == {"pkg:pypi/six": ("any", "pkg:pypi/app")}
    assert await read.awaited() == [("pkg:pypi/absent", "pkg:pypi/app@1.0", "any")]


async def test_packages_are_never_linked_across_ecosystems(graph: Graph, read: CypherRunner) -> None:
    app, left_npm, left_pypi = npm("app"), npm("left"), pypi("left")
    await graph.write([write(left_pypi, "1.0"), write(app, version(app, "1.0.0", {left_npm: "^1"}))])
    assert await read.edges("pkg:npm/app@1.0.0") == {}
    assert await read.awaited() == [("pkg:npm/left", "pkg:npm/app@1.0.0", "^1")]


async def test_rows_beyond_one_portion_are_written_in_the_same_transaction(graph: Graph, read: CypherRunner) -> None:
    app = npm("app")
    targets = [npm(f"target-{number}") for number in range(7)]
    await graph.write([write(target, "1.0.0") for target in targets])
    versions = [version(app, f"1.{number}.0", dict.fromkeys(targets, "^1")) for number in range(150)]
    await graph.write([write(app, *versions)])
    [row] = await read("MATCH (:NPMPackage {name: 'app'})-[:HAVE]->(v)-[r:REQUIRE]->() RETURN count(r) AS edges")
    assert row["edges"] == 150 * 7


async def test_a_package_without_versions_is_refused_and_nothing_is_written(graph: Graph, read: CypherRunner) -> None:
    with pytest.raises(Malformed):
        await graph.write([write(pypi("six"), "1.0"), write(pypi("empty"))])
    assert await read.nodes("PyPIPackage") == {}


async def test_known_packages_are_told_with_versions_and_validator(graph: Graph) -> None:
    six = pypi("six")
    await graph.write([write(six, "1.0", "2.0")])
    known = await graph.known([six, pypi("attrs"), npm("six")])
    assert set(known) == {"pkg:pypi/six"}
    assert known["pkg:pypi/six"].versions == {"1.0", "2.0"}
    assert known["pkg:pypi/six"].checked_at == MONDAY
    assert known["pkg:pypi/six"].validator == '"etag"'


async def test_stale_packages_come_oldest_check_first(graph: Graph) -> None:
    for days, name in enumerate(("old", "older", "fresh")):
        checked_at = MONDAY - timedelta(days=days) if name != "fresh" else MONDAY + timedelta(days=9)
        await graph.write([write(pypi(name), "1.0", checked_at=checked_at)])
    stale = await graph.due.stale(pypi("old").ecosystem, MONDAY + timedelta(days=1), 10)
    assert [ref.registry_name for ref in stale] == ["older", "old"]
    await graph.mark_absent(pypi("older"), MONDAY + timedelta(days=2), "gone")
    assert [ref.name for ref in await graph.due.stale(pypi("old").ecosystem, MONDAY + timedelta(days=1), 10)] == ["old"]


async def test_a_package_can_be_viewed_with_present_and_awaited_requirements(graph: Graph) -> None:
    app, six, attrs = pypi("app"), pypi("six"), pypi("attrs")
    await graph.write([write(six, "1.0"), write(app, "10.0", version(app, "9.0", {six: "any", attrs: ">= 1"}))])
    view = await graph.reader.package(app.ecosystem, app.purl)
    assert view is not None
    assert [(each.name, each.serial_number) for each in view.versions] == [("9.0", 0), ("10.0", 1)]
    requirements = await graph.reader.requirements(view.versions[0].purl)
    assert [(each.purl, each.present) for each in requirements] == [
        ("pkg:pypi/attrs", False),
        ("pkg:pypi/six", True),
    ]
    assert await graph.reader.package(attrs.ecosystem, attrs.purl) is None
    assert await graph.counts([app.ecosystem]) == {"pypi": 2, "versions": 3, "absent_packages": 1}


async def test_the_versions_that_require_a_package_are_counted_and_some_named(graph: Graph) -> None:
    app, six = pypi("app"), pypi("six")
    apps = [version(app, f"{number}.0", {six: "any"}) for number in range(12)]
    await graph.write([write(six, "1.0"), write(app, *apps)])
    found = await graph.reader.required_by(six.ecosystem, six.purl, 10)
    assert found.count == 12
    assert len(set(found.first)) == 10
    assert set(found.first) <= {each.purl for each in apps}


async def test_of_an_advisorys_packages_those_are_found_that_have_an_affected_version(graph: Graph) -> None:
    app, six = pypi("app"), pypi("six")
    rated = {"1.0": Rating(5.0, 5.0, ("GHSA-a", "PYSEC-a"))}
    await graph.write([write(app, "1.0", ratings=rated), write(six, "1.0")])
    found = await graph.reader.with_advisory(
        app.ecosystem, [app.purl, six.purl, "pkg:pypi/other"], ["PYSEC-a", "CVE-1"]
    )
    assert found == [app.purl]


async def test_a_licence_stays_where_a_later_reading_says_none(graph: Graph) -> None:
    six = pypi("six")
    first = write(six, "1.0")
    await graph.write([replace(first, package=replace(first.package, license="MIT"))])
    await graph.write([first])
    view = await graph.reader.package(six.ecosystem, six.purl)
    assert view is not None
    assert view.license == "MIT"
