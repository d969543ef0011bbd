"""Very many ratings of one package are written in portions, with the same result."""

from __future__ import annotations

from typing import Any

import pytest

from securechain_ingest.graph import ratings as ratings_module
from securechain_ingest.graph.connection import Connection
from securechain_ingest.graph.store import Graph
from securechain_ingest.model import Rating
from tests.graph.builders import MONDAY, link, pypi, write
from tests.graph.conftest import CypherRunner

BIG = pypi("big")
VERSIONS = [f"{number}.0" for number in range(20)]
HIGH, LOW = Rating(9.0, 9.5, ("A", "B")), Rating(3.0, 3.0, ("B",))


@pytest.fixture
async def portions(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Return how many versions of each rating every portion held."""
    monkeypatch.setattr(ratings_module, "PORTION", 5)
    await graph.write([write(BIG, *VERSIONS, ratings={VERSIONS[0]: HIGH, VERSIONS[1]: LOW})])
    written: list[list[int]] = []
    change = Connection.change

    async def noted(self: Connection, cypher: str, parameters: Any = None) -> Any:
        if cypher == ratings_module._RATE_PORTION:
            written.append([len(row["purls"]) for row in parameters["rows"]])
        return await change(self, cypher, parameters)

    monkeypatch.setattr(Connection, "change", noted)
    return written


async def rated(read: CypherRunner) -> dict[str, Rating]:
    rows = await read(
        "MATCH (v:Version) RETURN v.name AS name, v.mean AS mean, v.weighted_mean AS weighted, v.vulnerabilities AS ids"
    )
    return {row["name"]: Rating(row["mean"], row["weighted"], tuple(row["ids"])) for row in rows}


async def test_all_versions_get_their_ratings_and_only_what_differs_is_written(
    graph: Graph, read: CypherRunner, portions: list[list[int]]
) -> None:
    ratings = {version: HIGH if number % 2 == 0 else LOW for number, version in enumerate(VERSIONS)}
    await graph.link([link(BIG, ratings=ratings, checked_at=MONDAY)])
    assert await rated(read) == ratings
    assert sum(map(sum, portions)) == 18
    assert max(map(sum, portions)) <= 5

    await graph.link([link(BIG, ratings=ratings)])
    assert sum(map(sum, portions)) == 18


async def test_a_version_that_is_not_named_has_no_vulnerability_any_more(
    graph: Graph, read: CypherRunner, portions: list[list[int]]
) -> None:
    await graph.link([link(BIG, ratings=dict.fromkeys(VERSIONS, LOW))])
    kept = dict.fromkeys(VERSIONS[10:], HIGH)
    await graph.link([link(BIG, ratings=kept)])
    assert await rated(read) == dict.fromkeys(VERSIONS, Rating()) | kept
    assert portions


async def test_few_ratings_are_one_statement(graph: Graph, read: CypherRunner, portions: list[list[int]]) -> None:
    ratings = dict.fromkeys(VERSIONS, Rating()) | dict.fromkeys(VERSIONS[:5], HIGH)
    await graph.link([link(BIG, ratings=ratings)])
    assert await rated(read) == ratings
    assert portions == []


async def test_a_write_in_portions_that_breaks_off_is_finished_by_the_next(
    graph: Graph, read: CypherRunner, portions: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ratings = dict.fromkeys(VERSIONS, HIGH)
    change = Connection.change

    async def once(self: Connection, cypher: str, parameters: Any = None) -> Any:
        if portions:
            raise RuntimeError
        return await change(self, cypher, parameters)

    with monkeypatch.context() as broken:
        broken.setattr(Connection, "change", once)
        with pytest.raises(RuntimeError):
            await graph.link([link(BIG, ratings=ratings)])
    assert sum(rating == HIGH for rating in (await rated(read)).values()) == 6

    await graph.link([link(BIG, ratings=ratings)])
    assert await rated(read) == ratings
