"""This tests packages of very many versions, and ranges of any shape against the plain evaluation that OSV's schema
describes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securechain_ingest.advisories import matching
from securechain_ingest.advisories.matching import rate, rated
from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.errors import ParserLost
from securechain_ingest.model import Rating
from securechain_ingest.registries import BY_OSV, named_package
from securechain_ingest.settings import ArchiveSettings

X = named_package("pypi:x")


def document(number: int, ranges: list[list[dict[str, str]]], listed: list[str]) -> dict[str, Any]:
    element = {
        "package": {"ecosystem": "PyPI", "name": "x"},
        "ranges": [{"type": "ECOSYSTEM", "events": events} for events in ranges],
        "versions": listed,
    }
    severity = [{"type": "CVSS_V3", "base_score": float(number)}]
    return {"id": f"GHSA-{number}", "affected": [element], "severity": severity}


versions = st.integers(0, 9).map(str)
events = st.lists(
    st.builds(
        lambda kind, version: {kind: version}, st.sampled_from(["introduced", "fixed", "last_affected"]), versions
    )
    | versions.map(lambda version: {"limit": version}),
    max_size=6,
)
documents = st.lists(st.tuples(st.lists(events, max_size=2), st.lists(versions, max_size=2)), max_size=4)


def is_affected(version: int, found: dict[str, Any]) -> bool:
    [element] = found["affected"]
    return str(version) in element["versions"] or any(_is_in(version, each["events"]) for each in element["ranges"])


def _is_in(version: int, events: list[dict[str, str]]) -> bool:
    limits = [int(value) for event in events for kind, value in event.items() if kind == "limit"]
    if limits and not any(version < limit for limit in limits):
        return False
    marks: dict[int, set[str]] = {}
    for kind, value in (pair for event in events for pair in event.items() if pair[0] != "limit"):
        marks.setdefault(-1 if (kind, value) == ("introduced", "0") else int(value), set()).add(kind)
    affected = False
    for boundary in sorted(each for each in marks if each <= version):
        # What is introduced and fixed at once affects nothing; but a new interval may begin where one was fixed.
        if "introduced" in marks[boundary]:
            affected = affected or "fixed" not in marks[boundary]
        elif "fixed" in marks[boundary]:
            affected = False
        if "last_affected" in marks[boundary] and version > boundary:
            affected = False
    return affected


@given(documents)
def test_each_version_has_the_records_that_the_plain_evaluation_finds(shapes: list[tuple[Any, Any]]) -> None:
    found = [document(number, ranges, listed) for number, (ranges, listed) in enumerate(shapes)]
    ratings = rate(X, map(str, range(10)), found)
    for version in range(10):
        expected = tuple(each["id"] for each in found if is_affected(version, each))
        assert ratings[str(version)].vulnerabilities == expected


@pytest.fixture
async def pool() -> Any:
    async with ParserPool(ArchiveSettings(processes=1)) as pool:
        yield pool


def overlapping(count: int, length: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        yield document(number % 10, [[{"introduced": f"1.{number}"}, {"fixed": f"1.{length - number}"}]], [])


@pytest.mark.parametrize("registry", BY_OSV.values(), ids=lambda registry: registry.ecosystem.name)
async def test_much_work_is_done_in_a_child_with_the_same_result(pool: ParserPool, registry: Any) -> None:
    ref = registry.identify(registry.example)
    names = [f"1.{number}.0" for number in range(1_001)]
    found = [
        {
            **each,
            "affected": [
                {**each["affected"][0], "package": {"ecosystem": ref.ecosystem.osv, "name": ref.registry_name}}
            ],
        }
        for each in overlapping(3, 1_000)
    ]
    here = rate(ref, names, found)
    assert await rated(pool, ref, names, found) == here
    assert len(set(here.values())) > 3


async def test_little_work_asks_no_child() -> None:
    class NoPool:
        async def run(self, *_: object) -> None:
            raise AssertionError

    no_pool: Any = NoPool()
    assert (await rated(no_pool, X, ["1.0"], list(overlapping(5, 10))))["1.0"] == rate(X, ["1.0"], overlapping(5, 10))[
        "1.0"
    ]
    with pytest.raises(AssertionError):
        await rated(no_pool, X, [f"1.{number}" for number in range(1_001)], list(overlapping(1, 10)))


async def test_a_child_that_is_lost_is_an_error_that_passes() -> None:
    class LostPool:
        async def run(self, *_: object) -> None:
            raise ParserLost("the parsing process died")

    lost: Any = LostPool()
    with pytest.raises(ParserLost):
        await rated(lost, X, [f"1.{number}" for number in range(1_001)], list(overlapping(1, 10)))


def test_the_work_grows_with_the_versions_and_the_records_and_not_with_their_product() -> None:
    def steps(versions: int, records: int) -> int:
        count = 0

        class CountedKey(int):
            def __lt__(self, other: int) -> bool:
                nonlocal count
                count += 1
                return int(self) < int(other)

        ref = replace(X, ecosystem=replace(X.ecosystem, version_key=lambda name: CountedKey(name.rpartition(".")[2])))
        rate(ref, [f"1.{number}" for number in range(versions)], list(overlapping(records, versions)))
        return count

    one = steps(2_000, 20)
    assert steps(2_000, 200) < 4 * one
    assert steps(4_000, 20) < 3 * one


def test_the_ratings_of_versions_that_are_alike_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0

    def counted(*values: Any) -> Rating:
        nonlocal made
        made += 1
        return Rating(*values)

    monkeypatch.setattr(matching, "Rating", counted)
    rate(X, [f"1.{number}" for number in range(5_000)], overlapping(4, 5_000))
    assert made <= 2 * 4 + 1
