"""Advisories reach a package of the graph in whichever spelling they name it."""

from __future__ import annotations

import pytest

from securechain_ingest.registries import named_package
from tests.graph.builders import write
from tests.jobs.advisories import HIGH, AdvisoryBench
from tests.registry_server import osv


@pytest.fixture
def bench(ecosystems_bench: AdvisoryBench) -> AdvisoryBench:
    return ecosystems_bench


def literal_of(package: str) -> str:
    """Return how OSV names the ecosystem of a package."""
    literal = named_package(package).ecosystem.osv
    assert literal is not None
    return literal


async def affecting(bench: AdvisoryBench, package: str) -> list[str]:
    ratings = await bench.ratings(named_package(package))
    return ratings["1.0.0"][1]


@pytest.mark.parametrize(
    ("package", "names"),
    [
        ("pypi:Products.GenericSetup", ("Products.GenericSetup", "products-genericsetup")),
        ("pypi:friendly-bard", ("friendly--bard", "FrIeNdLy-._.-bArD", "friendly_bard")),
        ("cargo:foo_bar", ("foo-bar", "foo_bar", "Foo_Bar")),
        ("cargo:a-b_c", ("a_b-c", "a-b-c")),
        ("nuget:Newtonsoft.Json", ("newtonsoft.json", "NewtonSoft.JSON")),
        ("maven:org.antlr:ST4", ("org.antlr:ST4",)),
    ],
)
async def test_two_spellings_are_one_package(bench: AdvisoryBench, package: str, names: tuple[str, ...]) -> None:
    ref, literal = named_package(package), literal_of(package)
    await bench.sync.graph.write([write(ref, "1.0.0")])
    records = [osv.Advisory(f"X-{at}", ((literal, name),), vector=HIGH) for at, name in enumerate(names)]
    bench.publish(*records)
    await bench.run()
    expected = [record.id for record in records]
    assert await affecting(bench, package) == expected

    # One of them alone changes: the others are not lost.
    for name, record in zip(names, records, strict=True):
        changed = osv.Advisory(record.id, ((literal, name),), modified="2026-08-09T00:00:00Z", vector=HIGH)
        bench.publish(changed, *(each for each in records if each != record))
        await bench.run()
        assert await affecting(bench, package) == expected


@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("npm:foo-bar", "foo_bar"),
        ("npm:JSONStream", "jsonstream"),
        ("gem:RedCloth", "redcloth"),
        ("maven:org.antlr:ST4", "org.antlr:st4"),
        ("nuget:Newtonsoft.Json", "Newtonsoft-Json"),
    ],
)
async def test_the_name_of_another_package_reaches_it_not(bench: AdvisoryBench, package: str, name: str) -> None:
    ref = named_package(package)
    await bench.sync.graph.write([write(ref, "1.0.0")])
    bench.publish(osv.Advisory("X-1", ((literal_of(package), name),)))
    await bench.run()
    assert await affecting(bench, package) == []


async def test_two_packages_of_similar_names_have_each_its_own_advisories(bench: AdvisoryBench) -> None:
    names = ("foo-bar", "foo_bar", "foo.bar")
    await bench.sync.graph.write([write(named_package(f"npm:{name}"), "1.0.0") for name in names])
    bench.publish(*(osv.Advisory(f"X-{name}", (("npm", name),)) for name in names))
    await bench.run()
    for name in names:
        assert await affecting(bench, f"npm:{name}") == [f"X-{name}"]


async def test_what_another_program_wrote_is_found_by_its_usual_spellings(bench: AdvisoryBench) -> None:
    ref = named_package("pypi:zope.interface")
    await bench.sync.graph.write([write(ref, "1.0.0")])
    theirs = {
        "id": "THEIRS-1",
        "affected": [{"package": {"ecosystem": "PyPI", "name": "Zope_Interface"}, "versions": ["1.0.0"]}],
    }
    await bench.collection.insert_one(theirs)
    bench.publish(osv.Advisory("X-1", (("PyPI", "zope-interface"),)))
    await bench.run()
    assert await affecting(bench, "pypi:zope.interface") == ["THEIRS-1", "X-1"]


async def test_a_record_of_a_suffixed_ecosystem_that_is_gone_counts_no_more(bench: AdvisoryBench) -> None:
    ref = named_package("maven:g:a")
    await bench.sync.graph.write([write(ref, "1.0.0")])
    element = {"package": {"ecosystem": "Maven:https://repo.example.org", "name": "g:a"}, "versions": ["1.0.0"]}
    bench.publish(osv.Advisory("X-1", (("Maven", "g:a"),), fields={"affected": [element]}))
    await bench.run()
    assert await affecting(bench, "maven:g:a") == ["X-1"]

    bench.publish()
    await bench.run(reconcile="true")

    assert await affecting(bench, "maven:g:a") == []
