"""This tests PEP 440 specifiers as the clients of the graph read them (contract, section 2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from univers.version_range import PypiVersionRange
from univers.versions import PypiVersion

from securechain_ingest.registries.pypi.constraints import MAX_CLAUSES, constraints


def written(declared: str) -> str:
    return constraints(tuple(map(str, SpecifierSet(declared))))


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("", "any"),
        (">=1.0", ">=1.0"),
        (">= 1.0 , < 2.0", ">=1.0, <2.0"),
        ("<3.0,>=1.0", "<3.0, >=1.0"),
        ("!=1.5", "!=1.5"),
        ("==1.0", "==1.0"),
        ("==1.0+local.1", "==1.0+local.1"),
        ("~=1.4.2", ">=1.4.2, <1.5"),
        ("~=2.2", ">=2.2, <3"),
        ("~=1.4.5a4", ">=1.4.5a4, <1.5"),
        ("~=2.2.post3", ">=2.2.post3, <3"),
        ("~=1!2.3", ">=1!2.3, <1!3"),
        ("==2.19.*", ">=2.19, <2.20"),
        ("==1!2.*", ">=1!2, <1!3"),
        ("!=1.5.*", "<1.5, >=1.6"),
        ("===1.0", "==1.0"),
    ],
)
def test_each_operator_is_written_as_the_contract_says(declared: str, expected: str) -> None:
    assert written(declared) == expected


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (">=1.0,>=1.2", ">=1.2"),
        (">=1.0,>1.0", ">1.0"),
        ("<2,<=1.8,>=1", "<=1.8, >=1"),
        (">=1.0,==1.5", "==1.5"),
        (">=1.5,<=1.5", "==1.5"),
        ("==1.5,!=1.4", "==1.5"),
        (">=1.0,!=1.5.*,<2", ">=1.0, <1.5, >=1.6, <2"),
        ("!=1.5.*,!=1.6.*", "<1.5, >=1.7"),
        (">=1.5.3,!=1.5.*", ">=1.6"),
        ("~=1.4,>=1.5", "<2, >=1.5"),
    ],
)
def test_clauses_that_others_imply_are_left_out(declared: str, expected: str) -> None:
    assert written(declared) == expected


def test_a_version_keeps_its_spelling_whatever_was_read_before() -> None:
    assert [written(">=1"), written(">=1.0"), written(">=1.0.0")] == [">=1", ">=1.0", ">=1.0.0"]


def test_several_exclusions_alone_stand_with_a_bound_since_the_clients_find_nothing_otherwise() -> None:
    assert written("!=1.5,!=1.6") == ">=0.dev0, !=1.5, !=1.6"


@pytest.mark.parametrize("declared", [">=2, <1", "==1.0, ==2.0", ">1.0, <1.0"])
def test_what_no_version_can_satisfy_is_written_as_declared(declared: str) -> None:
    assert written(declared) == declared


def test_arbitrary_equality_with_what_is_no_version_is_no_constraint() -> None:
    assert constraints(("===whatever",)) == "any"
    assert constraints((">=1.0", "===whatever")) == ">=1.0"


def test_more_clauses_than_any_requirement_has_are_no_constraint() -> None:
    holes = tuple(f"!=1.{minor}.*" for minor in range(0, 4 * MAX_CLAUSES, 2))

    assert constraints(holes[: MAX_CLAUSES + 1]) == "any"
    assert constraints(holes[:MAX_CLAUSES]).count(",") == 2 * MAX_CLAUSES - 1


def parsed(text: str) -> PypiVersionRange:
    return PypiVersionRange.from_native(text)  # type: ignore[no-untyped-call, no-any-return]


_RELEASES = [f"{major}.{minor}{patch}" for major in range(3) for minor in range(4) for patch in ("", ".0", ".1", ".2")]
_VERSIONS = [*_RELEASES, "1!0.5", "1!1.1", "0.9.post1", "3.0"]

_release = st.sampled_from(_RELEASES)
_clause = st.one_of(
    st.builds("{}{}".format, st.sampled_from([">=", "<=", "<", ">", "==", "!="]), _release),
    st.builds("~={}".format, _release),
    st.builds("{}{}.*".format, st.sampled_from(["==", "!="]), _release),
)


def satisfiable(declared: SpecifierSet) -> list[str]:
    return [version for version in _VERSIONS if declared.contains(version, prereleases=True)]


@given(st.lists(_clause, max_size=6))
def test_the_clients_find_exactly_the_releases_that_pip_would_take(clauses: list[str]) -> None:
    declared = SpecifierSet(",".join(clauses))
    text = constraints(tuple(clauses))
    wanted = satisfiable(declared)

    if text == "any":
        assert wanted == _VERSIONS
    elif wanted:
        clients = parsed(text)
        assert [version for version in _VERSIONS if PypiVersion(version) in clients] == wanted


_suffix = st.sampled_from(["", "a1", "b2", "rc3", ".post1", ".dev4", "rc1.post2.dev3"])
_wild_version = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "1!"]),
    st.lists(st.integers(0, 3000), min_size=2, max_size=4).map(lambda parts: ".".join(map(str, parts))),
    _suffix,
)
_wild_clause = st.one_of(
    st.builds("{}{}".format, st.sampled_from([">=", "<=", "<", ">", "==", "!=", "~=", "==="]), _wild_version),
    st.builds("{}{}+local".format, st.sampled_from(["==", "!="]), _wild_version),
)


@given(st.lists(_wild_clause, min_size=1, max_size=5))
def test_whatever_is_declared_is_parsed_by_the_clients_and_never_empty(clauses: list[str]) -> None:
    text = written(",".join(clauses))

    assert text == "any" or parsed(text).constraints


@given(_wild_version)
def test_a_plain_bound_admits_its_own_version(version: str) -> None:
    for operator in (">=", "<=", "==", "~="):
        assert PypiVersion(version) in parsed(written(f"{operator}{version}"))
    assert Version(version) == PypiVersion(version).value
