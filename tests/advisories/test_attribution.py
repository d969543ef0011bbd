"""This tests attribution in each of the ecosystems: whose advisory it is, and which versions it affects in that
one's order.
"""

from __future__ import annotations

from typing import Any

import pytest

from securechain_ingest.advisories.matching import rate
from securechain_ingest.advisories.names import spellings
from securechain_ingest.model import PackageRef
from securechain_ingest.registries import BY_OSV, DECLARATIONS, ECOSYSTEMS, named_package
from securechain_ingest.registries.declaration import Declaration

Event = dict[str, str]

OF_THE_CONTRACT = {
    "pypi": "PyPI",
    "npm": "npm",
    "maven": "Maven",
    "cargo": "crates.io",
    "rubygems": "RubyGems",
    "nuget": "NuGet",
}


def advisory(ecosystem: str | None, name: str, *events: Event, range_type: str = "ECOSYSTEM") -> dict[str, Any]:
    affected = {
        "package": {"ecosystem": ecosystem, "name": name},
        "ranges": [{"type": range_type, "events": list(events or [{"introduced": "0"}])}],
    }
    return {"id": "GHSA-1", "affected": [affected]}


def is_affected(ref: PackageRef, document: dict[str, Any]) -> bool:
    return bool(rate(ref, ["1.0.0"], [document])["1.0.0"].vulnerabilities)


def test_the_ecosystems_of_the_contract_have_its_literals() -> None:
    assert OF_THE_CONTRACT.items() <= {ecosystem.name: ecosystem.osv for ecosystem in ECOSYSTEMS}.items()


@pytest.mark.parametrize("declaration", DECLARATIONS, ids=lambda declaration: declaration.name)
def test_an_advisory_on_the_same_name_in_another_ecosystem_does_not_count(declaration: Declaration) -> None:
    ref = declaration.identify(declaration.example)
    counting = {literal for literal in BY_OSV if is_affected(ref, advisory(literal, ref.registry_name))}
    assert counting == {declaration.ecosystem.osv} - {None}


@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("pypi:Flask", "flask"),
        ("pypi:typing_extensions", "typing-extensions"),
        ("pypi:typing-extensions", "typing_extensions"),
        ("pypi:zope.interface", "zope-interface"),
        ("pypi:pillow", "Pillow"),
        ("npm:@babel/core", "@babel/core"),
        ("npm:JSONStream", "JSONStream"),
        ("maven:org.antlr:ST4", "org.antlr:ST4"),
        ("cargo:serde_json", "serde_json"),
        ("cargo:serde_json", "serde-json"),
        ("cargo:serde-json", "serde_json"),
        ("cargo:rustyxml", "RustyXML"),
        ("gem:RedCloth", "RedCloth"),
        ("nuget:newtonsoft.json", "Newtonsoft.Json"),
        ("nuget:Newtonsoft.Json", "NewtonSoft.JSON"),
    ],
)
def test_every_spelling_that_the_registry_takes_for_the_package_counts_and_is_looked_up(
    package: str, name: str
) -> None:
    ref = named_package(package)
    assert is_affected(ref, advisory(ref.ecosystem.osv, name))
    assert name.lower() in {spelling.lower() for spelling in spellings(ref)}


@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("pypi:flask", "flask-login"),
        ("npm:JSONStream", "jsonstream"),
        ("npm:foo-bar", "foo_bar"),
        ("npm:@babel/core", "core"),
        ("maven:org.antlr:ST4", "org.antlr:st4"),
        ("maven:org.antlr:ST4", "ST4"),
        ("cargo:serde", "serde_json"),
        ("gem:RedCloth", "redcloth"),
        ("gem:foo-bar", "foo_bar"),
        ("nuget:Newtonsoft.Json", "Newtonsoft-Json"),
    ],
)
def test_the_name_of_another_package_does_not_count(package: str, name: str) -> None:
    ref = named_package(package)
    assert not is_affected(ref, advisory(ref.ecosystem.osv, name))
    assert name not in spellings(ref)


