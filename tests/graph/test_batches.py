"""This tests group commit: many callers, few transactions, and nobody pays for another's failure."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from securechain_ingest.errors import ConfigError, LeftGraph, Malformed, StoreError
from securechain_ingest.graph.batch import GraphBatcher
from securechain_ingest.graph.store import Graph
from securechain_ingest.model import Ecosystem, ImportNames, NamesGap, PackageWrite, WriteResult
from securechain_ingest.settings import GraphSettings
from tests.graph.builders import NPM, PYPI, link, npm, pypi, write
from tests.graph.conftest import CypherRunner
from tests.stores import GraphTarget
from tests.waiting import PATIENCE_S

LINGERING = GraphSettings().model_copy(update={"linger_s": 2 * PATIENCE_S})
"""Nobody would wait for so long."""


async def test_concurrent_callers_all_get_their_package_written(graph: Graph, read: CypherRunner) -> None:
    refs = [pypi(f"package-{number}") for number in range(120)]
    async with GraphBatcher(graph, GraphSettings(batch_packages=25)) as batcher:
        results = await asyncio.gather(*(batcher.write(write(ref, "1.0")) for ref in refs))
        known = await asyncio.gather(*(batcher.known(ref) for ref in [*refs, pypi("unknown")]))
        linked = await asyncio.gather(*(batcher.link(link(ref)) for ref in refs))
    assert [result.purl for result in results] == [ref.purl for ref in refs] == [result.purl for result in linked]
    assert [each.purl if each else None for each in known] == [*(ref.purl for ref in refs), None]
    assert len(await read.nodes("PyPIPackage")) == 120


async def test_a_package_that_another_program_deletes_does_not_cost_those_that_are_linked_with_it(
    graph: Graph, read: CypherRunner
) -> None:
    refs = [pypi(f"package-{number}") for number in range(5)]
    await graph.write([write(ref, "1.0") for ref in refs])
    await read("MATCH (p:PyPIPackage {name: 'package-2'}) DETACH DELETE p")
    async with GraphBatcher(graph, GraphSettings()) as batcher:
        ends = await asyncio.gather(*(batcher.link(link(ref)) for ref in refs), return_exceptions=True)
    assert [end.purl if isinstance(end, WriteResult) else type(end) for end in ends] == [
        *(ref.purl for ref in refs[:2]),
        LeftGraph,
        *(ref.purl for ref in refs[3:]),
    ]


@pytest.fixture
def transactions(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the packages of each written transaction so far."""
    sizes: list[int] = []
    original = graph.write

    async def counted(writes: Sequence[PackageWrite]) -> list[WriteResult]:
        sizes.append(len(writes))
        return await original(writes)

    monkeypatch.setattr(graph, "write", counted)
    return sizes


async def test_a_lone_package_is_written_at_once(graph: Graph, transactions: list[int]) -> None:
    async with GraphBatcher(graph, LINGERING) as batcher, asyncio.timeout(PATIENCE_S):
        await batcher.write(write(pypi("six"), "1.0"))
    assert transactions == [1]


