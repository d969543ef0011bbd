"""The order of gem versions is Gem::Version's, and the one that the graph's clients compare with."""

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from univers.versions import RubygemsVersion

from securechain_ingest.registries.rubygems.names import RUBYGEMS
from securechain_ingest.registries.rubygems.versions import is_prerelease, next_series, version_key

_segments = st.one_of(
    st.integers(0, 12).map(str), st.sampled_from(["00", "01", "a", "b", "A", "rc", "pre", "beta1", "b2c"])
)
_names = st.builds(
    lambda first, rest, dash: ".".join([str(first), *rest]) + dash,
    st.integers(0, 3),
    st.lists(_segments, max_size=5),
    st.sampled_from(["", "", "", "-rc1", "-1.2", "-a-b"]),
)


def test_the_examples_of_the_documentation_are_in_order() -> None:
    """Gem::Version says: "Prereleases sort between real releases (newest to oldest)", and numbers within words."""
    names = ["0.9", "1.0.a.2", "1.0.b1", "1.0", "1.0.1", "1.2", "1.10", "1.10.1", "2.0.a9", "2.0.a10", "2"]

    assert sorted(set(names), key=version_key) == names


@pytest.mark.parametrize(
    ("one", "other"),
    [("1", "1.0"), ("1.0", "1.0.0"), ("1.a", "1.0.a"), ("1.0.0.rc1", "1.rc.1"), ("1-rc1", "1.pre.rc.1")],
)
def test_zeros_at_an_end_do_not_count(one: str, other: str) -> None:
    assert version_key(one) == version_key(other)


def test_equal_versions_have_ranks_of_their_own() -> None:
    assert RUBYGEMS.rank(["1.0.0", "1.0", "0.9"]) == {"0.9": 0, "1.0": 1, "1.0.0": 2}


@pytest.mark.parametrize(
    "name", ["", "latest", "v1.0", "1.", ".1", "1..2", "1.0_1", "1.0+a", "1.0 ", "1.0\n", "1" * 5000]
)
def test_a_name_without_an_order_has_none(name: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the promise is the class
        version_key(name)
    assert RUBYGEMS.rank([name, "1.0"]) == {name: -1, "1.0": 0}


@pytest.mark.parametrize(("name", "prerelease"), [("1.0", False), ("1.0.a", True), ("1.0-1", True), ("1.rc1", True)])
def test_a_prerelease_is_told_from_a_release(name: str, prerelease: bool) -> None:
    assert is_prerelease(name) is prerelease


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("1", "2"),
        ("1.4", "2"),
        ("1.4.2", "1.5"),
        ("1.4.2.9", "1.4.3"),
        ("0", "1"),
        ("1.4.beta", "2"),
        ("4.0.0.rc1", "4.1"),
    ],
)
def test_a_pessimistic_requirement_ends_with_its_series(name: str, end: str) -> None:
    assert next_series(name) == end


@given(_names, _names)
@example("1.0.a.0.b", "1.0.a")
@example("1.0.0.a", "1.0.1")
def test_two_names_are_ordered_as_univers_orders_them(one: str, other: str) -> None:
    keys = version_key(one), version_key(other)
    theirs = RubygemsVersion(one), RubygemsVersion(other)

    assert (keys[0] < keys[1]) == (theirs[0] < theirs[1])
    assert (keys[0] == keys[1]) == (theirs[0] == theirs[1])


@given(st.lists(_names, min_size=3, max_size=6))
def test_the_order_is_total(names: list[str]) -> None:
    for one, other, third in itertools.permutations(names, 3):
        if version_key(one) <= version_key(other) <= version_key(third):
            assert version_key(one) <= version_key(third)
    assert sorted(RUBYGEMS.rank(names).values()) == list(range(len(set(names))))