def test_the_repository_that_an_advisory_on_a_maven_package_names_does_not_matter() -> None:
    ref = named_package("maven:org.antlr:ST4")
    assert is_affected(ref, advisory("Maven:https://repo.example.org", "org.antlr:ST4"))


# The affected versions are between bars.
@pytest.mark.parametrize("range_type", ["SEMVER", "ECOSYSTEM"])
@pytest.mark.parametrize(
    ("package", "events", "versions"),
    [
        ("pypi:x", [{"introduced": "0"}, {"fixed": "2.0rc1"}], "| 1.0 2.0.dev1 2.0a1 | 2.0rc1 2.0 2.0.post1 1!0.1"),
        ("pypi:x", [{"introduced": "1.0.0"}, {"last_affected": "1.1"}], "0.9 1.0rc1 | 1.0 1.0.post1 1.1.0 | 1.1.1"),
        (
            "npm:x",
            [{"introduced": "1.0.0-beta.2"}, {"fixed": "1.0.0"}],
            "0.9.0 1.0.0-alpha | 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 | 1.0.0 1.0.1",
        ),
        ("npm:x", [{"introduced": "0"}, {"last_affected": "4.17.9"}], "| 0.0.1 4.9.0 4.17.9 | 4.17.10 4.18.0-0"),
        (
            "cargo:x",
            [{"introduced": "0.0.0-0"}, {"fixed": "0.7.0-0"}],
            "| 0.0.1-pre 0.6.9 | 0.7.0-alpha.1 0.7.0 0.10.0",
        ),
        (
            "maven:g:x",
            [{"introduced": "2.0-alpha-1"}, {"fixed": "2.0"}],
            "1.9.1 | 2.0-alpha-1 2.0-beta-2 2.0-M3 2.0-rc1 2.0-SNAPSHOT | 2.0 2.0.0 2.0.Final 2.0-sp1 2.0.1 2.10",
        ),
        (
            "maven:g:x",
            [{"introduced": "4.0.0.Final"}, {"last_affected": "4.1.70.Final"}],
            "3.9.9.Final 4.0.0.CR1 | 4.0.0.Final 4.1.9.Final 4.1.70.Final 4.1.70 | 4.1.71.Final",
        ),
        (
            "gem:x",
            [{"introduced": "0"}, {"fixed": "3.21.0.rc.1"}],
            "| 3.20.9 3.21.0.beta | 3.21.0.rc.1 3.21.0 3.21.0.1",
        ),
        ("gem:x", [{"introduced": "1.2"}, {"fixed": "1.10"}], "1.1 1.2.pre | 1.2 1.2.0 1.9.9.9 1.10.a | 1.10 2.0"),
        (
            "nuget:x",
            [{"introduced": "1.0.0.1"}, {"last_affected": "2.0.0-RC1"}],
            "1.0 1.0.0 1.0.0.0 | 1.0.0.1 1.0.0.10 2.0.0-beta 2.0.0-rc1 | 2.0.0-rc2 2.0.0 2.0.0.1",
        ),
    ],
)
def test_a_range_affects_what_lies_between_its_boundaries_in_the_ecosystems_order(
    package: str, events: list[Event], versions: str, range_type: str
) -> None:
    ref = named_package(package)
    names = [name for name in versions.split() if name != "|"]
    document = advisory(ref.ecosystem.osv, ref.registry_name, *events, range_type=range_type)
    ratings = rate(ref, names, [document])
    assert [name for name in names if ratings[name].vulnerabilities] == versions.split("|")[1].split()


@pytest.mark.parametrize(
    ("package", "version"),
    [("pypi:x", "2004d"), ("npm:x", "latest"), ("cargo:x", "one"), ("gem:x", "1..a"), ("nuget:x", "1.x")],
)
def test_a_version_without_an_order_is_affected_where_it_is_listed(package: str, version: str) -> None:
    ref = named_package(package)
    document = advisory(ref.ecosystem.osv, ref.registry_name)
    assert not rate(ref, [version], [document])[version].vulnerabilities
    document["affected"][0]["versions"] = [version]
    assert rate(ref, [version], [document])[version].vulnerabilities == ("GHSA-1",)
