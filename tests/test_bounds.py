"""Every text and every sum that a registry's answer brings has a bound, and what is beyond it is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from securechain_ingest import bounds
from securechain_ingest.bounds import (
    bounded_constraints,
    bounded_names,
    bounded_package,
    is_possible,
    require_possible,
    sentence,
)
from securechain_ingest.errors import InvalidName, Malformed, TooLarge
from securechain_ingest.model import Artifact, ImportNames, Package, PackageRef, Requirement, Version
from securechain_ingest.registries import DECLARATIONS
from tests.graph.builders import NPM, npm

SIX = npm("six")
ODD = ["a\0b", "a\nb", "a\x1bb", "a\x85b", "a\ud800b", ""]


def of(*versions: Version, **changes: Any) -> Package:
    return replace(Package(SIX, None, None, versions, (), None), **changes)


def version(name: str, *requirements: Requirement, release_date: str | None = None) -> Version:
    return Version(name, f"{SIX.purl}@{name}", release_date, requirements)


async def bounded(package: Package, max_versions: int = 100) -> Package:
    return await bounded_package(package, max_versions=max_versions)


async def test_a_package_within_its_bounds_stays_as_it_is_without_a_word() -> None:
    requirement = Requirement(npm("attrs"), "^1.0")
    package = of(
        version("1.0.0", requirement, release_date="2021-05-11T14:05:36Z"),
        version("ß-1", requirement),
        vendor="n/a",
        repository_url="https://github.com/a/b",
        artifacts=(Artifact("http://made/a.tgz", "a.tgz", "1.0.0", None),),
        validator='"etag"',
        revision="1-a",
        properties={"license": "MIT OR Apache-2.0"},
    )
    with capture_logs() as told:
        assert await bounded(package) == package
    assert told == []


@pytest.mark.parametrize("name", [*ODD, "1" * 1025, "é" * 600])
async def test_a_version_with_an_impossible_name_is_left_out_and_told(name: str) -> None:
    with capture_logs() as told:
        assert [each.name for each in (await bounded(of(version("1.0"), version(name)))).versions] == ["1.0"]
    [entry] = told
    assert (entry["event"], entry["log_level"], entry["versions"]) == ("package_bounded", "warning", 1)


async def test_a_version_name_of_1024_bytes_is_the_longest() -> None:
    assert len((await bounded(of(version("1" * 1024)))).versions) == 1


@pytest.mark.parametrize("name", [*ODD, "a" * 1025])
async def test_a_requirement_on_an_impossible_name_is_left_out_and_costs_nothing_else(name: str) -> None:
    bad = Requirement(PackageRef(NPM, name, name.lower(), f"pkg:npm/{name}"), "^1")
    good = Requirement(npm("attrs"), "^1")
    with capture_logs() as told:
        [kept] = (await bounded(of(version("1.0", bad, good)))).versions
    assert kept.requirements == (good,)
    assert told[0]["requirements"] == 1


async def test_a_requirement_whose_purl_alone_is_too_long_is_left_out() -> None:
    bad = Requirement(PackageRef(NPM, "é", "é", "pkg:npm/" + "%C3%A9" * 1000), "^1")
    assert (await bounded(of(version("1.0", bad)))).versions[0].requirements == ()


@pytest.mark.parametrize("text", ["x" * 65_537, "é" * 40_000, "1\0", "\ud800", "", "\n"])
async def test_constraints_that_nobody_can_mean_become_any(text: str) -> None:
    with capture_logs() as told:
        [kept] = (await bounded(of(version("1.0", Requirement(npm("attrs"), text))))).versions
    assert kept.requirements == (Requirement(npm("attrs"), "any"),)
    assert told[0]["constraints"] == 1


def test_line_breaks_in_constraints_are_spaces() -> None:
    assert bounded_constraints(">=1\r\n\t<2") == ">=1 <2"


async def test_texts_of_a_package_that_are_out_of_bounds_count_as_unknown() -> None:
    package = of(
        version("1.0", release_date="+12345-01-01T00:00:00Z"),
        vendor="v" * 256,
        repository_url="https://github.com/" + "a" * 2048,
        validator="\0",
        revision="r" * 1025,
        properties={"license": "MIT\n", "group_id": "a"},
        artifacts=(
            Artifact("http://made/" + "a" * 2048, "a.tgz", "1.0", None),
            Artifact("http://made/b", "b", "1.0", None),
        ),
    )
    with capture_logs() as told:
        kept = await bounded(package)
    assert (kept.vendor, kept.repository_url, kept.validator, kept.revision) == (None, None, None, None)
    assert kept.properties == {"group_id": "a"}
    assert [artifact.filename for artifact in kept.artifacts] == ["b"]
    assert kept.versions[0].release_date is None
    counted = {key for key in told[0] if key not in {"event", "log_level", "package", "example"}}
    assert counted == {
        "vendor", "repository_url", "validator", "revision", "license", "artifacts", "release_dates",
    }  # fmt: skip


async def test_a_package_of_too_many_versions_is_refused_with_its_reason() -> None:
    with pytest.raises(TooLarge, match=r"pkg:npm/six has 11 versions; at most 10 are written") as caught:
        await bounded(of(*(version(f"{number}.0") for number in range(11))), max_versions=10)
    assert not caught.value.transient


async def test_a_registry_that_gives_a_package_an_impossible_name_is_not_believed() -> None:
    with pytest.raises(Malformed):
        await bounded(of(version("1.0"), ref=PackageRef(NPM, "a\0b", "a\0b", "pkg:npm/a")))


def test_import_names_that_are_too_long_or_odd_are_left_out_and_the_package_says_so() -> None:
    names = ("a", "b" * 255, "c" * 256, "d\0", "\ud800")
    kept = bounded_names(ImportNames(names, error="of the archive", repository_url="https://github.com/a/b"))
    assert kept.names == ("a", "b" * 255)
    assert kept.repository_url == "https://github.com/a/b"
    assert kept.error is not None
    assert kept.error.startswith("of the archive; 3 of 5 names are left out")


def test_all_import_names_of_a_package_have_a_mebibyte_together() -> None:
    names = tuple(f"{number:05}" + "x" * 200 for number in range(10_000))
    kept = bounded_names(ImportNames(names))
    assert kept.names == names[: len(kept.names)]
    assert 1024 * 1024 - 205 < sum(map(len, kept.names)) <= 1024 * 1024
    assert kept.error is not None


def test_good_import_names_stay_as_they_are() -> None:
    names = ImportNames(("a", "b"), error="of 9 names the 2 nearest to the root are kept")
    assert bounded_names(names) is names


def test_a_reason_stands_on_one_short_line() -> None:
    told = sentence("a\r\nb\0c" + "x" * 5000)
    assert told.startswith("a b\N{REPLACEMENT CHARACTER}cxxx")
    assert len(told) == 1000


@given(st.text(alphabet=st.characters(), max_size=50))
def test_what_is_possible_can_be_sent_and_stored(text: str) -> None:
    if is_possible(text, 40):
        assert 0 < len(text.encode()) <= 40
        assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in text)
    sentence(text, 10).encode()
    bounded_constraints(text).encode()


@pytest.mark.parametrize("registry", DECLARATIONS, ids=lambda registry: registry.ecosystem.name)
@pytest.mark.parametrize("name", ["a\0b", "a\nb", "a\n", "a\x1b", "a\ud800", "a\x85b", "a" * 5000, ""])
@pytest.mark.parametrize("prefix", ["", "group:", "@scope/"])
def test_no_ecosystem_takes_an_impossible_name_for_a_package(registry: Any, name: str, prefix: str) -> None:
    with pytest.raises(InvalidName):
        require_possible(registry.identify(f"{prefix}{name}"))


def test_a_name_has_room_in_an_index_however_it_is_encoded() -> None:
    longest = bounds.MAX_PURL_BYTES + 1 + 3 * bounds.MAX_VERSION_BYTES
    assert longest < 8_000
    assert longest <= bounds.MAX_VERSION_PURL_BYTES