async def test_packages_that_stream_in_wait_for_each_other_until_they_are_worth_a_transaction(
    graph: Graph, transactions: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    # It is a stream although a slow machine takes its time between two of them.
    monkeypatch.setattr("securechain_ingest.graph.batch.STREAM_PAUSE_S", PATIENCE_S)
    async with GraphBatcher(graph, LINGERING) as batcher, asyncio.timeout(PATIENCE_S):
        await batcher.write(write(pypi("first"), "1.0"))
        streaming = []
        for number in range(8):
            streaming.append(asyncio.create_task(batcher.write(write(pypi(f"package-{number}"), "1.0"))))
            await asyncio.sleep(0)
        await asyncio.gather(*streaming)
    assert transactions == [1, 8]


async def test_a_package_of_a_stream_that_ends_is_written_after_its_wait(graph: Graph, transactions: list[int]) -> None:
    async with GraphBatcher(graph, GraphSettings(linger_s=0.01)) as batcher:
        await batcher.write(write(pypi("first"), "1.0"))
        await batcher.write(write(pypi("second"), "1.0"))
    assert transactions == [1, 1]


async def test_names_of_packages_that_stream_in_share_transactions(
    graph: Graph, read: CypherRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    refs = [make(f"package-{number}") for make in (pypi, npm) for number in range(4)]
    await graph.write([write(ref, "1.0.0", names=None, archive_pending=True) for ref in refs])
    gaps = [
        (ecosystem, gap)
        for ecosystem in (PYPI, NPM)
        for gap in (await graph.names_gaps(ecosystem, older_than=0, after="", limit=10))[0]
    ]
    sizes: list[int] = []
    whole = graph.fill_names

    async def counted(ecosystem: Ecosystem, found: Sequence[tuple[NamesGap, ImportNames]]) -> None:
        sizes.append(len(found))
        await whole(ecosystem, found)

    monkeypatch.setattr(graph, "fill_names", counted)
    async with GraphBatcher(graph, GraphSettings()) as batcher:
        await asyncio.gather(*(batcher.fill_names(each, gap, ImportNames((gap.name,))) for each, gap in gaps))
    assert sizes == [4, 4]
    nodes = [*(await read.nodes("PyPIPackage")).values(), *(await read.nodes("NPMPackage")).values()]
    assert [(node["import_names"], node.get("archive_pending")) for node in nodes] == [
        ([node["name"]], None) for node in nodes
    ]


async def test_two_writes_of_one_package_go_one_after_the_other(graph: Graph, read: CypherRunner) -> None:
    six = pypi("six")
    async with GraphBatcher(graph, GraphSettings()) as batcher:
        await asyncio.gather(*(batcher.write(write(six, f"{number}.0")) for number in range(6)))
    assert sorted(node["serial_number"] for node in (await read.nodes("Version")).values()) == list(range(6))


async def test_a_package_that_cannot_be_written_does_not_harm_its_neighbours(graph: Graph, read: CypherRunner) -> None:
    six, bad = pypi("six"), pypi("bad")
    # Longer than an index entry may be: refused by the server itself, inside the transaction.
    poison = write(bad, "1" * 1_000_000)
    async with GraphBatcher(graph, GraphSettings(writers=1)) as batcher:
        first, *rest = await asyncio.gather(
            batcher.write(write(pypi("warm"), "1.0")),
            batcher.write(write(six, "1.0")),
            batcher.write(write(pypi("empty"))),
            batcher.write(poison),
            batcher.write(write(pypi("attrs"), "1.0")),
            return_exceptions=True,
        )
    written, empty, refused, attrs = rest
    assert isinstance(empty, Malformed)
    assert isinstance(refused, StoreError)
    assert not isinstance(first, BaseException)
    assert not isinstance(written, BaseException)
    assert not isinstance(attrs, BaseException)
    assert {node["name"] for node in (await read.nodes("PyPIPackage")).values()} == {"warm", "six", "attrs"}
    assert await read.awaited() == []


async def test_a_caller_that_gives_up_does_not_harm_the_others(graph: Graph, read: CypherRunner) -> None:
    async with GraphBatcher(graph, GraphSettings(writers=1)) as batcher:
        writes: list[PackageWrite] = [write(pypi(f"package-{number}"), "1.0") for number in range(20)]
        callers = [asyncio.create_task(batcher.write(each)) for each in writes]
        await asyncio.sleep(0)
        callers[0].cancel()
        callers[7].cancel()
        results = await asyncio.gather(*callers, return_exceptions=True)
    assert [position for position, result in enumerate(results) if isinstance(result, BaseException)] == [0, 7]
    assert len(await read.nodes("PyPIPackage")) >= 18


async def test_a_wrong_password_is_a_configuration_error_without_the_password(graph_target: GraphTarget) -> None:
    settings = GraphSettings(database=graph_target.database)
    async with Graph.connect(
        graph_target.uri, graph_target.user, "not-the-password", settings, absent_retry_s=1.0
    ) as graph:
        with pytest.raises(ConfigError, match="refused the user name or password") as caught:
            await graph.ping()
    assert "not-the-password" not in str(caught.value)


async def test_a_server_that_is_away_is_a_passing_failure() -> None:
    async with Graph.connect("bolt://127.0.0.1:1", "neo4j", "secret", GraphSettings(), absent_retry_s=1.0) as graph:
        with pytest.raises(StoreError, match=r"127\.0\.0\.1:1 cannot be reached"):
            await graph.ping()


async def test_a_caller_that_asks_again_as_soon_as_it_has_its_answer_is_served(graph: Graph) -> None:
    settings = GraphSettings(writers=1)
    async with GraphBatcher(graph, settings) as batcher:
        for _ in range(3):
            assert await asyncio.wait_for(batcher.known(pypi("absent")), PATIENCE_S) is None
