"""What a registry no longer has stays in the graph, marked, until it comes back (contract, section 1.6)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from securechain_ingest.graph.dialect import aware
from securechain_ingest.graph.store import Graph
from securechain_ingest.model import PackageWrite
from tests.graph.builders import MONDAY, link, pypi, version, write
from tests.graph.conftest import CypherRunner

SIX = pypi("six")
TUESDAY = MONDAY + timedelta(days=1)


def revised(written: PackageWrite, **facts: Any) -> PackageWrite:
    return replace(written, package=replace(written.package, **facts))


async def package(read: CypherRunner) -> dict[str, Any]:
    [node] = (await read.nodes("PyPIPackage")).values()
    return dict(node)


async def removed_versions(read: CypherRunner) -> set[str]:
    nodes = (await read.nodes("Version")).values()
    assert all(node.get("removed") in (None, True) for node in nodes)
    return {str(node["name"]) for node in nodes if node.get("removed")}


async def test_a_removed_package_keeps_its_node_and_revision_until_it_comes_back(
    graph: Graph, read: CypherRunner
) -> None:
    await graph.write([revised(write(SIX, "1.0"), revision="5")])
    await graph.mark_absent(SIX, MONDAY, "gone")
    assert (await package(read)).get("removed_at") is None
    await graph.mark_absent(SIX, MONDAY, "gone", removed=True)
    await graph.mark_absent(SIX, TUESDAY, "gone", removed=True)
    held = await package(read)
    assert (aware(held["removed_at"]), held["revision"]) == (MONDAY, "5")
    await graph.write([revised(write(SIX, "1.0"), revision="6")])
    held = await package(read)
    assert (held.get("removed_at"), held["revision"]) == (None, "6")


async def test_a_confirmed_package_is_there_again_and_keeps_or_moves_its_revision(
    graph: Graph, read: CypherRunner
) -> None:
    await graph.write([revised(write(SIX, "1.0"), revision="5")])
    await graph.mark_absent(SIX, MONDAY, "gone", removed=True)
    await graph.link([link(SIX, checked_at=TUESDAY)])
    held = await package(read)
    assert (held.get("removed_at"), held["revision"]) == (None, "5")
    await graph.link([replace(link(SIX, checked_at=TUESDAY), revision="6")])
    assert (await package(read))["revision"] == "6"


async def test_a_version_that_is_gone_is_marked_until_it_comes_back(graph: Graph, read: CypherRunner) -> None:
    await graph.write([write(SIX, "1.0", "2.0")])
    before = set(await read.nodes("Version"))
    await graph.write([write(SIX, "2.0", gone=("1.0",))])
    assert await removed_versions(read) == {"1.0"}
    [known] = (await graph.known([SIX])).values()
    assert (sorted(known.versions), sorted(known.removed)) == (["1.0", "2.0"], ["1.0"])
    await graph.write([write(SIX, "2.0", "3.0")])
    assert await removed_versions(read) == {"1.0"}
    await graph.write([write(SIX, "1.0", "2.0", "3.0")])
    assert await removed_versions(read) == set()
    assert before <= set(await read.nodes("Version"))


async def test_a_document_that_lacks_a_version_marks_nothing_and_is_asked_for_again(
    graph: Graph, read: CypherRunner
) -> None:
    [first] = await graph.write([write(SIX, "1.0", "2.0", "3.0")])
    [lacking] = await graph.write([write(SIX, "2.0", gone=("3.0",))])
    assert (first.unconfirmed, lacking.unconfirmed) == (False, True)
    assert await removed_versions(read) == {"3.0"}
    assert (await package(read)).get("validator") is None
    [confirmed] = await graph.write([write(SIX, "2.0", gone=("1.0",))])
    assert not confirmed.unconfirmed
    assert (await package(read))["validator"] == '"etag"'


async def test_a_document_that_may_be_incomplete_lacks_nothing(graph: Graph, read: CypherRunner) -> None:
    await graph.write([write(SIX, "1.0", "2.0")])
    [result] = await graph.write([revised(write(SIX, "2.0"), lists_all_versions=False)])
    assert not result.unconfirmed
    assert (await removed_versions(read), (await package(read))["validator"]) == (set(), '"etag"')


async def listed(graph: Graph) -> str | None:
    return (await graph.names.states(SIX.ecosystem, [SIX.purl]))[SIX.purl].listed


async def test_what_the_list_said_when_the_registry_was_asked_holds_while_the_package_stays_as_it_is(
    graph: Graph,
) -> None:
    five, six = (revised(write(SIX, "1.0"), revision=revision) for revision in ("5", "6"))
    await graph.write([five])
    assert await listed(graph) is None
    await graph.link([replace(link(SIX, checked_at=TUESDAY), listed="7")])
    for repeat in (graph.link([link(SIX, checked_at=TUESDAY)]), graph.link([link(SIX)]), graph.write([five])):
        await repeat
        assert await listed(graph) == "7"
    await graph.write([six])
    assert await listed(graph) is None
    await graph.write([replace(six, listed="8")])
    assert await listed(graph) == "8"


async def test_a_package_that_is_marked_as_gone_is_news_when_the_list_has_it_again(graph: Graph) -> None:
    await graph.write([replace(write(SIX, "1.0"), listed="7")])
    await graph.mark_absent(SIX, MONDAY, "gone")
    assert await listed(graph) == "7"
    await graph.mark_absent(SIX, MONDAY, "gone", removed=True, listed="7")
    assert await listed(graph) is None
    await graph.mark_absent(SIX, MONDAY, "still gone", listed="7")
    assert await listed(graph) == "7"


async def test_a_package_of_an_older_release_is_listed_as_nothing_unless_its_registry_lacked_it(
    graph: Graph, read: CypherRunner
) -> None:
    await graph.write([replace(write(SIX, "1.0"), listed="7")])
    await read("MATCH (p:PyPIPackage) SET p.format = 1")
    assert await listed(graph) is None
    await graph.mark_absent(SIX, MONDAY, "gone", listed="8")
    assert await listed(graph) == "8"


async def test_an_absent_package_keeps_what_the_list_said_when_its_registry_lacked_it(graph: Graph) -> None:
    app = pypi("app")
    await graph.write([write(app, version(app, "1.0", {SIX: "any"}))])
    await graph.mark_absent(SIX, MONDAY, "no versions", listed="7")
    await graph.mark_absent(SIX, TUESDAY, "no versions")
    assert await listed(graph) == "7"
