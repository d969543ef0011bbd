"""This tests the scenarios on which the product was once wrong, as far as they are documents; tests/jobs plays them
on stores.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import structlog

from securechain_ingest.advisories.matching import rate
from securechain_ingest.advisories.names import lookup_key, spellings
from securechain_ingest.advisories.upsert import change
from securechain_ingest.registries import named_package
from tests.conftest import REQUIRE_ALL

CASES = Path(__file__).resolve().parents[4] / "shared" / "cases" / "osv"


def case(name: str) -> Any:
    path = CASES / f"{name}.json"
    if not path.is_file():
        reason = "the reported cases (../shared/cases/osv) are not beside this checkout"
        if REQUIRE_ALL:
            pytest.fail(reason)
        pytest.skip(reason)
    return json.loads(path.read_text(encoding="utf-8"))


def affecting(package: str, version: str, *documents: Any) -> tuple[str, ...]:
    return rate(named_package(package), [version], documents)[version].vulnerabilities


def test_another_packages_severity_does_not_count() -> None:
    flask = rate(named_package("pypi:flask"), ["1.0"], [case("K7_affected_severity_of_others")])["1.0"]
    assert (flask.mean, flask.vulnerabilities) == (5.3, ("GHSA-1",))


def test_two_spellings_of_a_name_are_one_package() -> None:
    documents = case("K4_two_spellings")["documents"]
    ref = named_package("pypi:Products.GenericSetup")
    assert affecting("pypi:Products.GenericSetup", "2.1.0", *documents) == ("GHSA-jff3-mwp3-f8cw", "PYSEC-2021-43")
    for document in documents:
        name = document["affected"][0]["package"]["name"]
        assert lookup_key(name) in {lookup_key(each) for each in spellings(ref)}


def test_a_crate_has_the_advisories_of_its_other_separator() -> None:
    assert affecting("cargo:foo_bar", "1.0.0", case("K9_crate_separator")["advisory"]) == ("RUSTSEC-1",)


def test_a_document_of_a_wrong_type_is_one_line() -> None:
    with structlog.testing.capture_logs() as logs:
        assert affecting("pypi:flask", "1.0", case("K10_unhashable_type")) == ()
    assert [line["advisory"] for line in logs] == ["X-1"]


def test_what_another_program_wrote_with_the_same_time_is_completed() -> None:
    written = case("K3_same_modified_no_details")
    update = change(written["in_bucket"], written["in_mongo"])["$set"]
    assert (update["details"], update["severity"][0]["base_score"]) == ("d", 9.8)
    assert update["affected"] == written["in_bucket"]["affected"]


@pytest.mark.parametrize("name", ["K1_one_ecosystem_fails", "K2_other_program_wrote_first"])
def test_the_advisory_of_a_scenario_affects_its_package(name: str) -> None:
    found = case(name)
    advisory = found.get("advisory") or found["in_mongo_and_bucket_same_modified"]
    assert affecting("pypi:flask", "1.0", advisory) == ("GHSA-1",)
