"""This tests NuGet's ranges: what the clients read allows what NuGet's own rule allows."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from univers.version_range import NugetVersionRange
from univers.versions import NugetVersion

from securechain_ingest.model import ANY
from securechain_ingest.registries.nuget.constraints import constraints
from securechain_ingest.registries.nuget.versions import version_key

UNIVERSE = (
    *(
        "0.9",
        "1.0.0-0",
        "1.0.0-alpha",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-preview1",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.0.1",
    ),
    *("1.0.5", "1.2.0", "1.9.9", "2.0.0-alpha", "2.0.0", "2.5.0", "3.0.0", "3.0.0.1", "4.0.0-rc.1", "4.0.0"),
)


def allowed(written: str) -> list[str]:
    """Return what the clients let through."""
    if written == ANY:
        return list(UNIVERSE)
    accepted = NugetVersionRange.from_native(written)  # type: ignore[no-untyped-call]
    return [version for version in UNIVERSE if NugetVersion(version) in accepted]


def between(low: str | None, high: str | None, *, above: bool = False, below: bool = False) -> list[str]:
    """Return the versions from `low` to `high`, without the one if `above` and without the other if `below`."""
    lows = [] if low is None else [version_key(low)]
    highs = [] if high is None else [version_key(high)]
    keys = ((version, version_key(version)) for version in UNIVERSE)
    return [
        version
        for version, key in keys
        if all(key > end if above else key >= end for end in lows)
        and all(key < end if below else key <= end for end in highs)
    ]


# Microsoft Learn, "Package versioning": the table of version ranges, floating versions, and what registrations have.
REAL = [
    ("[1.0.0, )", "[1.0.0, )", between("1.0.0", None)),
    ("1.0", "[1.0, )", between("1.0", None)),
    ("[1.0,)", "[1.0, )", between("1.0", None)),
    ("(1.0,)", "(1.0, )", between("1.0", None, above=True)),
    ("[1.0]", "[1.0]", ["1.0.0"]),
    ("[1.0.0, 1.0.0]", "[1.0.0]", ["1.0.0"]),
    ("[1.0, 1.0.0.0]", "[1.0]", ["1.0.0"]),
    ("(,1.0]", "(, 1.0]", between(None, "1.0")),
    ("(, 2.0.0)", "(, 2.0.0)", between(None, "2.0.0", below=True)),
    ("[1.0,2.0]", "[1.0, 2.0]", between("1.0", "2.0")),
    ("(1.0,2.0)", "(1.0, 2.0)", between("1.0", "2.0", above=True, below=True)),
    ("[1.0.0, 2.0.0)", "[1.0.0, 2.0.0)", between("1.0", "2.0", below=True)),
    ("[1.0.0-beta.02, )", "[1.0.0-beta.2, )", between("1.0.0-beta.2", None)),
    ("[1.0.0-x-01.007, )", "[1.0.0-x-01.7, )", between("1.0.0-x-01.7", None)),
    ("[1.0.0-Beta, 2.0.0-alpha)", "[1.0.0-Beta, 2.0.0-alpha)", between("1.0.0-beta", "2.0.0-alpha", below=True)),
    ("[1.0.0-beta]", "[1.0.0-beta]", ["1.0.0-beta"]),
    ("[1.0.0+build, )", "[1.0.0, )", between("1.0.0", None)),
    ("", ANY, list(UNIVERSE)),
    (" ", ANY, list(UNIVERSE)),
    ("(, )", ANY, list(UNIVERSE)),
    ("(,)", ANY, list(UNIVERSE)),
    ("*", ANY, list(UNIVERSE)),
    ("*-*", ANY, list(UNIVERSE)),
    ("1.*", "[1.0, )", between("1.0", None)),
    ("1.0.*", "[1.0.0, )", between("1.0.0", None)),
    ("1.0.*-*", "[1.0.0-0, )", between("1.0.0-0", None)),
    ("1.0.0-*", "[1.0.0-0, )", between("1.0.0-0", None)),
    ("1.0.0-beta*", "[1.0.0-beta, )", between("1.0.0-beta", None)),
    ("1.0.0-beta.*", "[1.0.0-beta.0, )", between("1.0.0-beta.0", None)),
    ("[1.0.*, 2.0.0)", "[1.0.0, 2.0.0)", between("1.0.0", "2.0.0", below=True)),
]


@pytest.mark.parametrize(("declared", "written", "versions"), REAL)
def test_a_declared_range_allows_what_nuget_allows(declared: str, written: str, versions: list[str]) -> None:
    assert constraints((declared,)) == written
    assert allowed(written) == versions


@pytest.mark.parametrize(
    ("declared", "written"),
    [
        (("[1.0.0, )", "[2.0.0, )"), "[1.0.0, )"),
        (("[2.0.0, )", "[1.0.0, 3.0.0)"), "[1.0.0, )"),
        (("[1.0.0, 2.0.0)", "[2.0.0, 3.0.0)"), "[1.0.0, 3.0.0)"),
        (("[1.0.0]", "(1.0.0, 2.0.0]"), "[1.0.0, 2.0.0]"),
        (("[1.0.0, 2.0.0]", "[1.2.0, 1.9.0]"), "[1.0.0, 2.0.0]"),
        (("(, 1.0.0]", "[0.5.0, )"), "any"),
        (("[1.0.0, )", ""), "any"),
        (("[1.0.0]", "[2.0.0]"), "[1.0.0],[2.0.0]"),
        (("[3.0.0, )", "[1.0.0, 2.0.0)"), "[1.0.0, 2.0.0),[3.0.0, )"),
        (("[1.0.0, )", "[1.0, )"), "[1.0, )"),
    ],
)
def test_the_ranges_of_several_groups_allow_what_any_of_them_allows(declared: tuple[str, ...], written: str) -> None:
    assert constraints(declared) == written
    assert set(allowed(written)) == {version for one in declared for version in allowed(constraints((one,)))}


@pytest.mark.parametrize("declared", ["[1.0.0-preview1, 1.0.0)", "[1.0.0-preview1, 1.0.0-rc.1]"])
def test_ends_that_the_clients_would_find_in_the_wrong_order_leave_the_lower_bound(declared: str) -> None:
    assert constraints((declared,)) == "[1.0.0-preview1, )"


@pytest.mark.parametrize(
    "declared",
    ["(1.0)", "(1.0, 1.0)", "[2.0, 1.0]", "[]", "[,", "1.0, 2.0", "latest", "[1.0, 2.*]", "[1,2,3]", "[" * 2000],
)
def test_what_nuget_could_not_read_restricts_nothing(declared: str) -> None:
    assert constraints((declared,)) == ANY


labels = st.lists(st.sampled_from(["alpha", "Beta", "preview1", "rc", "1", "07", "11", "x-y", "ga", "sp"]), max_size=2)
versions = st.builds(
    lambda numbers, label: ".".join(map(str, numbers)) + (f"-{'.'.join(label)}" if label else ""),
    st.lists(st.integers(0, 3), min_size=1, max_size=4),
    labels,
)
ends = st.one_of(st.just(""), versions)
ranges = st.one_of(
    st.builds("{}{}, {}{}".format, st.sampled_from("[("), ends, ends, st.sampled_from("])")),
    st.builds("[{}]".format, versions),
    versions,
    st.text("[](),.*-1a ", max_size=12),
)


@given(st.lists(ranges, min_size=1, max_size=4).map(tuple))
def test_whatever_is_declared_the_clients_can_read_it_and_it_is_never_empty(declared: tuple[str, ...]) -> None:
    written = constraints(declared)
    if written == ANY:
        return
    accepted = NugetVersionRange.from_native(written)  # type: ignore[no-untyped-call]
    bounds = [bound.version for bound in accepted.constraints]

    assert any(version in accepted for version in (NugetVersion("0-0"), *bounds, *map(next_version, bounds)))


def next_version(version: NugetVersion) -> NugetVersion:
    """Return the version right above: nothing that is declared here lies between."""
    numbers, dash, labels = str(version).partition("-")
    if dash:
        return NugetVersion(f"{numbers}-{labels}.0")
    *others, revision = [*numbers.split("."), "0", "0", "0"][:4]
    return NugetVersion(f"{'.'.join(others)}.{int(revision) + 1}-0")


def lost_its_end(declared: str, written: str) -> bool:
    """The clients could not have read the range's upper bound, so that it allows more alone than it means."""
    has_end = declared.strip()[-1:] in ("]", ")") and re.search(r",\s*[\])]\s*$", declared) is None
    return has_end and written.endswith(", )")


@given(st.lists(ranges, min_size=1, max_size=3).map(tuple))
@example(("[, 0]", "[, 2]", "[1.2-preview1, 1.2]"))
def test_nothing_that_a_group_allows_is_lost(declared: tuple[str, ...]) -> None:
    alone = [constraints((one,)) for one in declared]

    if ANY not in alone:
        meant = [written for one, written in zip(declared, alone, strict=True) if not lost_its_end(one, written)]
        assert {version for one in meant for version in allowed(one)} <= set(allowed(constraints(declared)))
