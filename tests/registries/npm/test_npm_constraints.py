"""What the graph's clients read from a written constraint is what npm means by the declared range."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from univers.version_range import NpmVersionRange
from univers.versions import SemverVersion

from securechain_ingest.registries.kit.semver_ranges import MAX_RANGE_LENGTH, NOTHING
from securechain_ingest.registries.npm.constraints import constraints, either

TABLE = json.loads((Path(__file__).parent / "node_semver_ranges.json").read_text())
ADMITTED: dict[str, list[str] | None] = TABLE["admitted"]


def admitted(written: str, versions: list[str]) -> list[str]:
    """Return what depex keeps: `any` keeps all, else univers decides."""
    if written == "any":
        return versions
    accepted = NpmVersionRange.from_native(written)  # type: ignore[no-untyped-call]
    return [version for version in versions if SemverVersion(version) in accepted]


@pytest.mark.parametrize("declared", [text for text, versions in ADMITTED.items() if versions is not None])
def test_a_range_admits_what_node_semver_admits(declared: str) -> None:
    assert admitted(constraints(declared), TABLE["sample"]) == ADMITTED[declared]


@pytest.mark.parametrize("declared", [text for text, versions in ADMITTED.items() if versions is None])
def test_what_is_no_range_is_written_as_declared(declared: str) -> None:
    assert constraints(declared) == declared


@pytest.mark.parametrize(
    "declared",
    [
        "^1.2.3",
        "~1.2.3",
        "1.2.3",
        "=1.2.3",
        "1.x",
        "1.2.x",
        "^1",
        "^1.2",
        "~1.2",
        ">=1.0.0 <2.0.0",
        ">= 0.5.0 < 1.0.0",
        "^1 || ^2",
        "^1||^2",
        "<1.0.0 || >=2.0.0",
        "1.2.3 - 2.3.4",
        "1 - 2",
        ">=0",
        "^1.2.3-beta.1",
    ],
)
def test_a_range_that_clients_read_right_is_written_as_declared(declared: str) -> None:
    assert constraints(declared) == declared


@pytest.mark.parametrize(
    ("declared", "written"),
    [
        ("", "any"),
        ("*", "any"),
        ("x", "any"),
        ("^1 || *", "any"),
        ("1", "1.x"),
        ("1.2", "1.2.x"),
        ("1.2.*", "1.2.x"),
        ("1.2.X", "1.2.x"),
        ("=1.2", "1.2.x"),
        ("1 || 2.1 || ^3", "1.x || 2.1.x || ^3"),
        ("v1.2.3", "1.2.3"),
        ("^0", ">=0.0.0 <1.0.0"),
        ("~> 1.2", ">=1.2.0 <1.3.0"),
        ("~1.2.3-beta", ">=1.2.3-beta <1.3.0"),
        (">1.2", ">=1.3.0"),
        ("^1.2.0 || ^1.3.0", ">=1.2.0 <2.0.0"),
        ("^1.2.3+build.5", ">=1.2.3 <2.0.0"),
        (">2 <1", NOTHING),
        ("1.2.3 - 1.2.3", "1.2.3"),
        (">=1.2.3 <=1.2.3", "1.2.3"),
        ("> =1", ">=1.0.0"),
        ("> =1.2.3", ">=1.2.3"),
        ("< =1", "<2.0.0"),
        (">= 0.4.0, < 0.4.11", "<0.4.11"),
        ("^1 || latest", "^1"),
        ("latest || ^1 || http", "^1"),
        ("1.2.3 foo 4.5.6", NOTHING),
        ("1.2.3 foo", "1.2.3"),
        ("foo *", "any"),
        ("^1.2.3, ^2.0.0", ">=2.0.0 <3.0.0"),
        (">=1.0.0 && <2.0.0", ">=1.0.0 <2.0.0"),
        ("^1.2.3 | ^2.0.0", NOTHING),
        ("1.2.3*", "1.2.3"),
        ("01.02.03", "1.2.3"),
        ("\ufeff1.2.3\u00a0", "1.2.3"),
        ("1.2.3-a.01", "1.2.3-a.1"),
    ],
)
def test_a_range_that_clients_misread_is_spelled_out(declared: str, written: str) -> None:
    assert constraints(declared) == written


@pytest.mark.parametrize(
    ("declared", "kept"),
    [
        (">=1.0.0-beta.x", ["1.0.0-beta.y", "1.0.0", "1.2.0", "2.0.0"]),
        ("~1.0.0-beta.x", ["1.0.0-beta.y", "1.0.0"]),
        ("^1.0.0-beta.x", ["1.0.0-beta.y", "1.0.0", "1.2.0"]),
        ("<1.0.0-beta.x", ["1.0.0-beta.3"]),
        ("1.0.0-beta.x || 2", ["2.0.0"]),
        ("1.0.0-beta.x", []),
    ],
)
def test_a_prerelease_that_ends_like_an_x_range_is_none_to_the_clients(declared: str, kept: list[str]) -> None:
    assert admitted(constraints(declared), ["1.0.0-beta.3", "1.0.0-beta.y", "1.0.0", "1.2.0", "2.0.0"]) == kept


@pytest.mark.parametrize(
    "declared",
    [
        "latest",
        "foo bar",
        "x.1",
        "foo * bar",
        "^",
        ">",
        "1.2.3.4",
        "99999999999999999999",
        "^1 || 9007199254740992",
        "^1 user/repo",
        "./1.2.3 ^1",
        "1.2.3 file.tgz",
        "workspace: ^1",
        "git+ssh: 1.2.3",
    ],
)
def test_what_npm_takes_for_a_tag_a_path_or_an_address_is_written_as_declared(declared: str) -> None:
    assert constraints(declared) == declared


@pytest.mark.parametrize(
    ("declared", "written"),
    [
        (["^1", "^2"], "^1 || ^2"),
        (["^1", "^1"], "^1"),
        (["^1.2.0", "^1.3.0"], ">=1.2.0 <2.0.0"),
        (["1 || 2", "3"], "1.x || 2.x || 3.x"),
        (["^1", "*"], "any"),
        (["^1", "latest"], "any"),
        (["latest"], "any"),
        ([">2 <1", "^1"], "^1"),
    ],
)
def test_several_entries_on_one_package_admit_what_one_of_them_admits(declared: list[str], written: str) -> None:
    assert either(declared) == written


def test_a_range_of_absurd_length_is_not_taken_apart() -> None:
    declared = "1.2.3 || " * MAX_RANGE_LENGTH

    assert constraints(declared) == declared


Comparator = tuple[str, list[str]]

# A number behind a wildcard makes no range.
_parts = st.builds(
    lambda numbers, wildcards: [*map(str, numbers), *wildcards][:3] or ["*"],
    st.lists(st.integers(0, 3), max_size=3),
    st.lists(st.sampled_from("xX*"), max_size=2),
)
_comparators = st.tuples(st.sampled_from(["", "=", "^", "~", "~>", ">", ">=", "<", "<="]), _parts)
_hyphens = st.tuples(st.just("-"), _parts, _parts)
_alternatives = st.lists(st.lists(_comparators, min_size=1, max_size=3) | _hyphens, min_size=1, max_size=4)
_VERSIONS = [f"{major}.{minor}.{patch}" for major in range(5) for minor in range(5) for patch in range(5)]


@settings(max_examples=150)
@given(_alternatives, st.sampled_from(["", " "]))
def test_any_combination_of_comparators_admits_what_the_documentation_says(
    alternatives: list[list[Comparator] | tuple[str, list[str], list[str]]], space: str
) -> None:
    declared = " || ".join(_declared(alternative, space) for alternative in alternatives)
    expected = [version for version in _VERSIONS if any(_admits(alternative, version) for alternative in alternatives)]
    written = constraints(declared)

    assert admitted(written, _VERSIONS) == expected
    assert written


@given(st.text("0123.xX*^~<>=| -v+ab,:/", max_size=30) | st.text(max_size=20))
def test_a_constraint_is_never_empty_and_writing_it_again_changes_nothing(declared: str) -> None:
    written = constraints(declared)

    assert written
    assert written == "any" or constraints(written) == written


def _declared(alternative: list[Comparator] | tuple[str, list[str], list[str]], space: str) -> str:
    if isinstance(alternative, tuple):
        return f"{'.'.join(alternative[1])} - {'.'.join(alternative[2])}"
    return " ".join(f"{operator}{space if operator else ''}{'.'.join(parts)}" for operator, parts in alternative)


def _admits(alternative: list[Comparator] | tuple[str, list[str], list[str]], text: str) -> bool:
    """By node-semver's documentation for releases only the parts in front of a wildcard are compared."""
    version = [int(part) for part in text.split(".")]
    if isinstance(alternative, tuple):
        return _satisfies(version, ">=", alternative[1]) and _satisfies(version, "<=", alternative[2])
    return all(_satisfies(version, operator, parts) for operator, parts in alternative)


def _satisfies(version: list[int], operator: str, parts: list[str]) -> bool:
    given_parts = [int(part) if part.isdigit() else None for part in parts]
    numbers = [int(part) for part in parts[: [*given_parts, None].index(None)]]
    prefix = version[: len(numbers)]
    match operator:
        case ">":
            return prefix > numbers
        case ">=":
            return prefix >= numbers
        case "<":
            return prefix < numbers
        case "<=":
            return prefix <= numbers
        case "~" | "~>":
            return prefix >= numbers and version[: min(2, len(numbers))] == numbers[:2]
        case "^":
            leading = next((index for index, number in enumerate(numbers) if number), len(numbers) - 1)
            return prefix >= numbers and version[: leading + 1] == numbers[: leading + 1]
        case _:
            return prefix == numbers
