"""This tests recorded advisories of every ecosystem that OSV has.

Their authors' lists of versions are the truth for our order.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from securechain_ingest.advisories.matching import rate
from securechain_ingest.advisories.names import spellings
from securechain_ingest.model import PackageRef
from securechain_ingest.registries import BY_OSV

Element = dict[str, Any]


@pytest.fixture(scope="session")
def documents(shared_fixtures: Path) -> list[dict[str, Any]]:
    paths = sorted(shared_fixtures.glob("*/advisories/osv/*.json"))
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


@pytest.fixture(scope="session")
def elements(documents: list[dict[str, Any]]) -> list[tuple[PackageRef, Element]]:
    """Return what the documents say of packages of our ecosystems; GIT ranges apart."""
    found = []
    for element in (element for document in documents for element in document["affected"] if "package" in element):
        registry = BY_OSV.get(element["package"]["ecosystem"])
        if registry is not None:
            ranges = [each for each in element.get("ranges", ()) if each["type"] != "GIT"]
            found.append((registry.identify(element["package"]["name"]), {**element, "ranges": ranges}))
    return found


def is_ordered(ref: PackageRef, version: str) -> bool:
    try:
        ref.ecosystem.version_key(version)
    except ValueError:
        return False
    return True


def affected(ref: PackageRef, element: Element, versions: list[str]) -> list[str]:
    ratings = rate(ref, versions, [{"id": "GHSA-1", "affected": [element]}])
    return [version for version in versions if ratings[version].vulnerabilities]


def boundaries(element: Element) -> Iterator[tuple[str, str]]:
    for each in element["ranges"]:
        for event in each["events"]:
            yield from ((kind, value) for kind, value in event.items() if value != "0")


def test_there_are_recorded_advisories_of_every_ecosystem(elements: list[tuple[PackageRef, Element]]) -> None:
    counts = Counter(ref.ecosystem.osv for ref, _ in elements)
    assert set(counts) == set(BY_OSV)
    assert min(counts.values()) > 10


def test_every_recorded_name_is_looked_up(elements: list[tuple[PackageRef, Element]]) -> None:
    assert [ref for ref, element in elements if element["package"]["name"] not in spellings(ref)] == []


def test_the_ranges_affect_every_version_that_the_same_advisory_lists(
    elements: list[tuple[PackageRef, Element]],
) -> None:
    checked = 0
    for ref, element in elements:
        listed = [version for version in element.get("versions", ()) if is_ordered(ref, version)]
        if element["ranges"] and all(is_ordered(ref, value) for _, value in boundaries(element)):
            assert affected(ref, {**element, "versions": []}, listed) == listed, ref.purl
            checked += len(listed)
    assert checked > 2_000


def test_intervals_begin_with_introduced_hold_last_affected_and_end_before_fixed(
    elements: list[tuple[PackageRef, Element]],
) -> None:
    checked: Counter[str] = Counter()
    for ref, element in elements:
        for each in element["ranges"]:
            alone = {**element, "versions": [], "ranges": [each]}
            marks = list(boundaries(alone))
            if all(is_ordered(ref, value) for _, value in marks):
                for kind, value in marks:
                    assert bool(affected(ref, alone, [value])) is (kind != "fixed"), (ref.purl, kind, value)
                    checked[kind] += 1
    assert set(checked) == {"introduced", "fixed", "last_affected"}


def test_every_listed_version_is_affected_even_without_an_order(
    elements: list[tuple[PackageRef, Element]],
) -> None:
    for ref, element in elements:
        listed = element.get("versions", [])
        assert affected(ref, element, listed) == listed
    assert any(not is_ordered(ref, version) for ref, element in elements for version in element.get("versions", ()))


def test_withdrawn_documents_affect_nothing(documents: list[dict[str, Any]]) -> None:
    withdrawn = [document for document in documents if document.get("withdrawn")]
    assert withdrawn
    for document in withdrawn:
        for element in document["affected"]:
            if (registry := BY_OSV.get(element["package"]["ecosystem"])) is not None:
                ref = registry.identify(element["package"]["name"])
                versions = ["0.0.1", *element.get("versions", ())]
                assert not any(rating.vulnerabilities for rating in rate(ref, versions, [document]).values())
