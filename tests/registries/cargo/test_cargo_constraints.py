"""What the graph's clients read from a written constraint is what Cargo means by the requirement."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from univers.version_range import NpmVersionRange
from univers.versions import SemverVersion

from securechain_ingest.registries.cargo.constraints import constraints, joined
from securechain_ingest.registries.kit.semver_ranges import MAX_RANGE_LENGTH, NOTHING

SAMPLE = [
    *("0.0.0", "0.0.1", "0.0.2", "0.0.3", "0.1.0", "0.1.2", "0.2.0", "0.2.5", "0.3.0"),
    *("1.0.0", "1.1.0", "1.2.0", "1.2.2", "1.2.3", "1.2.4", "1.3.0", "1.9.9", "2.0.0", "2.3.0", "3.0.0"),
]


def admitted(written: str, versions: list[str]) -> list[str]:
    """Return what depex keeps: `any` keeps all, else univers decides."""
    if written == "any":
        return versions
    accepted = NpmVersionRange.from_native(written)  # type: ignore[no-untyped-call]
    return [version for version in versions if SemverVersion(version) in accepted]


@pytest.mark.parametrize(
    ("requirement", "first", "beyond"),
    [
        # The tables of The Cargo Book, "Specifying Dependencies".
        ("1.2.3", "1.2.3", "2.0.0"),
        ("1.2", "1.2.0", "2.0.0"),
        ("1", "1.0.0", "2.0.0"),
        ("0.2.3", "0.2.5", "0.3.0"),
        ("0.2", "0.2.0", "0.3.0"),
        ("0.0.3", "0.0.3", "0.1.0"),
        ("0.0", "0.0.0", "0.1.0"),
        ("0", "0.0.0", "1.0.0"),
        ("~1.2.3", "1.2.3", "1.3.0"),
        ("~1.2", "1.2.0", "1.3.0"),
        ("~1", "1.0.0", "2.0.0"),
        ("*", "0.0.0", None),
        ("1.*", "1.0.0", "2.0.0"),
        ("1.2.*", "1.2.0", "1.3.0"),
        (">= 1.2.0", "1.2.0", None),
        ("> 1", "2.0.0", None),
        ("< 2", "0.0.0", "2.0.0"),
        ("= 1.2.3", "1.2.3", "1.2.4"),
        (">= 1.2, < 1.5", "1.2.0", "1.9.9"),
        # The documentation of the semver crate, "Op", for partial versions.
        ("=1", "1.0.0", "2.0.0"),
        ("=1.2", "1.2.0", "1.3.0"),
        (">1.2", "1.3.0", None),
        ("<=1.2", "0.0.0", "1.3.0"),
        ("<=1", "0.0.0", "2.0.0"),
        (">=1.2", "1.2.0", None),
        ("<1.2", "0.0.0", "1.2.0"),
        # As found in the index.
        ("^0.0", "0.0.0", "0.1.0"),
        ("^0", "0.0.0", "1.0.0"),
        ("^0.0.2", "0.0.2", "0.0.3"),
        (">=1.0,<2.0", "1.0.0", "2.0.0"),
        (">= 0.1, < 0.3", "0.1.0", "0.3.0"),
        ("<2.0, >=1.0", "1.0.0", "2.0.0"),
        ("^1.1, <1.3", "1.1.0", "1.3.0"),
        (">=1.0.0-alpha.1, <2.0", "1.0.0", "2.0.0"),
        ("~1.2.3-beta", "1.2.3", "1.3.0"),
        ("^1.0.0-rc.2", "1.0.0", "2.0.0"),
        ("1.2.3+build", "1.2.3", "2.0.0"),
        ("^ 1.2", "1.2.0", "2.0.0"),
        ("1.x", "1.0.0", "2.0.0"),
    ],
)
def test_a_requirement_admits_what_cargo_admits(requirement: str, first: str, beyond: str | None) -> None:
    expected = SAMPLE[SAMPLE.index(first) : None if beyond is None else SAMPLE.index(beyond)]

    assert admitted(constraints(requirement), SAMPLE) == expected


@pytest.mark.parametrize(
    "requirement", ["^1.0", "~1.2", "=1.2.3", ">=1.0, <2.0", "*", "^0.3.1", ">= 0.5, < 0.8", "= 0.2.1"]
)
def test_a_requirement_that_clients_read_right_is_written_as_declared(requirement: str) -> None:
    assert constraints(requirement) == requirement


@pytest.mark.parametrize(
    ("requirement", "written"),
    [
        ("1.*", "1.x"),
        ("1.2.*", "1.2.x"),
        ("1.0", "^1.0"),
        ("^0", ">=0.0.0, <1.0.0"),
        ("^0.0", ">=0.0.0, <0.1.0"),
        ("0.0", ">=0.0.0, <0.1.0"),
        ("=1.2", "1.2.x"),
        (">1", ">=2.0.0"),
        (">=1,<2", ">=1, <2"),
        ("^1.0.0+b", ">=1.0.0, <2.0.0"),
        (">=1.0.0-a, <2.0", ">=1.0.0-a <2.0.0"),
        ("", "any"),
        (">2, <1", NOTHING),
        ("not a requirement", "not a requirement"),
    ],
)
def test_a_requirement_that_clients_misread_is_spelled_out(requirement: str, written: str) -> None:
    assert constraints(requirement) == written


@pytest.mark.parametrize(
    ("requirements", "written"),
    [
        (["^1.0", "^1.0"], "^1.0"),
        ([">=1.0", "<2.0"], ">=1.0, <2.0"),
        (["^1.0", "^1.2"], ">=1.2.0, <2.0.0"),
        (["^0.14.0", "^0.15.0", "^0.16.0"], "^0.14.0 || ^0.15.0 || ^0.16.0"),
        (["^2", "^1", "^1.2"], "^1.2 || ^2"),
        (["*", "^1"], ">=1.0.0, <2.0.0"),
        (["broken", "^1"], "broken || ^1"),
    ],
)
def test_entries_on_one_crate_all_hold_or_if_they_exclude_each_other_stand_side_by_side(
    requirements: list[str], written: str
) -> None:
    assert joined(requirements) == written


def test_a_requirement_of_absurd_length_is_not_taken_apart() -> None:
    requirement = ">1, " * MAX_RANGE_LENGTH

    assert constraints(requirement) == requirement


Comparator = tuple[str, list[str]]

_numbers = st.lists(st.integers(0, 3).map(str), min_size=1, max_size=3)
_comparators = st.tuples(st.sampled_from(["", "=", "^", "~", ">", ">=", "<", "<="]), _numbers)
_wildcards = st.tuples(
    st.just(""), st.lists(st.integers(0, 3).map(str), min_size=1, max_size=2).map(lambda n: [*n, "*"])
)
_VERSIONS = [f"{major}.{minor}.{patch}" for major in range(5) for minor in range(5) for patch in range(5)]


@settings(max_examples=200)
@given(
    st.lists(_comparators | _wildcards, min_size=1, max_size=3),
    st.sampled_from([",", ", ", " , "]),
    st.sampled_from(["", " "]),
)
def test_any_combination_of_comparators_admits_what_the_documentation_says(
    comparators: list[Comparator], comma: str, space: str
) -> None:
    requirement = comma.join(
        f"{operator}{space if operator else ''}{'.'.join(parts)}" for operator, parts in comparators
    )
    expected = [version for version in _VERSIONS if all(_satisfies(version, *one) for one in comparators)]
    written = constraints(requirement)

    assert admitted(written, _VERSIONS) == expected
    assert written


@settings(max_examples=100)
@given(st.lists(st.lists(_comparators, min_size=1, max_size=2), min_size=2, max_size=4))
@example([[("<", ["0"])], [("<", ["1"])]])
def test_joined_entries_are_readable_and_admit_nothing_that_no_entry_admits(entries: list[list[Comparator]]) -> None:
    declared = [", ".join(operator + ".".join(parts) for operator, parts in entry) for entry in entries]
    each = [[version for version in _VERSIONS if all(_satisfies(version, *one) for one in entry)] for entry in entries]
    together = admitted(joined(declared), _VERSIONS)

    assert {version for version in _VERSIONS if all(version in one for one in each)} <= set(together)
    assert set(together) <= {version for one in each for version in one}
    assert together or not any(each)


@given(st.text("0123.xX*^~<>=, -+ab", max_size=30) | st.text(max_size=20))
def test_a_constraint_is_never_empty_and_writing_it_again_changes_nothing(requirement: str) -> None:
    written = constraints(requirement)

    assert written
    assert written == "any" or constraints(written) == written


def _satisfies(text: str, operator: str, parts: list[str]) -> bool:
    """By the semver crate's documentation for releases only the parts that are given are compared."""
    version = [int(part) for part in text.split(".")]
    numbers = [int(part) for part in parts if part != "*"]
    prefix = version[: len(numbers)]
    is_caret = operator == "^" or (operator == "" and "*" not in parts)
    if is_caret:
        leading = next((index for index, number in enumerate(numbers) if number), len(numbers) - 1)
        return prefix >= numbers and version[: leading + 1] == numbers[: leading + 1]
    match operator:
        case ">":
            return prefix > numbers
        case ">=":
            return prefix >= numbers
        case "<":
            return prefix < numbers
        case "<=":
            return prefix <= numbers
        case "~":
            return prefix >= numbers and version[: min(2, len(numbers))] == numbers[:2]
        case _:
            return prefix == numbers


def test_entries_that_have_only_prereleases_in_common_each_bring_a_version() -> None:
    assert joined(["0.0.0", ">0.0.0"]) == ">=0.0.0"
    assert admitted(joined(["=1.0.0", ">1.0.0, <1.0.2"]), ["1.0.0", "1.0.1", "1.0.2"]) == ["1.0.0", "1.0.1"]
