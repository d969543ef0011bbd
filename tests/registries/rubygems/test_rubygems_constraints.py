"""What the graph's clients read from a written constraint is what RubyGems means by the declared requirement."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from univers.gem import GemRequirement
from univers.version_range import GemVersionRange
from univers.versions import RubygemsVersion

from securechain_ingest.registries.rubygems.constraints import MAX_CLAUSES, NOTHING, constraints

RELEASES = [f"{major}.{minor}{patch}" for major in range(4) for minor in range(5) for patch in ("", ".1", ".2")]
PRERELEASES = ["0.9.rc1", "1.0.beta", "1.0.beta2", "1.2.beta", "1.2.0.rc1", "1.3.a", "2.0.a", "2.0.0.beta", "3.0.rc1"]


def admitted(written: str, versions: list[str]) -> list[str]:
    """Return what depex keeps: `any` keeps all, else univers decides."""
    if written == "any":
        return versions
    accepted = GemVersionRange.from_native(written)  # type: ignore[no-untyped-call]
    return [version for version in versions if RubygemsVersion(version) in accepted]


def allowed(declared: str, versions: list[str]) -> list[str]:
    """By Gem::Requirement every clause holds. (univers has that too, but its range class does not go by it.)"""
    requirement = GemRequirement(*declared.split("&"))  # type: ignore[no-untyped-call]
    return [version for version in versions if requirement.satisfied_by(version)]  # type: ignore[no-untyped-call]


def written(declared: str) -> str:
    return constraints(tuple(declared.split("&")))


REAL = [
    ">= 0",
    "= 1.2.3",
    "~> 1.2",
    "~> 1",
    "~> 0",
    "~> 1.2.1",
    "!= 1.2",
    "> 1.0",
    "<= 2.0",
    "< 2.0&>= 1.0",
    "< 2&>= 1.0.beta",
    "!= 1.2&>= 1.0",
    "!= 1.2&~> 1.1",
    "!= 1.2&!= 1.3&< 3&>= 1",
]
"""They are as gems really require one another, in the order of the index."""

MISREAD = [
    ">= 1.0.2&~> 1.0",
    ">= 1.0&~> 1.2",
    "< 1.4&~> 1.2",
    "<= 2.0&~> 1.2",
    "~> 1.2&~> 1.2.1",
    ">= 1.0&>= 1.2",
    "< 2&< 3",
    "<= 2.0&< 2.0",
    "!= 1.2&!= 1.3",
    "!= 1.2&>= 1.0&~> 1.1",
    "= 1.2&>= 1.0",
    ">= 1.2&<= 1.2",
    "~> 1.0.beta",
    "~> 1.2.0.rc1",
    "~> 1.2.beta&>= 1.3",
]


@pytest.mark.parametrize("declared", REAL)
def test_a_requirement_that_clients_read_right_is_written_as_declared(declared: str) -> None:
    assert written(declared) == ", ".join(declared.split("&"))
    assert admitted(written(declared), RELEASES) == allowed(declared, RELEASES)


@pytest.mark.parametrize("declared", MISREAD)
def test_a_requirement_that_clients_misread_is_spelled_out(declared: str) -> None:
    assert written(declared) != ", ".join(declared.split("&"))
    assert admitted(written(declared), RELEASES) == allowed(declared, RELEASES)


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("", "any"),
        ("1.2", "1.2"),
        (">=1.0", ">=1.0"),
        (">= 1.0.2&~> 1.0", ">= 1.0.2, < 2.A"),
        (">= 1.0&~> 1.2", "~> 1.2"),
        ("~> 1.2&~> 1.2", "~> 1.2, ~> 1.2"),
        ("~> 4.0.0.beta", ">= 4.0.0.beta, < 4.1.A"),
        ("!= 1.5&!= 1.6", ">= 0.A, != 1.5, != 1.6"),
        ("!= 1.5&!= 1.6&> 0.a", "!= 1.5, != 1.6, > 0.a"),
        ("< 1&> 2", NOTHING),
        ("= 1.0&> 2", NOTHING),
        ("> 3&< 1", "< 0.A"),
        ("= 1.0&= 2.0", "< 0.A"),
        ("= 1.0&= 1.0.0", "= 1.0"),
        ("> 1&<= 1", NOTHING),
        ("~> x", "~> x"),
        (">= 1.0_1&< 2", ">= 1.0_1, < 2"),
    ],
)
def test_what_is_written(declared: str, expected: str) -> None:
    assert written(declared) == expected


def test_what_is_spelled_out_leaves_out_the_prereleases_of_the_next_series() -> None:
    assert admitted(written(">= 1.0.1&~> 1.0"), PRERELEASES) == ["1.2.beta", "1.2.0.rc1", "1.3.a"]
    assert admitted(written("~> 1.0.beta"), PRERELEASES) == allowed("~> 1.0.beta", PRERELEASES)


@pytest.mark.parametrize("declared", [">= 1.0.1&~> 1.0", "~> 1.0.beta"])
def test_the_prereleases_of_the_next_series_may_be_in_capitals(declared: str) -> None:
    versions = ["1.9", "1.9.RC1", "2.0.0.RC1", "2.0.A", "2.Beta.1", "2-RC"]

    assert admitted(written(declared), versions) == allowed(declared, versions) == ["1.9", "1.9.RC1"]


@pytest.mark.parametrize("declared", ["> 3&< 1", "= 1.0&= 2.0", "!= 1.0&!= 2.0", "!= 0.a&!= 2.0", "~> 1.0&< 1"])
def test_the_prereleases_of_zero_are_versions_too(declared: str) -> None:
    of_zero = ["0.0.0.alpha", "0.a", "0.0.pre.1", "0.0.1.rc1", "0-beta", "0"]

    assert admitted(written(declared), of_zero) == allowed(declared, of_zero)


def test_a_requirement_of_absurd_length_is_not_taken_apart() -> None:
    declared = tuple(f"!= 1.{number}" for number in range(MAX_CLAUSES + 1))

    assert constraints(declared) == ", ".join(declared)


_versions = st.builds(
    lambda major, rest: ".".join([str(major), *rest]),
    st.integers(0, 3),
    st.lists(st.integers(0, 4).map(str), max_size=2),
)
_clauses = st.builds(
    lambda op, version: f"{op} {version}", st.sampled_from(["=", "!=", ">", "<", ">=", "<=", "~>"]), _versions
)


@settings(max_examples=200)
@given(st.lists(_clauses, min_size=1, max_size=4))
def test_any_combination_of_clauses_admits_what_the_documentation_says(clauses: list[str]) -> None:
    declared = "&".join(clauses)

    assert admitted(written(declared), RELEASES) == allowed(declared, RELEASES)
    assert (written(declared) == NOTHING) <= (allowed(declared, RELEASES) == [])


@example([", 0"])
@example(["0,"])
@given(st.lists(st.text("0123.=<>!~ ab-,", max_size=12) | _clauses, max_size=4))
def test_a_constraint_is_never_empty_and_writing_it_again_changes_nothing(clauses: list[str]) -> None:
    once = constraints(tuple(clauses))

    assert once.strip()
    assert once == "any" or constraints(tuple(once.split(", "))) == once
