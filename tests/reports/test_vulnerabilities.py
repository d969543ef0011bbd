"""This tests a package's vulnerabilities as an analyst reads them: aliases together, the worst first, with their
fixes.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securechain_ingest.registries import BY_OSV, named_package
from securechain_ingest.registries.declaration import Declaration
from securechain_ingest.reports.vulnerabilities import Vulnerability, severity_word, vulnerabilities

FLASK = named_package("pypi:flask")


def record(identifier: str, *aliases: str, score: float | None = None, fixed: tuple[str, ...] = ()) -> dict[str, Any]:
    events = [{"introduced": "0"}, *({"fixed": version} for version in fixed)]
    return {
        "id": identifier,
        "aliases": list(aliases),
        "severity": [] if score is None else [{"type": "CVSS_V3", "base_score": score}],
        "affected": [
            {"package": {"ecosystem": "PyPI", "name": "flask"}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}
        ],
    }


def read(*records: dict[str, Any], above: str | None = None, texts: Any = None, **affected: Any) -> list[Vulnerability]:
    versions = affected or {each["id"]: ["1.0"] for each in records}
    return vulnerabilities(FLASK, versions, records, texts or {}, above=above)


def test_records_of_one_vulnerability_are_one_with_all_their_names() -> None:
    [found] = read(record("GHSA-1", "CVE-1", score=5.0, fixed=("2.0",)), record("PYSEC-1", "CVE-1", fixed=("2.0.0",)))
    assert found.ids == ("GHSA-1", "PYSEC-1", "CVE-1")
    assert (found.severity, found.score, found.fixed_in) == ("medium", 5.0, ("2.0",))


def test_malware_comes_first_then_the_scores_then_words_then_the_unknown() -> None:
    records = (
        record("GHSA-word"),
        record("GHSA-unknown"),
        record("GHSA-low", score=2.0),
        record("GHSA-critical", score=9.8),
        record("MAL-1"),
    )
    found = read(*records, texts={"GHSA-word": {"securechain_severity": "MODERATE"}})
    assert [(each.ids[0], each.severity) for each in found] == [
        ("MAL-1", "malware"),
        ("GHSA-critical", "critical"),
        ("GHSA-low", "low"),
        ("GHSA-word", "medium"),
        ("GHSA-unknown", "unknown"),
    ]


def test_what_fixes_it_is_in_the_order_of_versions_and_without_words_that_have_none() -> None:
    [found] = read(record("GHSA-1", fixed=("10.0", "9.0", "soon", "2.1")))
    assert found.fixed_in == ("2.1", "9.0", "10.0")


@pytest.mark.parametrize("declaration", BY_OSV.values(), ids=lambda declaration: declaration.name)
def test_fixes_are_told_in_every_ecosystem_that_osv_has(declaration: Declaration) -> None:
    ref = named_package(f"{declaration.name}:{declaration.example}")
    events = [{"introduced": "0"}, {"fixed": "2.0.0"}, {"introduced": "2.1.0"}, {"fixed": "10.0.0"}]
    affected = {
        "package": {"ecosystem": ref.ecosystem.osv, "name": ref.registry_name},
        "ranges": [{"type": "SEMVER", "events": events}, {"type": "ECOSYSTEM", "events": events}],
    }
    [found] = vulnerabilities(ref, {"GHSA-1": ["1.0.0"]}, [{"id": "GHSA-1", "affected": [affected]}], {})
    assert found.fixed_in == ("2.0.0", "10.0.0")
    assert vulnerabilities(ref, {"GHSA-1": ["2.2.0"]}, [{"id": "GHSA-1", "affected": [affected]}], {}, above="2.2.0")[
        0
    ].fixed_in == ("10.0.0",)


def test_of_one_version_only_what_comes_after_it_fixes_it() -> None:
    [found] = read(record("GHSA-1", fixed=("1.5", "2.1")), above="2.0")
    assert found.fixed_in == ("2.1",)


def test_the_summary_is_one_line_and_the_details_stand_in_for_it() -> None:
    texts = {"GHSA-1": {"summary": "  One\nline "}, "GHSA-2": {"summary": None, "details": "x" * 500}}
    one, two = sorted(read(record("GHSA-1"), record("GHSA-2"), texts=texts), key=lambda each: each.ids)
    assert one.summary == "One line"
    assert len(two.summary) == 200


def test_versions_are_in_their_order_and_named_once() -> None:
    affected = {"GHSA-1": ["10.0", "9.0"], "PYSEC-1": ["9.0", "1.0"]}
    [found] = vulnerabilities(FLASK, affected, [record("GHSA-1", "PYSEC-1"), record("PYSEC-1")], {})
    assert found.affected_versions == ("1.0", "9.0", "10.0")


def test_an_advisory_that_the_database_has_lost_is_shown_as_unknown() -> None:
    [found] = vulnerabilities(FLASK, {"GHSA-lost": ["1.0"]}, [], {})
    assert (found.ids, found.severity, found.affected_versions) == (("GHSA-lost",), "unknown", ("1.0",))


def test_records_that_affect_other_versions_still_connect_what_they_name() -> None:
    bridge = record("PYSEC-1", "GHSA-1", "GHSA-2")
    affected = {"GHSA-1": ["1.0"], "GHSA-2": ["1.0"]}
    [found] = vulnerabilities(FLASK, affected, [record("GHSA-1"), record("GHSA-2"), bridge], {})
    assert found.ids == ("GHSA-1", "GHSA-2")


@pytest.mark.parametrize(
    ("score", "word"),
    [(0.0, "none"), (0.1, "low"), (3.9, "low"), (4.0, "medium"), (6.9, "medium"), (7.0, "high"), (9.0, "critical")],
)
def test_the_words_for_scores_are_those_of_cvss(score: float, word: str) -> None:
    assert severity_word(score) == word


@given(st.lists(st.tuples(st.sampled_from(["MAL-", "GHSA-"]), st.none() | st.floats(0.1, 10.0))))
def test_nothing_worse_comes_later(drawn: list[tuple[str, float | None]]) -> None:
    records = [record(f"{prefix}{number}", score=score) for number, (prefix, score) in enumerate(drawn)]
    found = read(*records)
    assert len(found) == len(records)
    for earlier, later in pairwise(found):
        if later.severity == "malware":
            assert earlier.severity == "malware"
        elif earlier.severity != "malware" and later.score is not None:
            assert earlier.score is not None
            assert earlier.score >= later.score
