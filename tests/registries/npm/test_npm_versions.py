"""The order of npm versions is SemVer's, and the one that the graph's clients compare with."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from univers.versions import InvalidVersion, SemverVersion

from securechain_ingest.registries.kit.semver import is_prerelease, version_key
from securechain_ingest.registries.npm.names import NPM

_number = st.integers(0, 30).map(str)
_identifier = st.one_of(_number, st.text("abAB-019", min_size=1, max_size=4))
_identifiers = st.lists(_identifier, min_size=1, max_size=3).map(".".join)
_orderly = st.builds(
    lambda prefix, numbers, prerelease, build: (
        prefix + ".".join(numbers) + (f"-{prerelease}" if prerelease else "") + (f"+{build}" if build else "")
    ),
    st.sampled_from(("", "", "", "v", "V")),
    st.lists(_number, min_size=1, max_size=4),
    st.none() | _identifiers,
    st.none() | _identifiers,
)
_names = _orderly | st.text("0123.-+vVab= _", max_size=12)


def test_the_example_of_the_semver_specification_is_in_order() -> None:
    names = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
    ]
    names.append("1.0.0")

    assert sorted(set(names), key=version_key) == names


def test_build_metadata_does_not_count() -> None:
    assert version_key("1.2.3+one") == version_key("1.2.3+two") == version_key("1.2.3")


def test_versions_that_differ_by_build_metadata_only_have_ranks_of_their_own() -> None:
    assert NPM.rank(["1.0.0+b", "1.0.0+a", "0.9.0"]) == {"0.9.0": 0, "1.0.0+a": 1, "1.0.0+b": 2}


@pytest.mark.parametrize("name", ["", "latest", "=1.2.3", "x.1", "1.2.3-01", "1.2.3-a..b", "1" * 5000])
def test_a_name_without_an_order_has_none(name: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the promise is the class
        version_key(name)
    assert NPM.rank([name, "1.0.0"]) == {name: -1, "1.0.0": 0}


@pytest.mark.parametrize(("name", "prerelease"), [("1.0.0", False), ("1.0.0-0", True), ("1.0.0+a-b", False)])
def test_a_prerelease_is_told_from_a_release(name: str, prerelease: bool) -> None:
    assert is_prerelease(version_key(name)) is prerelease


@given(_names, _names)
@example("1.2.3\n", "1.2.3")
@example("1.0.0-1", "1.0.0--1")
@example("1.2.3.4", "1.2.3")
@example("", "0.0.0+.")
def test_two_names_are_ordered_as_univers_orders_them(one: str, other: str) -> None:
    keys = [_or_none(version_key, name) for name in (one, other)]
    theirs = [_or_none(SemverVersion, name) for name in (one, other)]

    assert [key is None for key in keys] == [version is None for version in theirs]
    if None not in keys:
        assert (keys[0] < keys[1]) == (theirs[0].value < theirs[1].value)
        assert (keys[0] > keys[1]) == (theirs[0].value > theirs[1].value)


def _or_none(read, name: str):  # type: ignore[no-untyped-def]  # either class of key
    try:
        return read(name)
    except (ValueError, InvalidVersion):
        return None


def test_a_name_of_absurd_length_has_no_order() -> None:
    with pytest.raises(ValueError, match="characters"):
        version_key("1.0.0-" + "1." * 1000 + "!")
