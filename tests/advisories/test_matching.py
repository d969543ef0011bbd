"""This tests which versions an advisory affects, and how they are rated."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from securechain_ingest.advisories.matching import rate
from securechain_ingest.model import Ecosystem, PackageRef, Rating

FLASK = PackageRef(Ecosystem("pypi", "PyPIPackage", "pypi", "PyPI", Version), "flask", "flask", "pkg:pypi/flask")
HIGH = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
VERSIONS = ("0.9", "1.0", "1.5", "2.0", "2.1", "3.0")


def advisory(*events: dict[str, str], **fields: Any) -> dict[str, Any]:
    affected = {
        "package": {"ecosystem": fields.pop("ecosystem", "PyPI"), "name": fields.pop("name", "flask")},
        "ranges": [{"type": fields.pop("type", "ECOSYSTEM"), "events": list(events)}],
        "versions": fields.pop("versions", []),
    }
    return {"id": "GHSA-1", "affected": [affected], **fields}


def affected_by(*documents: dict[str, Any]) -> list[str]:
    ratings = rate(FLASK, VERSIONS, documents)
    return [version for version in VERSIONS if ratings[version].vulnerabilities]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([{"introduced": "0"}, {"fixed": "1.5"}], ["0.9", "1.0"]),
        ([{"introduced": "1.0"}, {"fixed": "2.0"}], ["1.0", "1.5"]),
        ([{"introduced": "1.0"}, {"last_affected": "2.0"}], ["1.0", "1.5", "2.0"]),
        ([{"introduced": "2.1"}], ["2.1", "3.0"]),
        ([{"introduced": "0"}, {"limit": "1.5"}], ["0.9", "1.0"]),
        ([{"introduced": "0"}, {"limit": "*"}], list(VERSIONS)),
        ([{"introduced": "0"}, {"fixed": "1.0"}, {"introduced": "2.0"}, {"fixed": "2.1"}], ["0.9", "2.0"]),
        ([{"fixed": "2.1"}, {"introduced": "2.0"}, {"fixed": "1.0"}, {"introduced": "0"}], ["0.9", "2.0"]),
        (
            [{"introduced": "0"}, {"fixed": "1.5"}, {"introduced": "1.5"}, {"fixed": "2.1"}],
            ["0.9", "1.0", "1.5", "2.0"],
        ),
        ([{"introduced": "1.5"}, {"last_affected": "1.5"}], ["1.5"]),
        ([{"introduced": "1.5"}, {"last_affected": "1.5"}, {"introduced": "2.1"}], ["1.5", "2.1", "3.0"]),
        ([{"introduced": "1.5"}, {"fixed": "1.5"}], []),
        ([{"fixed": "1.5"}, {"introduced": "1.5"}], []),
        ([{"introduced": "0"}, {"fixed": "1.0"}, {"introduced": "1.5"}, {"fixed": "1.5"}], ["0.9"]),
        ([{"introduced": "1.0"}, {"introduced": "1.5"}, {"fixed": "1.5"}, {"fixed": "2.1"}], ["1.0", "1.5", "2.0"]),
        ([{"introduced": "0"}, {"limit": "1.5"}, {"limit": "2.1"}], ["0.9", "1.0", "1.5", "2.0"]),
        ([{"introduced": "0"}, {"limit": "1.5"}, {"limit": "*"}, {"fixed": "2.1"}], ["0.9", "1.0", "1.5", "2.0"]),
        ([{"introduced": "0"}, {"fixed": "not-a-version"}], []),
        ([{"introduced": "0"}, {"limit": "not-a-version"}], []),
        ([], []),
    ],
)
def test_a_range_affects_the_versions_between_its_events(events: list[dict[str, str]], expected: list[str]) -> None:
    assert affected_by(advisory(*events)) == expected


@pytest.mark.parametrize(
    ("range_type", "expected"), [("SEMVER", list(VERSIONS)), ("ECOSYSTEM", list(VERSIONS)), ("GIT", [])]
)
def test_only_semver_and_ecosystem_ranges_count(range_type: str, expected: list[str]) -> None:
    assert affected_by(advisory({"introduced": "0"}, type=range_type)) == expected


def test_a_listed_version_is_affected_without_a_range() -> None:
    assert affected_by(advisory(versions=["1.5"])) == ["1.5"]


def test_the_ecosystem_and_the_range_must_stand_in_the_same_element() -> None:
    document = advisory({"introduced": "0"}, ecosystem="npm")
    document["affected"].append({"package": {"ecosystem": "PyPI", "name": "flask"}, "versions": ["2.0"]})
    assert affected_by(document) == ["2.0"]


def test_another_package_of_the_same_advisory_does_not_count() -> None:
    assert affected_by(advisory({"introduced": "0"}, name="flask-login")) == []


def test_a_withdrawn_advisory_does_not_count() -> None:
    assert affected_by(advisory({"introduced": "0"}, withdrawn="2024-01-01T00:00:00Z")) == []


def test_an_advisory_without_an_id_does_not_count() -> None:
    assert affected_by({**advisory({"introduced": "0"}), "id": None}) == []


def test_a_version_that_cannot_be_ordered_is_affected_only_where_it_is_listed() -> None:
    listed = advisory({"introduced": "0"}, versions=["2004d"])
    ratings = rate(FLASK, ["2004d", "2005a-x"], [listed])
    assert ratings["2004d"].vulnerabilities == ("GHSA-1",)
    assert ratings["2005a-x"] == Rating()


def test_scores_are_averaged_per_version_and_do_not_leak_into_the_next() -> None:
    first = advisory({"introduced": "0"}, {"fixed": "1.0"}, severity=[{"type": "CVSS_V3", "base_score": 9.0}])
    second = advisory({"introduced": "0"}, {"fixed": "2.0"}, severity=[{"type": "CVSS_V3", "base_score": 3.0}])
    second["id"] = "GHSA-2"
    ratings = rate(FLASK, VERSIONS, [first, second])
    assert ratings["0.9"] == Rating(6.0, 7.5, ("GHSA-1", "GHSA-2"))
    assert ratings["1.0"] == Rating(3.0, 3.0, ("GHSA-2",))
    assert ratings["3.0"] == Rating(0.0, 0.0, ())


@pytest.mark.parametrize(
    ("severity", "mean"),
    [
        ([{"type": "CVSS_V3", "score": HIGH}], 9.8),
        ([{"type": "CVSS_V3", "score": HIGH, "base_score": 7.5}], 7.5),
        ([{"type": "CVSS_V4", "score": "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"}], 9.3),
        ([{"type": "CVSS_V3", "score": "no vector"}], 0.0),
        ([{"type": "CVSS_V3", "base_score": "9.8"}], 0.0),
        ([{"type": "CVSS_V3", "base_score": 0.0}], 0.0),
        ([{"type": "CVSS_V3"}, {"type": "CVSS_V3", "base_score": 5.0}, "text"], 5.0),
        ("high", 0.0),
        (None, 0.0),
    ],
)
def test_a_vector_is_scored_when_the_base_score_is_missing(severity: Any, mean: float) -> None:
    rating = rate(FLASK, ["1.0"], [advisory({"introduced": "0"}, severity=severity)])["1.0"]
    assert rating == Rating(mean, mean, ("GHSA-1",))


@pytest.mark.parametrize(
    "affected", [None, "text", [None], [{}], [{"package": None}], [{"package": {"ecosystem": "PyPI", "name": "flask"}}]]
)
def test_a_document_of_the_wrong_shape_affects_nothing(affected: Any) -> None:
    assert affected_by({"id": "GHSA-1", "affected": affected}) == []


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=5), st.integers(0, 9))
def test_intervals_of_one_range_affect_exactly_their_union(pairs: list[tuple[int, int]], version: int) -> None:
    # Disjoint, as OSV writes them: neighbours of the sorted distinct bounds.
    bounds = sorted({bound for pair in pairs for bound in pair})
    intervals = list(zip(bounds[::2], bounds[1::2], strict=False))
    events = [{kind: str(bound)} for low, high in intervals for kind, bound in (("introduced", low), ("fixed", high))]
    expected = any(low <= version < high for low, high in intervals)
    ratings = rate(FLASK, [f"{version}"], [advisory(*events)])
    assert bool(ratings[f"{version}"].vulnerabilities) is expected
