"""This tests a file of the sparse index as the model: versions, requirements, dates, yanks."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from univers.versions import SemverVersion

from securechain_ingest.errors import Malformed
from securechain_ingest.model import Package
from securechain_ingest.registries.cargo.index import default_version, parse_index
from securechain_ingest.registries.cargo.names import CARGO, identify, index_path, other_spelling

URL = "https://index.example/so/me/some"


def line(version: str = "1.0.0", *deps: dict[str, Any], **fields: Any) -> bytes:
    return orjson.dumps({"name": "some", "vers": version, "deps": list(deps), "yanked": False} | fields)


def dependency(name: str, req: str = "^1.0", **fields: Any) -> dict[str, Any]:
    return {"name": name, "req": req, "kind": "normal", "optional": False, "target": None} | fields


def package(*lines: bytes, name: str = "some") -> Package:
    return parse_index(b"\n".join(lines) + b"\n", identify(name), URL)


def requirements(*deps: dict[str, Any]) -> dict[str, str]:
    (version,) = package(line("1.0.0", *deps)).versions
    assert version.requirements is not None
    return {requirement.target.registry_name: requirement.constraints for requirement in version.requirements}


def test_a_line_is_a_version_with_its_date_and_yank() -> None:
    first, second = package(line("1.0.0", pubtime="2026-05-11T14:05:36Z"), line("1.1.0+b", yanked=True)).versions

    assert (first.name, first.purl, first.release_date) == ("1.0.0", "pkg:cargo/some@1.0.0", "2026-05-11T14:05:36Z")
    assert (second.purl, second.release_date) == ("pkg:cargo/some@1.1.0%2Bb", None)
    assert (first.yanked, second.yanked) == (False, True)


def test_optional_and_platform_dependencies_are_requirements_and_those_of_other_kinds_are_not() -> None:
    assert requirements(
        dependency("plain"),
        dependency("optional", optional=True),
        dependency("windows", target="cfg(windows)"),
        dependency("old", kind=None),
        {"name": "oldest", "req": "^1.0"},
        dependency("tests", kind="dev"),
        dependency("compiler", kind="build"),
    ) == dict.fromkeys(("plain", "optional", "windows", "old", "oldest"), "^1.0")


def test_a_renamed_dependency_requires_the_crate_of_its_true_name() -> None:
    assert requirements(dependency("alias", package="True-Name"), dependency("plain", package=None)) == {
        "True-Name": "^1.0",
        "plain": "^1.0",
    }


def test_several_entries_on_one_crate_are_one_requirement() -> None:
    assert requirements(
        dependency("libc", "^0.2", target="cfg(unix)"),
        dependency("libc", "^0.2.80", target="cfg(windows)"),
        dependency("schemars_0_8", "^0.8.16", package="schemars"),
        dependency("schemars_1", "^1.0.2", package="schemars"),
        dependency("Case"),
        dependency("case"),
    ) == {"libc": ">=0.2.80, <0.3.0", "schemars": "^0.8.16 || ^1.0.2", "Case": "^1.0"}


def test_a_dependency_on_another_registry_is_none_on_a_crate_of_this_one() -> None:
    assert requirements(
        dependency("elsewhere", registry="https://index.example/other"),
        dependency("here", registry="https://index.example/crates.io-index"),
    ) == {"here": "^1.0"}


def test_what_cannot_be_a_dependency_is_left_out() -> None:
    assert requirements(dependency("no crate"), dependency(None), dependency("some", req=None)) == {"some": "any"}  # type: ignore[arg-type]


@pytest.mark.parametrize("text", [b"{", b"[]", b"null", b'{"name": "some"}', line(deps=5), line(vers=1), b"<html>"])
def test_a_damaged_line_costs_itself_and_is_told_and_nothing_is_taken_for_gone(text: bytes) -> None:
    with capture_logs() as lines:
        found = package(line("1.0.0"), text, line("1.2.0"))
    assert [version.name for version in found.versions] == ["1.0.0", "1.2.0"]
    assert not found.lists_all_versions
    assert [(told["event"], told["count"]) for told in lines] == [("lines_unreadable", 1)]
    assert lines[0]["first"].startswith("line 2: ")


@pytest.mark.parametrize("text", [b"{", b"[]", b"null", b'{"name": "some"}', line(deps=5), b"<html>"])
def test_a_file_without_a_line_that_can_be_read_is_malformed(text: bytes) -> None:
    with pytest.raises(Malformed, match="line 1"):
        package(text, b"")


def test_a_file_that_is_cut_off_within_a_line_is_malformed() -> None:
    whole = line("1.0.0") + b"\n" + line("1.2.0")
    for cut in range(1, 20):
        with pytest.raises(Malformed, match="cut off"):
            parse_index(whole[:-cut], identify("some"), URL)


@pytest.mark.parametrize("blank", [b"", b"  ", b"\r"])
def test_blank_lines_and_carriage_returns_do_not_count(blank: bytes) -> None:
    assert len(package(blank, line("1.0.0") + b"\r", blank, line("1.1.0")).versions) == 2


@pytest.mark.parametrize("body", [b"", b"\n", b" \n\r\n"])
def test_an_empty_file_is_malformed_and_no_crate_that_does_not_exist(body: bytes) -> None:
    with pytest.raises(Malformed, match="empty"):
        parse_index(body, identify("some"), URL)


def test_another_crates_file_is_malformed() -> None:
    with pytest.raises(Malformed, match="some"):
        package(line(), name="other")


def test_the_registrys_own_spelling_is_kept_beside_the_lower_case_name() -> None:
    ref = package(line(name="Some-Crate"), name="some-crate").ref

    assert (ref.registry_name, ref.name, ref.purl) == ("Some-Crate", "some-crate", "pkg:cargo/some-crate")


def test_a_spelling_with_the_other_separator_leads_to_the_registrys_identity() -> None:
    assert package(line(name="some_crate"), name="some-crate").ref.purl == "pkg:cargo/some_crate"


def test_versions_that_differ_in_build_metadata_only_both_exist() -> None:
    versions = package(line("0.1.0+a"), line("0.1.0+b")).versions

    assert CARGO.rank(version.name for version in versions) == {"0.1.0+a": 0, "0.1.0+b": 1}


def test_unknown_fields_and_newer_lines_are_versions_too() -> None:
    newer = line("2.0.0", v=3, features2={"a": ["dep:b"]}, rust_version="1.90", links="z", deps=None)

    assert [version.requirements for version in package(newer).versions] == [()]


@pytest.mark.parametrize(
    ("versions", "default"),
    [
        ({"1.0.0": False, "1.10.0": False, "1.9.0": False}, "1.10.0"),
        ({"1.0.0": False, "2.0.0-rc.1": False}, "1.0.0"),
        ({"1.0.0": False, "2.0.0": True}, "1.0.0"),
        ({"1.0.0": True, "2.0.0-rc.1": False}, "2.0.0-rc.1"),
        ({"1.0.0": True, "2.0.0-rc.1": True}, "2.0.0-rc.1"),
        ({"one": False, "1.0.0-a": False}, "1.0.0-a"),
        ({"one": False}, "one"),
    ],
)
def test_the_default_version_is_the_highest_release_that_is_not_yanked(versions: dict[str, bool], default: str) -> None:
    lines = [line(name, yanked=yanked) for name, yanked in versions.items()]

    assert default_version(package(*lines).versions) == default


@pytest.mark.parametrize(
    ("name", "path"),
    [("a", "1/a"), ("AB", "2/ab"), ("Log", "3/l/log"), ("Cfg-If", "cf/g-/cfg-if"), ("a_b-c", "a_/b-/a_b-c")],
)
def test_a_crates_path_in_the_index_is_made_of_its_lower_case_name(name: str, path: str) -> None:
    assert index_path(name) == path


@pytest.mark.parametrize(("name", "other"), [("a-b-c", "a_b_c"), ("a_b", "a-b"), ("a-b_c", "a_b-c"), ("abc", None)])
def test_the_other_spelling_swaps_the_separators(name: str, other: str | None) -> None:
    assert other_spelling(name) == other


_numbers = st.tuples(*[st.integers(0, 12)] * 3).map(lambda numbers: ".".join(map(str, numbers)))
_prereleases = st.sampled_from(["", "-alpha", "-alpha.1", "-alpha.beta", "-1", "-rc.2", "-rc.11", "-0a"])
_builds = st.sampled_from(["", "+b", "+1.2", "+wasi-snapshot-preview1"])
_versions = st.tuples(_numbers, _prereleases, _builds).map("".join)


@given(st.lists(_versions, min_size=2, max_size=12, unique=True))
def test_versions_are_totally_ordered_as_the_clients_order_them(names: list[str]) -> None:
    ranks = CARGO.rank(names)
    ordered = sorted(names, key=ranks.__getitem__)

    assert sorted(ranks.values()) == list(range(len(names)))
    for lower, higher in pairwise(ordered):
        assert not SemverVersion(higher) < SemverVersion(lower)


@given(
    st.binary(max_size=60)
    | st.lists(st.sampled_from([line(), b"{}", b'{"name":"some","vers":""}']), max_size=3).map(b"\n".join)
)
def test_whatever_a_file_holds_it_is_a_package_or_an_error_that_says_why(body: bytes) -> None:
    try:
        found = parse_index(body, identify("some"), URL)
    except Malformed as error:
        reason = str(error)
        assert "some" in reason
    else:
        assert found.versions
