"""There is one score for each vulnerability, however many records tell of it (contract, section 3)."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from securechain_ingest.advisories.matching import rate
from securechain_ingest.model import Rating
from securechain_ingest.registries import named_package

FLASK = named_package("pypi:flask")
EVERYTHING = [{"introduced": "0"}]


def entry(kind: str, score: float) -> dict[str, Any]:
    return {"type": kind, "base_score": score}


def record(identifier: str, *aliases: str, v3: float | None = None, v4: float | None = None, **fields: Any) -> Any:
    severity = [entry("CVSS_V3", v3)] if v3 is not None else []
    severity += [entry("CVSS_V4", v4)] if v4 is not None else []
    element = {
        "package": {"ecosystem": "PyPI", "name": "flask"},
        "ranges": [{"type": "ECOSYSTEM", "events": fields.pop("events", EVERYTHING)}],
    }
    return {"id": identifier, "aliases": list(aliases), "severity": severity, "affected": [element], **fields}


def rating(*records: Any, version: str = "1.0") -> Rating:
    [found] = {rate(FLASK, [version], each)[version] for each in permutations(records)}
    return found


@pytest.mark.parametrize(
    "records",
    [
        [record("GHSA-1", "PYSEC-1", v3=9.0), record("PYSEC-1", v3=3.0)],
        [record("GHSA-1", v3=9.0), record("PYSEC-1", "GHSA-1", v3=3.0)],
        [record("GHSA-1", "CVE-1", v3=9.0), record("PYSEC-1", "CVE-1", v3=3.0)],
        [record("GHSA-1", "CVE-1", v3=9.0), record("PYSEC-1", "CVE-1", "CVE-2"), record("X-1", "CVE-2", v3=3.0)],
        [record("GHSA-1", v3=9.0), record("GHSA-1", v3=3.0)],
    ],
    ids=["an alias", "an alias of the other", "an id that no record has", "by way of another", "one id twice"],
)
def test_records_that_share_an_id_are_one_vulnerability_with_the_highest_score(records: list[Any]) -> None:
    found = rating(*records)
    assert (found.mean, found.weighted_mean) == (9.0, 9.0)
    assert found.vulnerabilities == tuple(sorted({each["id"] for each in records}))


def test_records_that_share_nothing_are_vulnerabilities_of_their_own() -> None:
    assert rating(record("GHSA-1", "CVE-1", v3=9.0), record("GHSA-2", "CVE-2", v3=3.0)).mean == 6.0


def test_a_withdrawn_record_connects_nothing() -> None:
    bridge = record("PYSEC-1", "GHSA-1", "GHSA-2", withdrawn="2026-01-01T00:00:00Z")
    assert rating(record("GHSA-1", v3=9.0), record("GHSA-2", v3=3.0), bridge).mean == 6.0


def test_a_record_on_other_versions_connects_what_is_one_vulnerability() -> None:
    bridge = record("PYSEC-1", "GHSA-1", "GHSA-2", v3=10.0, events=[{"introduced": "2.0"}])
    found = rating(record("GHSA-1", v3=9.0), record("GHSA-2", v3=3.0), bridge)
    assert found == Rating(9.0, 9.0, ("GHSA-1", "GHSA-2"))


@pytest.mark.parametrize(
    ("records", "mean"),
    [
        ([record("GHSA-1", "CVE-1", v3=5.0, v4=9.0)], 5.0),
        ([record("GHSA-1", "CVE-1", v4=9.0), record("CVE-1", v3=5.0)], 5.0),
        ([record("GHSA-1", "CVE-1", v4=9.0), record("CVE-1", v4=7.0)], 9.0),
        ([record("GHSA-1", "CVE-1"), record("CVE-1")], 0.0),
        ([record("GHSA-1", severity=[entry("CVSS_V2", 9.0)])], 0.0),
        ([record("GHSA-1", severity=[entry("CVSS_V2", 9.0)]), record("GHSA-2", v3=4.0)], 4.0),
        ([record("GHSA-1", severity=[entry("CVSS_V3", 2.0), entry("CVSS_V3", 8.0)])], 8.0),
        ([record("MAL-1", "GHSA-1", v3=10.0), record("GHSA-1", v3=4.0)], 4.0),
    ],
)
def test_version_3_of_cvss_goes_before_version_4_and_version_2_gives_no_score(records: list[Any], mean: float) -> None:
    assert rating(*records).mean == mean


def test_each_vector_is_scored_by_its_own_version_of_cvss() -> None:
    vectors = {
        "CVSS_V3": "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        "CVSS_V4": "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
    }
    means = {
        (kind, of): rating(record("GHSA-1", severity=[{"type": kind, "score": vectors[of]}])).mean
        for kind in vectors
        for of in vectors
    }
    assert means == {
        ("CVSS_V3", "CVSS_V3"): 9.8,
        ("CVSS_V4", "CVSS_V4"): 9.3,
        ("CVSS_V3", "CVSS_V4"): 0.0,
        ("CVSS_V4", "CVSS_V3"): 0.0,
    }


def test_the_severity_of_an_affected_package_counts_for_it_alone() -> None:
    document = record("GHSA-1")
    document["affected"][0]["severity"] = [entry("CVSS_V3", 5.3)]
    other = {"package": {"ecosystem": "npm", "name": "flask"}, "severity": [entry("CVSS_V3", 9.8)]}
    document["affected"] += [other, {"package": {"ecosystem": "PyPI", "name": "left"}, "severity": other["severity"]}]
    assert rating(document).mean == 5.3


def test_the_severity_of_the_record_and_that_of_its_package_count_together() -> None:
    document = record("GHSA-1", v4=9.0)
    document["affected"][0]["severity"] = [entry("CVSS_V3", 5.3)]
    assert rating(document).mean == 5.3
