"""This tests requirements on packages that another transaction brings while they are being written as absent."""

from __future__ import annotations

from securechain_ingest.graph.store import Graph
from tests.graph.builders import pypi, version, write
from tests.graph.conftest import CypherRunner


async def test_a_target_that_turns_out_to_be_there_is_linked_and_not_asked_for(
    graph: Graph, read: CypherRunner
) -> None:
    """It is as after a race: the package has been written, and the node for what waits for it is there nevertheless."""
    app, late, absent = pypi("app"), pypi("late"), pypi("absent")
    await graph.write([write(late, "1.0")])
    await read("CREATE (:AbsentPackage {purl: $purl, name: 'late', ecosystem: 'pypi'})", purl=late.purl)

    [result] = await graph.write([write(app, version(app, "1.0", {late: ">= 1.0", absent: "any"}))])

    assert [ref.purl for ref in result.to_queue] == [absent.purl]
    assert await read.edges(f"{app.purl}@1.0") == {late.purl: (">= 1.0", app.purl)}
    assert await read.awaited() == [(absent.purl, f"{app.purl}@1.0", "any")]
    assert [node["purl"] for node in (await read.nodes("AbsentPackage")).values()] == [absent.purl]


async def test_a_late_target_of_one_package_is_asked_for_by_nobody_in_the_same_transaction(
    graph: Graph, read: CypherRunner
) -> None:
    late, absent = pypi("late"), pypi("absent")
    await graph.write([write(late, "1.0")])
    await read("CREATE (:AbsentPackage {purl: $purl, name: 'late', ecosystem: 'pypi'})", purl=late.purl)
    apps = [pypi("one"), pypi("two")]

    results = await graph.write([write(app, version(app, "1.0", {late: "any", absent: "any"})) for app in apps])

    assert sorted(ref.purl for result in results for ref in result.to_queue) == [absent.purl]
    for app in apps:
        assert set(await read.edges(f"{app.purl}@1.0")) == {late.purl}
