"""The order of Maven's versions is the documented one, total, and the one that the graph's clients compare with."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from univers.versions import MavenVersion

from securechain_ingest.registries.maven.metadata import default_version
from securechain_ingest.registries.maven.names import MAVEN
from securechain_ingest.registries.maven.versions import is_release, version_key

_number = st.integers(0, 30).map(str)
_numbers = st.lists(_number, min_size=1, max_size=4).map(".".join)
_words = st.sampled_from(
    ("alpha", "beta", "milestone", "rc", "cr", "snapshot", "final", "ga", "sp", "jre", "incubating")
)
_plain = st.builds(
    lambda numbers, qualifier: numbers + qualifier,
    _numbers,
    st.just("") | st.builds(lambda word, number: f"-{word}{number}", _words, st.just("") | _number.map("-{}".format)),
)
_any = st.text("0123456789.-_+aAbBmMrcRCvxé ", max_size=14)


@pytest.mark.parametrize(
    "ascending",
    [
        # From the specification in Maven's POM reference.
        ["1", "1.1"],
        ["1-snapshot", "1", "1-sp"],
        ["1-foo2", "1-foo10"],
        ["1.foo", "1-foo", "1-1", "1.1"],
        ["1-sp", "1.1"],
        ["1-sp", "1-ga-1"],
        ["1-a1", "1-alpha-2"],
        # Real ones.
        ["1.0-alpha-1", "1.0-beta-1", "1.0-M1", "1.0-rc1", "1.0-SNAPSHOT", "1.0", "1.0.1"],
        ["4.0.0.Alpha1", "4.0.0.Beta2", "4.0.0.CR1", "4.0.0.Final", "4.0.0.SP1", "4.0.1.Final"],
        ["r03", "r09", "10.0-rc1", "10.0", "23.6-android", "23.6-jre", "24.0-jre"],
        ["2.9.10", "2.9.10.1", "2.9.10.8", "2.10.0"],
        ["1.2.9", "1.2.10", "20030203.000550"],
    ],
)
def test_documented_and_real_versions_are_in_order(ascending: list[str]) -> None:
    keys = [version_key(name) for name in ascending]

    assert sorted(set(keys)) == keys


@pytest.mark.parametrize(
    ("one", "other"),
    [("1", "1.0.0"), ("1.ga", "1-ga"), ("1-final", "1.0"), ("1.0-cr1", "1-RC1"), ("1-a1", "1-alpha-1")],
)
def test_spellings_of_one_version_are_equal_and_still_have_ranks_of_their_own(one: str, other: str) -> None:
    assert version_key(one) == version_key(other)
    assert sorted(MAVEN.rank([one, other]).values()) == [0, 1]


@pytest.mark.parametrize("name", ["", " ", "v", "1.²", "1.٣", "9" * 5000])
def test_a_name_without_an_order_has_none_and_the_others_keep_theirs(name: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the promise is the class
        version_key(name)
    assert MAVEN.rank([name, "1.0", "0.9"]) == {name: -1, "0.9": 0, "1.0": 1}


@given(_plain, _plain)
def test_two_versions_are_ordered_as_the_clients_order_them(one: str, other: str) -> None:
    ours, theirs = (version_key(one), version_key(other)), (MavenVersion(one), MavenVersion(other))

    assert (ours[0] < ours[1], ours[0] == ours[1]) == (theirs[0] < theirs[1], theirs[0] == theirs[1])


@given(st.lists(_any, max_size=6))
def test_any_names_have_dense_ranks(names: list[str]) -> None:
    ranks = MAVEN.rank(names)

    assert ranks.keys() == set(names)
    assert sorted(rank for rank in ranks.values() if rank >= 0) == list(
        range(sum(rank >= 0 for rank in ranks.values()))
    )


@pytest.mark.parametrize(
    "name",
    [
        *("1.0", "1.0.Final", "33.2.1-jre", "2.0.RELEASE", "1.0-incubating", "9999.0-empty", "3.0-ga", "1.0-sp1"),
        *("1.0-alphabet", "1.0-spring", "2.3_2.12", "1.0-src", "4.1-sparc"),
    ],
)
def test_these_are_releases(name: str) -> None:
    assert is_release(name)


@pytest.mark.parametrize(
    "name",
    [
        *("1.0-SNAPSHOT", "1.0-alpha-1", "5.0.0.Alpha2", "4.2.0-M1", "1.0-rc1", "2.0b3", "1.0-pre2", "1-EA+4", ""),
        # These words are joined as Maven's order does not see them, or it does not know them.
        *("1.0_beta1", "2.0.0-BETA_3", "1.2_RC1", "1.0+alpha", "2.0~rc1", "1.0_SNAPSHOT", "2.10.0.pr1"),
        "1.0-prerelease1",
    ],
)
def test_these_are_none(name: str) -> None:
    assert not is_release(name)


@pytest.mark.parametrize(
    ("versions", "default"),
    [
        (("1.0", "2.0", "3.0-beta-1"), "2.0"),
        (("4.1.9.Final", "5.0.0.Alpha2", "4.2.1.Final"), "4.2.1.Final"),
        (("1.0-alpha-1", "1.0-alpha-2"), "1.0-alpha-2"),
        (("²", "0.1"), "0.1"),
        (("1.4", "2.16.1", "20030203.000550"), "2.16.1"),
        (("20180130", "20231013", "20090211"), "20231013"),
        (("1.0-beta-1", "20040616"), "20040616"),
    ],
)
def test_the_default_is_the_newest_release_else_the_newest(versions: tuple[str, ...], default: str) -> None:
    assert default_version(versions) == default
