"""When the rule of the ratings changes, what is in the graph is rated anew without anything of the bucket changing."""

from __future__ import annotations

from typing import Any

import pytest

from securechain_ingest.advisories.matching import RULE
from securechain_ingest.errors import StoreError
from securechain_ingest.graph.store import Graph
from securechain_ingest.jobs import advisory_rating
from securechain_ingest.jobs.advisory_rating import AdvisoryRating
from tests.graph.builders import pypi, write
from tests.jobs.advisories import STREAM, AdvisoryBench
from tests.registry_server import osv

NAMES = [f"package-{number}" for number in range(7)]


@pytest.fixture
async def bench(advisory_bench: AdvisoryBench, monkeypatch: pytest.MonkeyPatch) -> AdvisoryBench:
    """Return a bench whose graph was rated by an older rule, which found nothing; no sync has anything to rate
    again.
    """
    monkeypatch.setattr(advisory_rating, "LOOKED_UP", 3)
    await advisory_bench.sync.graph.write([write(pypi(name), "1.0") for name in NAMES])
    advisory_bench.publish(*(osv.Advisory(f"GHSA-{name}", (("PyPI", name),)) for name in NAMES))
    await advisory_bench.run()
    await advisory_bench.sync.redis.delete(f"{STREAM}-rated")
    await as_if_unrated(advisory_bench)
    return advisory_bench


async def as_if_unrated(bench: AdvisoryBench) -> None:
    await bench.sync.graph._connection.change("MATCH (v:Version) SET v.vulnerabilities = [] RETURN count(v) AS count")


async def rated(bench: AdvisoryBench) -> list[str]:
    return [name for name in NAMES if (await bench.ratings(pypi(name)))["1.0"][1]]


async def rule(bench: AdvisoryBench) -> dict[bytes, bytes]:
    found: Any = await bench.sync.redis.hgetall(f"{STREAM}-rating")
    return dict(found)


async def test_the_same_rule_rates_nothing_again(bench: AdvisoryBench) -> None:
    await bench.run()
    assert await rated(bench) == []


async def test_a_higher_rule_rates_every_package_that_an_advisory_names_once(
    bench: AdvisoryBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advisory_rating, "RULE", 100)
    run = await bench.run()
    assert await rated(bench) == NAMES
    assert run.metrics["packages_rated"] == len(NAMES)
    assert await rule(bench) == {b"rule": b"100"}


async def test_without_a_known_rule_everything_is_rated(bench: AdvisoryBench) -> None:
    await bench.sync.redis.delete(f"{STREAM}-rating")
    await bench.run()
    assert await rated(bench) == NAMES


async def test_a_newer_release_on_the_same_stores_is_left_its_rule(bench: AdvisoryBench) -> None:
    await bench.sync.redis.hset(f"{STREAM}-rating", "rule", "1000")
    await bench.run()
    assert await rated(bench) == []
    assert await rule(bench) == {b"rule": b"1000"}


async def test_a_walk_that_breaks_off_goes_on_where_it_was(
    bench: AdvisoryBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advisory_rating, "RULE", 100)
    rate_portion = AdvisoryRating._rate_portion
    portions = 0

    async def away_at_the_second(self: AdvisoryRating, *others: Any) -> None:
        nonlocal portions
        portions += 1
        if portions == 2:
            raise StoreError("the graph is away")
        await rate_portion(self, *others)

    with monkeypatch.context() as broken:
        broken.setattr(AdvisoryRating, "_rate_portion", away_at_the_second)
        with pytest.raises(StoreError):
            await bench.run()
    assert len(await rated(bench)) == 3
    assert await rule(bench) == {b"rule": str(RULE).encode(), b"position": b"100:GHSA-package-2"}
    await bench.sync.redis.delete(f"{STREAM}-rated")
    await as_if_unrated(bench)

    await bench.run()

    assert await rated(bench) == NAMES[3:]
    assert await rule(bench) == {b"rule": b"100"}


async def test_a_package_that_leaves_the_graph_meanwhile_does_not_stop_the_sync(
    bench: AdvisoryBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advisory_rating, "RULE", 100)
    link = Graph.link

    async def deleted_before(self: Graph, links: Any) -> Any:
        if any(each.ref.name == "package-3" for each in links):
            await self._connection.change("MATCH (p {name: 'package-3'}) DETACH DELETE p RETURN count(*) AS count")
        return await link(self, links)

    monkeypatch.setattr(Graph, "link", deleted_before)
    run = await bench.run()

    others = [name for name in NAMES if name != "package-3"]
    assert [(await bench.ratings(pypi(name)))["1.0"][1] for name in others] == [[f"GHSA-{name}"] for name in others]
    assert run.metrics["errors"] == 0
    assert await rule(bench) == {b"rule": b"100"}


async def test_a_package_that_the_graph_refuses_costs_itself(
    bench: AdvisoryBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advisory_rating, "RULE", 100)
    link = Graph.link

    class RefusedByGraph(StoreError):
        transient = False

    async def refusing(self: Graph, links: Any) -> Any:
        if any(each.ref.name == "package-3" for each in links):
            raise RefusedByGraph("the graph refuses the statement")
        return await link(self, links)

    monkeypatch.setattr(Graph, "link", refusing)
    run = await bench.run()

    assert await rated(bench) == [name for name in NAMES if name != "package-3"]
    assert run.metrics["errors"] == 1
