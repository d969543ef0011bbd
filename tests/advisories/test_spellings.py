"""This tests names, versions and boundaries as authors of advisories write them."""

from __future__ import annotations

from typing import Any

import pytest

from securechain_ingest.advisories.matching import rate
from securechain_ingest.advisories.names import lookup_key, spellings
from securechain_ingest.registries import named_package

PEP_503 = (
    "friendly-bard",
    "Friendly-Bard",
    "FRIENDLY-BARD",
    "friendly.bard",
    "friendly_bard",
    "friendly--bard",
    "FrIeNdLy-._.-bArD",
    " friendly-bard ",
)


def element(ecosystem: str | None, name: str, **fields: Any) -> dict[str, Any]:
    return {"package": {"ecosystem": ecosystem, "name": name}, **fields}


def affected(package: str, versions: list[str], *elements: dict[str, Any]) -> list[str]:
    ref = named_package(package)
    ratings = rate(ref, versions, [{"id": "GHSA-1", "affected": list(elements)}])
    return [version for version in versions if ratings[version].vulnerabilities]


@pytest.mark.parametrize("name", PEP_503)
@pytest.mark.parametrize("package", ["pypi:friendly-bard", "pypi:Friendly.Bard", "pypi:friendly_bard"])
def test_every_spelling_of_a_project_is_that_project(package: str, name: str) -> None:
    assert affected(package, ["1"], element("PyPI", name, versions=["1"])) == ["1"]
    assert lookup_key(name) in {lookup_key(each) for each in spellings(named_package(package))}


def test_mixtures_of_separators_are_among_the_spellings() -> None:
    assert {"a.b_c", "a_b-c", "a.b.c", "a-b-c"} <= spellings(named_package("pypi:a_b.c"))
    assert {"a-b_c", "a_b-c", "a-b-c", "a_b_c"} == spellings(named_package("cargo:a-b_c"))
    assert spellings(named_package("npm:a-b_c")) == {"a-b_c"}
    assert spellings(named_package("gem:a-b_c")) == {"a-b_c"}


def test_a_name_of_very_many_separators_has_not_very_many_spellings() -> None:
    assert len(spellings(named_package("pypi:" + "-".join("a" * 50)))) < 10


def test_the_repository_behind_an_ecosystem_does_not_matter() -> None:
    version = {"versions": ["1"]}
    assert affected("maven:g:a", ["1"], element("Maven:https://repo.example.org/m2", "g:a", **version)) == ["1"]
    assert affected("maven:g:a", ["1"], element("Mavens", "g:a", **version)) == []


@pytest.mark.parametrize(
    ("package", "listed", "versions", "expected"),
    [
        ("pypi:x", "1.0", ["1.0.0", "1", "v1.0", "1.0.1", "1.0rc1"], ["1.0.0", "1", "v1.0"]),
        ("pypi:x", "v1.0", ["1.0"], ["1.0"]),
        ("pypi:x", "1.0-RC1", ["1.0rc1", "1.0"], ["1.0rc1"]),
        ("pypi:x", "01.02", ["1.2"], ["1.2"]),
        ("npm:x", "v1.0.0", ["1.0.0", "1.0.1"], ["1.0.0"]),
        ("npm:x", " 1.0.0 ", ["1.0.0"], ["1.0.0"]),
        ("cargo:x", "1.0.0", ["1.0.0+build", "1.0.1"], ["1.0.0+build"]),
        ("gem:x", "1.0", ["1.0.0", "1.0.a"], ["1.0.0"]),
        ("gem:x", "v1.0", ["1.0"], ["1.0"]),
        ("nuget:x", "1.0", ["1.0.0", "1.0.0.0", "1.0.0.1", "1.0.0-a"], ["1.0.0", "1.0.0.0"]),
        ("nuget:x", "1.0.0-BETA", ["1.0.0-beta"], ["1.0.0-beta"]),
        ("maven:g:x", "1.0", ["1.0.0", "1", "1.0.1"], ["1.0.0", "1"]),
        ("pypi:x", "2004D", ["2004d", "2004D"], ["2004D"]),
    ],
)
def test_a_listed_version_is_affected_in_every_spelling_that_its_ecosystem_takes_for_it(
    package: str, listed: str, versions: list[str], expected: list[str]
) -> None:
    ecosystem = named_package(package).ecosystem.osv
    name = named_package(package).registry_name
    assert affected(package, versions, element(ecosystem, name, versions=[listed])) == expected


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([{"introduced": "0"}, {"fixed": "1.5"}], ["1.0"]),
        ([{"introduced": " 1.5 "}], ["1.5", "2.0"]),
        ([{"introduced": "0", "fixed": "1.5"}], ["1.0"]),
        ([{"fixed": "2.0"}, {"introduced": "1.5"}, {"fixed": "1.0.1"}, {"introduced": "0"}], ["1.0", "1.5"]),
        ([{"introduced": "0"}, {"last_affected": "1.5.0"}], ["1.0", "1.5"]),
        ([{"introduced": "0"}, {"limit": "1.5"}], ["1.0"]),
        ([{"fixed": "1.5"}], []),
        ([{"introduced": ""}], []),
        ([{"introduced": "0"}, {"fixed": ""}], []),
        ([{"introduced": "2.0"}, {"fixed": "1.0"}], ["2.0"]),
        ([{"introduced": "0", "fixed": None}, {"introduced": None, "fixed": "1.5"}], ["1.0"]),
        ([{"introduced": "1.5"}, {"fixed": None, "last_affected": None, "limit": None}], ["1.5", "2.0"]),
    ],
)
@pytest.mark.parametrize("package", ["pypi:x", "npm:x", "gem:x", "nuget:x", "maven:g:x"])
def test_events_are_read_whatever_their_order_and_spelling(
    package: str, events: list[dict[str, str | None]], expected: list[str]
) -> None:
    ref = named_package(package)
    versions = ["1.0", "1.5", "2.0"] if package != "npm:x" else ["1.0.0", "1.5.0", "2.0.0"]
    wanted = expected if package != "npm:x" else [f"{version}.0" for version in expected]
    ranges = [{"type": "ECOSYSTEM", "events": events}]
    assert affected(package, versions, element(ref.ecosystem.osv, ref.registry_name, ranges=ranges)) == wanted


# To Maven the `v` is a word of the version.
@pytest.mark.parametrize("package", ["pypi:x", "gem:x", "nuget:x"])
def test_a_boundary_may_be_written_as_a_tag(package: str) -> None:
    ref = named_package(package)
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "v1.5"}]}]
    assert affected(package, ["1.0", "1.5"], element(ref.ecosystem.osv, ref.registry_name, ranges=ranges)) == ["1.0"]


def test_elements_without_a_package_and_ranges_of_commits_affect_nothing_and_are_no_fault() -> None:
    commits = {"type": "GIT", "repo": "https://example.org/x", "events": [{"introduced": "0"}, {"fixed": "abc"}]}
    assert affected("pypi:x", ["1"], {"ranges": [commits]}, element("PyPI", "x", ranges=[commits])) == []


@pytest.mark.parametrize(("withdrawn", "counts"), [(None, True), ("", True), ("2026-01-01T00:00:00Z", False)])
def test_only_a_time_of_withdrawal_withdraws(withdrawn: str | None, counts: bool) -> None:
    document = {"id": "GHSA-1", "withdrawn": withdrawn, "affected": [element("PyPI", "x", versions=["1"])]}
    assert bool(rate(named_package("pypi:x"), ["1"], [document])["1"].vulnerabilities) is counts
