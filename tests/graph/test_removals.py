"""What a registry no longer has stays in the graph, marked, until it comes back (contract, section 1.6)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from securechain_ingest.graph.store import Graph
from securechain_ingest.graph.view import aware
from securechain_ingest.model import PackageWrite
from tests.graph.builders import MONDAY, link, pypi, write
from tests.graph.conftest import Reader

SIX = pypi("six")
TUESDAY = MONDAY + timedelta(days=1)


def revised(written: PackageWrite, **facts: Any) -> PackageWrite:
    return replace(written, package=replace(written.package, **facts))


async def package(read: Reader) -> dict[str, Any]:
    [node] = (await read.nodes("PyPIPackage")).values()
    return dict(node)


async def removed_versions(read: Reader) -> set[str]:
    nodes = (await read.nodes("Version")).values()
    assert all(node.get("removed") in (None, True) for node in nodes)
    return {str(node["name"]) for node in nodes if node.get("removed")}


async def test_a_removed_package_keeps_its_node_and_revision_until_it_comes_back(graph: Graph, read: Reader) -> None:
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


async def test_a_confirmed_package_is_there_again_and_keeps_or_moves_its_revision(graph: Graph, read: Reader) -> None:
    await graph.write([revised(write(SIX, "1.0"), revision="5")])
    await graph.mark_absent(SIX, MONDAY, "gone", removed=True)
    await graph.link([link(SIX, checked_at=TUESDAY)])
    held = await package(read)
    assert (held.get("removed_at"), held["revision"]) == (None, "5")
    await graph.link([replace(link(SIX, checked_at=TUESDAY), revision="6")])
    assert (await package(read))["revision"] == "6"


async def test_a_version_that_is_no_longer_listed_is_marked_until_it_comes_back(graph: Graph, read: Reader) -> None:
    await graph.write([write(SIX, "1.0", "2.0")])
    before = set(await read.nodes("Version"))
    await graph.write([write(SIX, "2.0")])
    assert await removed_versions(read) == {"1.0"}
    await graph.write([write(SIX, "1.0", "2.0")])
    assert await removed_versions(read) == set()
    assert set(await read.nodes("Version")) == before


async def test_a_document_that_may_be_incomplete_marks_no_version(graph: Graph, read: Reader) -> None:
    await graph.write([write(SIX, "1.0", "2.0")])
    await graph.write([revised(write(SIX, "2.0"), lists_all_versions=False)])
    assert await removed_versions(read) == set()
