"""This tests bills of materials, in both formats and their ages."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securechain_ingest.errors import Malformed
from securechain_ingest.inputs.sbom import read_sbom

CYCLONEDX = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.5",
    "metadata": {"component": {"type": "application", "name": "ours", "purl": "pkg:npm/ours@1"}},
    "components": [
        {"name": "core", "purl": "pkg:npm/%40babel/core@7.0.0", "components": [{"purl": "pkg:pypi/six@1.16.0"}]},
        {"name": "libc", "purl": "pkg:deb/debian/libc6@2.36"},
        {"name": "unnamed"},
        {"name": "odd", "purl": "pkg:npm/"},
    ],
}
SPDX_2 = {
    "spdxVersion": "SPDX-2.3",
    "packages": [
        {
            "externalRefs": [
                {"referenceType": "cpe23Type", "referenceLocator": "cpe:2.3:a"},
                {"referenceType": "purl", "referenceLocator": "pkg:gem/rails@7.1"},
            ]
        },
        {"name": "without"},
    ],
}
SPDX_3 = {
    "@context": "https://spdx.example/context",
    "@graph": [
        {"type": "software_Package", "software_packageUrl": "pkg:cargo/serde@1.0.0"},
        {"type": "software_File", "name": "x"},
    ],
}


def test_the_components_of_cyclonedx_are_found_at_any_depth_and_others_counted() -> None:
    found = read_sbom(json.dumps(CYCLONEDX).encode(), "bom.json")
    assert {ref.purl for ref in found.packages} == {"pkg:npm/%40babel/core", "pkg:pypi/six"}
    assert (found.without_purl, found.others, found.unreadable) == (1, {"deb": 1}, ("pkg:npm/",))


def test_the_packages_stand_in_the_order_of_the_bill() -> None:
    within = [{"purl": "pkg:npm/b", "components": [{"purl": "pkg:npm/c"}]}, {"purl": "pkg:npm/d"}]
    bill = {
        "bomFormat": "CycloneDX",
        "components": [{"purl": "pkg:npm/a", "components": within}, {"purl": "pkg:npm/e"}],
    }
    found = read_sbom(json.dumps(bill).encode(), "bom.json")
    assert [ref.purl for ref in found.packages] == [f"pkg:npm/{name}" for name in "abcde"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_bill_is_read_as_the_shell_has_written_it(encoding: str) -> None:
    found = read_sbom(json.dumps(CYCLONEDX).encode(encoding), "bom.json")
    assert [ref.purl for ref in found.packages] == ["pkg:npm/%40babel/core", "pkg:pypi/six"]


@pytest.mark.parametrize(("document", "purl"), [(SPDX_2, "pkg:gem/rails"), (SPDX_3, "pkg:cargo/serde")])
def test_spdx_names_packages_in_its_second_and_third_form(document: dict[str, Any], purl: str) -> None:
    assert [ref.purl for ref in read_sbom(json.dumps(document).encode(), "bom.json").packages] == [purl]


def test_a_purl_is_found_however_spdx_says_that_it_is_one() -> None:
    by_address = {"referenceType": "http://spdx.example/rdf/references/purl", "referenceLocator": "pkg:npm/qs@6.5.1"}
    second = {"spdxVersion": "SPDX-2.2", "packages": [{"externalRefs": [by_address]}]}
    identified = {"externalIdentifierType": "packageUrl", "identifier": "pkg:npm/qs@6.5.1"}
    third = {"@graph": [{"type": "software_Package", "externalIdentifier": [identified]}]}
    for document in (second, third):
        assert [ref.purl for ref in read_sbom(json.dumps(document).encode(), "bom.json").packages] == ["pkg:npm/qs"]


def test_all_package_urls_of_a_package_in_spdx_count() -> None:
    purls = ["pkg:github/a/x@1", "pkg:github/b/x@1", "pkg:npm/x@1", "pkg:npm/%40a/x@1", "pkg:npm/x@1"]
    references = [{"referenceType": "purl", "referenceLocator": purl} for purl in purls]
    second = {"spdxVersion": "SPDX-2.3", "packages": [{"externalRefs": references}]}
    identifiers = [{"externalIdentifierType": "packageUrl", "identifier": purl} for purl in purls[1:]]
    package = {"type": "software_Package", "software_packageUrl": purls[0], "externalIdentifier": identifiers}
    for document in (second, {"@graph": [package]}):
        found = read_sbom(json.dumps(document).encode(), "bom.json")
        assert [ref.purl for ref in found.packages] == ["pkg:npm/x", "pkg:npm/%40a/x"]
        assert (found.without_purl, found.others) == (0, {"github": 1})


@pytest.mark.parametrize("kind", ["packageUrl", "packageURL", "purl", "PURL"])
def test_programs_may_name_the_type_of_an_identifier_in_their_way(kind: str) -> None:
    identified = {"externalIdentifierType": kind, "identifier": "pkg:npm/qs@6.5.1"}
    bill = {"@graph": [{"type": "software_Package", "externalIdentifier": [identified]}]}
    assert [ref.purl for ref in read_sbom(json.dumps(bill).encode(), "bom.json").packages] == ["pkg:npm/qs"]


def test_what_lies_within_the_described_component_belongs_to_the_bill() -> None:
    described = {"purl": "pkg:npm/ours@1", "components": [{"purl": "pkg:npm/a", "components": [{"purl": "pkg:npm/b"}]}]}
    bill = {**CYCLONEDX, "metadata": {"component": described}, "components": [{"purl": "pkg:npm/c"}]}
    found = read_sbom(json.dumps(bill).encode(), "bom.json")
    assert [ref.purl for ref in found.packages] == [f"pkg:npm/{name}" for name in "cab"]


@pytest.mark.parametrize("metadata", [None, [], {"component": None}, {"component": {"components": None}}])
def test_a_bill_may_describe_nothing(metadata: Any) -> None:
    assert len(read_sbom(json.dumps({**CYCLONEDX, "metadata": metadata}).encode(), "bom.json").packages) == 2


def test_a_bill_is_found_within_an_export_and_behind_a_byte_order_mark() -> None:
    for text in (json.dumps({"sbom": SPDX_2}), "\ufeff" + json.dumps(SPDX_2)):
        assert [ref.purl for ref in read_sbom(text.encode(), "bom.json").packages] == ["pkg:gem/rails"]


def test_a_description_that_was_cut_within_a_character_does_not_cost_the_bill() -> None:
    described = [{"purl": "pkg:npm/a", "description": "fast \ud83d"}, {"purl": "pkg:npm/b", "description": "\ude80 x"}]
    found = read_sbom(json.dumps({"bomFormat": "CycloneDX", "components": described}).encode(), "bom.json")
    assert [ref.purl for ref in found.packages] == ["pkg:npm/a", "pkg:npm/b"]


@pytest.mark.parametrize("body", [b"", b"<xml/>", b"[]", b"{}", b'{"sbom": {"sbom": {}}}', b'{"bomFormat": "other"}'])
def test_what_is_no_bill_is_refused_with_the_formats_that_are(body: bytes) -> None:
    with pytest.raises(Malformed, match=r"^bom.json is "):
        read_sbom(body, "bom.json")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda each: st.lists(each) | st.dictionaries(st.text(), each),
)


@given(st.sampled_from([CYCLONEDX, SPDX_2, SPDX_3]), st.sampled_from(["components", "packages", "@graph"]), values)
def test_whatever_stands_in_a_bill_costs_no_more_than_itself(document: dict[str, Any], key: str, value: Any) -> None:
    with_value = {**document, key: [*document.get(key, []), value]} if key in document else document
    assert read_sbom(json.dumps(with_value).encode(), "bom.json").packages
