"""This tests NuGet's order: four numbers, labels without regard to case, metadata ignored."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from univers.versions import NugetVersion

from securechain_ingest.advisories.matching import rate
from securechain_ingest.registries.nuget.names import NUGET, identify
from securechain_ingest.registries.nuget.versions import normal_version, range_key, version_key

# From Microsoft Learn, "NuGet package versioning": pre-release versions, and SemVer 2's own list.
DOCUMENTED = [
    "0.9.9.1",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "1.0.0.1-alpha",
    "1.0.0.1",
    "1.0.1-aaa",
    "1.0.1-alpha",
    "1.0.1-open",
    "1.0.1-zzz",
    "1.0.1",
    "1.2.0",
    "1.10",
]

numbers = st.lists(st.integers(0, 30), min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))
labels = st.lists(
    st.one_of(st.integers(0, 12).map(str), st.sampled_from(["alpha", "Beta", "RC", "rc1", "x-y", "-"])), max_size=3
)
metadata = st.sampled_from(["", "+build", "+1.2"])
versions = st.builds(
    lambda number, label, extra: number + (f"-{'.'.join(label)}" if label else "") + extra, numbers, labels, metadata
)


def test_the_documented_order_holds() -> None:
    backwards = DOCUMENTED[::-1]

    assert sorted(backwards, key=version_key) == DOCUMENTED


@given(versions, versions)
def test_the_order_is_that_of_the_clients(one: str, other: str) -> None:
    keys, theirs = (version_key(one), version_key(other)), (NugetVersion(one), NugetVersion(other))

    assert (keys[0] < keys[1]) == (theirs[0] < theirs[1])
    assert (keys[0] == keys[1]) == (theirs[0] == theirs[1])


@pytest.mark.parametrize(
    ("smaller", "greater"),
    [
        ("1.0-2147483647", "1.0-2147483648"),
        ("1.0-2147483647", "1.0-20200101000000"),
        ("1.0-20200101000000", "1.0-3000000000"),
        ("1.0-3000000000", "1.0-a"),
        ("1.0-9", "1.0-10"),
        ("1.0-007", "1.0-8"),
        ("1.0--5", "1.0-3"),
        ("1.0--2147483649", "1.0-3000000000"),
        ("1.0-A.20200101000000", "1.0-a.3000000000"),
        ("1.0-20200101000000", "1.0"),
    ],
)
def test_in_advisories_ranges_a_label_beyond_32_bits_is_text_as_to_nuget_itself(smaller: str, greater: str) -> None:
    assert range_key(smaller) < range_key(greater)


@given(versions, versions)
def test_else_both_orders_are_one(one: str, other: str) -> None:
    assert (range_key(one) < range_key(other)) == (version_key(one) < version_key(other))


def test_serial_numbers_keep_the_order_of_the_clients() -> None:
    assert NUGET.rank(["1.0-20200101000000", "1.0-3000000000"]) == {"1.0-3000000000": 0, "1.0-20200101000000": 1}
    assert NUGET.range_order("1.0-20200101000000") < NUGET.range_order("1.0-3000000000")


def test_an_advisory_reads_its_ranges_in_the_order_of_nuget() -> None:
    affected = {
        "package": {"ecosystem": "NuGet", "name": "Acme"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.0-3000000000"}]}],
    }
    ratings = rate(identify("Acme"), ["1.0-20200101000000"], [{"id": "GHSA-a", "affected": [affected]}])

    assert ratings["1.0-20200101000000"].vulnerabilities == ("GHSA-a",)


@given(st.lists(versions, unique=True))
def test_every_version_has_a_rank_of_its_own(names: list[str]) -> None:
    assert sorted(NUGET.rank(names).values()) == list(range(len(names)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", "1.0.0.0"),
        ("1.00.1", "1.0.1"),
        ("1.0.0-BETA", "1.0.0-beta"),
        ("1.0.0-rc.01", "1.0.0-rc.1"),
        ("1.0+a", "1.0+b"),
    ],
)
def test_spellings_of_one_version_are_equal(one: str, other: str) -> None:
    assert version_key(one) == version_key(other)


@pytest.mark.parametrize("name", ["", "1.0.0.0.0", "1.x", "1.0-", "-1.0", "1.0.0-be_ta", "latest", "1" * 300, "1.²"])
def test_what_is_no_version_is_not_ordered(name: str) -> None:
    assert NUGET.rank([name, "1.0"]) == {name: -1, "1.0": 0}


@pytest.mark.parametrize(
    ("name", "normal"),
    [
        ("1", "1.0.0"),
        ("1.00", "1.0.0"),
        ("1.01.1", "1.1.1"),
        ("1.0.0.0", "1.0.0"),
        ("1.0.01.0", "1.0.1"),
        ("1.2.3.4", "1.2.3.4"),
        ("1.0-Beta.01+sha", "1.0.0-Beta.01"),
        ("1.0.0+a-b", "1.0.0"),
    ],
)
def test_the_normal_form_is_the_documented_one(name: str, normal: str) -> None:
    assert normal_version(name) == normal
