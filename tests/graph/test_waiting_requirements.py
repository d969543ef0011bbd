"""This tests requirements of packages that are not in the graph yet, and the edges that messages ask for."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from securechain_ingest.errors import StoreError
from securechain_ingest.graph.store import Graph
from securechain_ingest.model import Parent
from tests.graph.builders import MONDAY, link, pypi, version, write
from tests.graph.conftest import CypherRunner

APP, SIX, ATTRS = pypi("app"), pypi("Six"), pypi("attrs")
APP_NEEDS_SIX = write(APP, version(APP, "1.0", {SIX: ">= 1"}))


async def test_an_absent_package_waits_without_a_node_that_clients_see(graph: Graph, read: CypherRunner) -> None:
    [result] = await graph.write([APP_NEEDS_SIX])
    assert [(ref.purl, ref.registry_name, ref.name) for ref in result.to_queue] == [("pkg:pypi/six", "Six", "six")]
    assert len(await read.nodes("PyPIPackage")) == 1
    assert await read.awaited() == [("pkg:pypi/six", "pkg:pypi/app@1.0", ">= 1")]
    rows = await read("MATCH (:Version)-[r]->() RETURN type(r) AS type")
    assert rows == []


async def test_an_absent_package_is_queued_once(graph: Graph) -> None:
    other = pypi("other")
    await graph.write([APP_NEEDS_SIX])
    [result] = await graph.write([write(other, version(other, "1.0", {SIX: "any"}))])
    assert result.to_queue == ()
    [repeated] = await graph.link([link(APP, repeat_follow=True)])
    assert [ref.purl for ref in repeated.to_queue] == ["pkg:pypi/six"]


async def test_an_absent_package_that_several_of_a_transaction_require_is_queued_once(graph: Graph) -> None:
    other = pypi("other")
    written = await graph.write([APP_NEEDS_SIX, write(other, version(other, "1.0", {SIX: "any"}))])
    linked = await graph.link([link(APP, repeat_follow=True), link(other, repeat_follow=True)])
    for results in (written, linked):
        assert [ref.purl for result in results for ref in result.to_queue] == ["pkg:pypi/six"]


async def test_without_following_nothing_is_queued_until_someone_follows(graph: Graph) -> None:
    unfollowed = write(APP, version(APP, "1.0", {SIX: ">= 1"}), follow=False)
    assert (await graph.write([unfollowed]))[0].to_queue == ()
    assert (await graph.link([link(APP, follow=False)]))[0].to_queue == ()
    assert [ref.purl for ref in (await graph.write([APP_NEEDS_SIX]))[0].to_queue] == ["pkg:pypi/six"]
    assert (await graph.link([link(APP)]))[0].to_queue == ()


async def test_writing_the_package_turns_what_waits_into_edges(graph: Graph, read: CypherRunner) -> None:
    await graph.write([APP_NEEDS_SIX])
    await graph.write([write(SIX, "1.0")])
    assert await read.edges("pkg:pypi/app@1.0") == {"pkg:pypi/six": (">= 1", "pkg:pypi/app")}
    assert await read.nodes("AbsentPackage") == {}


async def test_packages_of_one_batch_find_each_other(graph: Graph, read: CypherRunner) -> None:
    results = await graph.write([APP_NEEDS_SIX, write(SIX, version(SIX, "1.0", {APP: "any"}))])
    assert [result.purl for result in results] == ["pkg:pypi/app", "pkg:pypi/six"]
    assert await read.edges("pkg:pypi/app@1.0") == {"pkg:pypi/six": (">= 1", "pkg:pypi/app")}
    assert await read.edges("pkg:pypi/six@1.0") == {"pkg:pypi/app": ("any", "pkg:pypi/six")}
    assert await read.nodes("AbsentPackage") == {}


async def test_linking_a_known_package_settles_what_waits_for_it(graph: Graph, read: CypherRunner) -> None:
    await graph.write([write(APP, "1.0"), write(SIX, "1.0")])
    await read(
        "MATCH (v:Version {purl: 'pkg:pypi/app@1.0'}) "
        "CREATE (:AbsentPackage {purl: 'pkg:pypi/six'})-[:AWAITED_BY {constraints: '< 2'}]->(v)"
    )
    await graph.link([link(SIX)])
    assert await read.edges("pkg:pypi/app@1.0") == {"pkg:pypi/six": ("< 2", "pkg:pypi/app")}
    assert await read.nodes("AbsentPackage") == {}


async def test_a_package_that_its_registry_lacks_is_not_queued_before_its_time(
    graph: Graph, read: CypherRunner
) -> None:
    await graph.write([APP_NEEDS_SIX])
    await graph.mark_absent(SIX, datetime.now(UTC), "no such project")
    assert (await graph.link([link(APP, repeat_follow=True)]))[0].to_queue == ()
    [node] = (await read.nodes("AbsentPackage")).values()
    assert node["reason"] == "no such project"
    await graph.mark_absent(SIX, datetime.now(UTC) - timedelta(days=2), "no such project")
    assert [ref.purl for ref in (await graph.write([APP_NEEDS_SIX]))[0].to_queue] == ["pkg:pypi/six"]


async def lose_the_queue(read: CypherRunner, age: timedelta) -> None:
    await read("MATCH (a:AbsentPackage) SET a.queued_at = $at", at=datetime.now(UTC) - age)


@pytest.mark.parametrize("asks", ["require it", "settle", "require it once more"])
async def test_a_package_whose_message_was_lost_is_queued_again_after_its_time(
    graph: Graph, read: CypherRunner, asks: str
) -> None:
    other = pypi("other")
    requests = {
        "require it": lambda: graph.write([write(other, version(other, "1.0", {SIX: "any"}))]),
        "settle": lambda: graph.link([link(APP)]),
        "require it once more": lambda: graph.write([APP_NEEDS_SIX]),
    }
    await graph.write([APP_NEEDS_SIX])
    await lose_the_queue(read, timedelta(days=6, hours=23))
    [early] = await requests[asks]()
    assert early.to_queue == ()

    await lose_the_queue(read, timedelta(days=7, hours=1))
    [late] = await requests[asks]()
    [later] = await requests[asks]()

    assert [ref.purl for ref in late.to_queue] == ["pkg:pypi/six"]
    assert later.to_queue == ()


async def test_a_package_whose_message_was_lost_counts_as_awaited_after_its_time(
    graph: Graph, read: CypherRunner
) -> None:
    await graph.write([APP_NEEDS_SIX])
    await lose_the_queue(read, timedelta(days=6, hours=23))
    assert await graph.names.states(SIX.ecosystem, ["pkg:pypi/six"]) == {}
    await lose_the_queue(read, timedelta(days=7, hours=1))
    assert (await graph.names.states(SIX.ecosystem, ["pkg:pypi/six"]))["pkg:pypi/six"].is_awaited


async def test_what_was_never_to_be_followed_is_not_queued_however_long_it_waits(graph: Graph) -> None:
    await graph.write([write(APP, version(APP, "1.0", {SIX: ">= 1"}), follow=False)])
    assert await graph.names.states(SIX.ecosystem, ["pkg:pypi/six"]) == {}


async def test_linking_a_package_that_is_not_there_fails_and_keeps_what_waits_for_it(
    graph: Graph, read: CypherRunner
) -> None:
    await graph.write([APP_NEEDS_SIX])
    with pytest.raises(StoreError):
        await graph.link([link(SIX)])
    assert await read.awaited() == [("pkg:pypi/six", "pkg:pypi/app@1.0", ">= 1")]


async def test_a_missing_package_that_nobody_awaits_leaves_no_node(graph: Graph, read: CypherRunner) -> None:
    await graph.mark_absent(SIX, datetime.now(UTC), "no such project")
    assert await read.nodes("AbsentPackage") == {}


async def test_concurrent_writers_that_require_each_other_lose_no_edge(graph: Graph, read: CypherRunner) -> None:
    refs = [pypi(f"ring-{number}") for number in range(12)]

    async def put(position: int) -> None:
        ref = refs[position]
        needs = {other: "any" for other in refs if other is not ref}
        await graph.write([write(ref, version(ref, "1.0", needs), follow=False)])

    await asyncio.gather(*(put(position) for position in range(len(refs))))
    [row] = await read("MATCH (:Version)-[r:REQUIRE]->(:PyPIPackage) RETURN count(r) AS edges")
    assert row["edges"] == 12 * 11
    assert await read.awaited() == []
    assert len(await read.nodes("Version")) == 12


async def test_what_is_written_while_its_requirer_is_asked_for_again_is_queued_or_there(
    graph: Graph, read: CypherRunner
) -> None:
    for attempt in range(4):
        app, needed = pypi(f"app-{attempt}"), [pypi(f"needed-{attempt}-{number}") for number in range(40)]
        await graph.write([write(app, version(app, "1.0", dict.fromkeys(needed, "any")), follow=False)])

        _, [linked] = await asyncio.gather(
            graph.write([write(ref, "1.0") for ref in needed]), graph.link([link(app, repeat_follow=True)])
        )

        assert {ref.purl for ref in linked.to_queue} <= {ref.purl for ref in needed}
        assert len(await read.edges(f"{app.purl}@1.0")) == len(needed)


async def test_concurrent_writes_of_one_package_leave_one_package(graph: Graph, read: CypherRunner) -> None:
    await asyncio.gather(*(graph.write([write(SIX, *(f"{n}.0" for n in range(size)))]) for size in range(1, 9)))
    assert len(await read.nodes("PyPIPackage")) == 1
    numbers = {node["name"]: node["serial_number"] for node in (await read.nodes("Version")).values()}
    assert numbers == {f"{number}.0": number for number in range(8)}


async def test_a_file_gets_a_direct_edge_with_its_constraints_byte_for_byte(graph: Graph, read: CypherRunner) -> None:
    [file] = await read(
        "CREATE (f:RequirementFile {manager: 'PyPI', moment: localdatetime('2020-01-01T00:00:00')}) "
        "RETURN elementId(f) AS id"
    )
    parent = Parent(file["id"], "==  1.0 ")
    [result] = await graph.write([write(SIX, "1.0", parents=(parent,))])
    assert result.lost_parents == ()

    async def held() -> dict[str, object]:
        [row] = await read(
            "MATCH (f:RequirementFile)-[r:REQUIRE]->(p:PyPIPackage) "
            "RETURN p.purl AS purl, properties(r) AS properties, f.moment AS moment"
        )
        return row

    row = await held()
    assert (row["purl"], row["properties"]) == ("pkg:pypi/six", {"constraints": "==  1.0 "})
    moment = row["moment"].to_native()  # type: ignore[attr-defined]
    assert moment.tzinfo is None
    assert moment.year > 2020
    await graph.link([link(SIX, parent)])
    assert await held() == row


async def test_two_files_that_need_one_package_get_an_edge_each(graph: Graph, read: CypherRunner) -> None:
    files = await read("UNWIND [1, 2] AS n CREATE (f:RequirementFile {name: toString(n)}) RETURN elementId(f) AS id")
    first, second = (Parent(row["id"], "any") for row in files)
    await graph.write([write(SIX, "1.0", parents=(first,))])
    await graph.link([link(SIX, second)])
    assert len(await read("MATCH (:RequirementFile)-[r:REQUIRE]->() RETURN r")) == 2


async def test_a_version_as_parent_gets_an_edge_with_the_purl_of_its_package(graph: Graph, read: CypherRunner) -> None:
    await graph.write([write(APP, "1.0")])
    [app] = await read.nodes("Version")
    await graph.write([write(SIX, "1.0", parents=(Parent(app, "< 2"),))])
    assert await read.edges("pkg:pypi/app@1.0") == {"pkg:pypi/six": ("< 2", "pkg:pypi/app")}


async def test_parents_that_are_gone_are_reported_and_the_package_is_written(graph: Graph, read: CypherRunner) -> None:
    [stranger] = await read("CREATE (p:PyPIPackage {name: 'x'}) RETURN elementId(p) AS id")
    lost = ("", "#9999:1", "4:00000000-0000-0000-0000-000000000000:7", "abc123", str(stranger["id"]))
    parents = tuple(Parent(element_id, "any") for element_id in lost)
    [result] = await graph.write([write(SIX, "1.0", parents=parents)])
    assert set(result.lost_parents) == set(lost)
    assert (await graph.link([link(SIX, *parents)]))[0].lost_parents == result.lost_parents
    assert len(await read.nodes("Version")) == 1


async def test_a_check_without_news_moves_the_moment(graph: Graph) -> None:
    await graph.write([write(SIX, "1.0")])
    await graph.link([link(SIX)])
    assert (await graph.known([SIX]))["pkg:pypi/six"].checked_at == MONDAY
    await graph.link([link(SIX, checked_at=MONDAY + timedelta(days=1))])
    assert (await graph.known([SIX]))["pkg:pypi/six"].checked_at == MONDAY + timedelta(days=1)
