"""This tests Maven's version requirements as the graph's clients read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from univers.version_range import MavenVersionRange
from univers.versions import MavenVersion

from securechain_ingest.registries.maven.constraints import constraints

RELEASES = ("0.9", "1.0", "1.1", "1.2", "1.5", "2.0-rc1", "2.0", "2.5", "3.0", "4.0")


def allowed(text: str) -> set[str]:
    """Return what a client keeps of RELEASES."""
    if text == "any":
        return set(RELEASES)
    accepted = MavenVersionRange.from_native(text)  # type: ignore[no-untyped-call]
    return {release for release in RELEASES if MavenVersion(release) in accepted}


@pytest.mark.parametrize(
    ("declared", "written"),
    [
        ("1.5", "[1.5]"),
        (" 1.5\n", "[1.5]"),
        ("4.1.0.Final", "[4.1.0.Final]"),
        ("1.0-SNAPSHOT", "[1.0-SNAPSHOT]"),
        ("[1.5]", "[1.5]"),
        ("[1.0,2.0)", "[1.0,2.0)"),
        ("[1.0, 2.0)", "[1.0, 2.0)"),
        ("[1.5,)", "[1.5,)"),
        ("(,1.0],[1.2,)", "(,1.0],[1.2,)"),
        ("(,1.1),(1.1,)", "(,1.1),(1.1,)"),
    ],
)
def test_ranges_are_written_as_declared_and_plain_versions_in_brackets(declared: str, written: str) -> None:
    assert constraints(declared) == written


@pytest.mark.parametrize(
    ("declared", "written"),
    [
        ("[1.0,2.0),", "[1.0,2.0)"),
        ("(,1.0][1.2,)", "(,1.0],[1.2,)"),
        ("(,1.0] [1.2,2.0) , ", "(,1.0],[1.2,2.0)"),
        ("[1.0],", "[1.0]"),
    ],
)
def test_commas_between_and_behind_intervals_are_written_as_maven_means_them(declared: str, written: str) -> None:
    assert constraints(declared) == written


@pytest.mark.parametrize(
    "declared", [None, "", "  ", "${x}", "1.${minor}", "[${low},2.0)", "LATEST", "RELEASE", "(,)", "[,]"]
)
def test_what_is_unresolved_or_open_is_any(declared: str | None) -> None:
    assert constraints(declared) == "any"


@pytest.mark.parametrize(
    "declared",
    [
        "[1.0",
        "1.0]",
        "1.0,2.0",
        "(1.0)",
        "[]",
        "[1.0,2.0,3.0]",
        "[2.0,1.0]",
        "(1.0,1.0)",
        "[1.0,1.0)",
        "[1,2];[3,4]",
        "a b[1]",
        "[1.0,2.0)1.5",
        "[1.²,2)",
        "[1.0" + ".0" * 1000 + "]",
    ],
)
def test_what_maven_does_not_understand_either_is_any(declared: str) -> None:
    assert constraints(declared) == "any"


@pytest.mark.parametrize(
    ("declared", "written"),
    [
        ("[1.0,1.0]", "[1.0]"),
        ("[1.0,2.0),[1.5,3.0]", "[1.0,3.0]"),
        ("[2.0,3.0],[1.0,1.2]", "[1.0,1.2],[2.0,3.0]"),
        ("[1.0,2.0),[2.0,3.0)", "[1.0,3.0)"),
        ("(,1.0],[0.5,)", "any"),
        ("[1.0,1.0],[2.0,)", "[1.0],[2.0,)"),
    ],
)
def test_what_clients_would_misread_is_spelled_out(declared: str, written: str) -> None:
    assert constraints(declared) == written


@pytest.mark.parametrize(
    ("declared", "releases"),
    [
        ("1.5", {"1.5"}),
        ("[1.0,2.0)", {"1.0", "1.1", "1.2", "1.5", "2.0-rc1"}),
        ("(1.0,2.0]", {"1.1", "1.2", "1.5", "2.0-rc1", "2.0"}),
        ("[2.0,)", {"2.0", "2.5", "3.0", "4.0"}),
        ("(,1.1]", {"0.9", "1.0", "1.1"}),
        ("(,1.1),(1.1,)", set(RELEASES) - {"1.1"}),
        ("[1.0],[2.5,3.0]", {"1.0", "2.5", "3.0"}),
        ("[1.0,1.2],[1.2,2.0)", {"1.0", "1.1", "1.2", "1.5", "2.0-rc1"}),
        ("[1.0,2.0),(2.0,3.0]", {"1.0", "1.1", "1.2", "1.5", "2.0-rc1", "2.5", "3.0"}),
        ("(,)", set(RELEASES)),
    ],
)
def test_clients_allow_what_maven_allows(declared: str, releases: set[str]) -> None:
    assert allowed(constraints(declared)) == releases


_version = st.sampled_from((*RELEASES, "1.0.0", "1.0.Final", "2.0-SNAPSHOT", ""))
_interval = st.builds(
    lambda opening, low, high, closing: f"{opening}{low},{high}{closing}",
    st.sampled_from("[("),
    _version,
    _version,
    st.sampled_from("])"),
)
_single = _version.map("[{}]".format)
_declared = (
    st.lists(_interval | _single, min_size=1, max_size=3).map(",".join) | _version | st.text("[](),.1234ab-$ {}")
)


@given(_declared)
def test_every_string_that_is_written_parses_and_is_not_empty(declared: str) -> None:
    written = constraints(declared)

    if written != "any":
        accepted = MavenVersionRange.from_native(written)  # type: ignore[no-untyped-call]
        assert accepted.constraints
        ends = [constraint.version for constraint in accepted.constraints]
        between = [MavenVersion(f"{end.string}-0.0.1") for end in ends] + [
            MavenVersion(f"{end.string}.0.1") for end in ends
        ]
        assert any(version in accepted for version in [*ends, *between, *map(MavenVersion, ("0", *RELEASES, "99"))]), (
            written
        )


@given(st.lists(_interval, min_size=1, max_size=3))
def test_a_list_of_intervals_allows_what_any_of_them_allows(intervals: list[str]) -> None:
    written = constraints(",".join(intervals))

    single = [constraints(interval) for interval in intervals]
    if all(one == "any" for one in single) or (written == "any" and "any" in single):
        return
    assert allowed(written) == set().union(*map(allowed, single))
