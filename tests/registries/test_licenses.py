"""This tests the licence that each registry's documents declare: an SPDX expression where it is one, otherwise their
words.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securechain_ingest.registries import named_package
from securechain_ingest.registries.cargo.manifest import parse_manifest
from securechain_ingest.registries.kit.licenses import MAX_LICENSE_LENGTH, license_of
from securechain_ingest.registries.maven.effective import Texts, inherit
from securechain_ingest.registries.maven.package import license_named
from securechain_ingest.registries.maven.pom import parse_pom
from securechain_ingest.registries.npm.packument import parse_packument
from securechain_ingest.registries.nuget.registration import parse_registration
from securechain_ingest.registries.pypi.documents import parse_project
from securechain_ingest.registries.rubygems.gemspec import parse_gemspec
from tests.registries.maven.poms import project

URL = "http://registry.example/document"


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("mit", "MIT"),
        ("Apache-2.0 or mit", "Apache-2.0 OR MIT"),
        ("MIT/Apache-2.0", "MIT OR Apache-2.0"),
        ("LicenseRef-ours", "LicenseRef-ours"),
        ("The  Apache License,\n Version 2.0", "The Apache License, Version 2.0"),
        ("UNLICENSED", "UNLICENSED"),
        (["MIT", "Apache-2.0 OR BSD-3-Clause"], "MIT OR (Apache-2.0 OR BSD-3-Clause)"),
        (["MIT", "some words"], "MIT, some words"),
        ([{"type": "MIT", "url": "x"}], "MIT"),
        ({"type": "isc"}, "ISC"),
        ("UNKNOWN", None),
        ("", None),
        (None, None),
        (17, None),
        ([[]], None),
    ],
)
def test_an_expression_is_brought_into_its_one_form_and_words_are_kept(declared: object, expected: str | None) -> None:
    assert license_of(declared) == expected


def test_the_first_that_says_anything_counts() -> None:
    assert license_of(None, "", "UNKNOWN", "MIT", "ISC") == "MIT"


values = st.recursive(
    st.none() | st.integers() | st.text(), lambda each: st.lists(each) | st.dictionaries(st.text(), each)
)


@given(values)
def test_whatever_a_document_holds_is_a_short_line_or_nothing(value: Any) -> None:
    found = license_of(value)
    assert found is None or (0 < len(found) <= MAX_LICENSE_LENGTH and "\n" not in found)


def pypi(info: dict[str, Any]) -> str | None:
    body = json.dumps({"info": {"name": "left", "version": "1.0", **info}, "releases": {}}).encode()
    return parse_project(body, named_package("pypi:left"), URL).license


def test_pypi_prefers_the_expression_then_a_name_then_classifiers_to_a_whole_text() -> None:
    classifiers = ["License :: OSI Approved", "License :: OSI Approved :: MIT License", "Topic :: Other"]
    assert pypi({"license_expression": "mit", "license": "x", "classifiers": classifiers}) == "MIT"
    assert pypi({"license": "BSD-3-Clause", "classifiers": classifiers}) == "BSD-3-Clause"
    assert pypi({"license": "Permission is hereby granted " * 20, "classifiers": classifiers}) == "MIT License"
    assert pypi({}) is None


def test_npm_names_that_of_the_version_that_a_user_gets() -> None:
    versions = {"1.0.0": {"license": "ISC"}, "2.0.0": {"licenses": [{"type": "MIT"}, {"type": "ISC"}]}}
    document = {"name": "left", "dist-tags": {"latest": "2.0.0"}, "versions": versions}
    found = parse_packument(json.dumps(document).encode(), named_package("npm:left"), URL)
    assert found.license == "MIT OR ISC"


def licenses(*names: str) -> str:
    return f"<licenses>{''.join(f'<license><name>{name}</name></license>' for name in names)}</licenses>"


def maven(own: tuple[object, bytes], *above: tuple[object, bytes]) -> str | None:
    model = None
    for _, body in (*reversed(above), own):
        model = inherit(parse_pom(body, URL), model)
    assert model is not None
    return license_named(model, Texts(model))


def test_maven_inherits_licences_as_a_whole() -> None:
    parent = project("g:p:1", licenses("MIT", "Apache-2.0"))
    assert maven(project("g:c:1", ""), parent) == "MIT OR Apache-2.0"
    assert maven(project("g:c:1", licenses("${project.groupId} licence")), parent) == "g licence"
    assert maven(project("g:c:1", "")) is None


def test_crates_and_gems_name_it_in_their_archives() -> None:
    assert parse_manifest(b'[package]\nname = "left"\nlicense = "MIT/Apache-2.0"\n').license == "MIT OR Apache-2.0"
    assert parse_gemspec(b"--- !ruby/object:Gem::Specification\nname: left\nlicenses:\n- MIT\n").license == "MIT"


def nuget(**entry: Any) -> str | None:
    entry = {"id": "Left", "version": "1.0.0", **entry}
    page = {"items": [{"catalogEntry": entry, "packageContent": URL}], "lower": "1.0.0", "upper": "1.0.0", "count": 1}
    document = {"count": 1, "items": [page]}
    found = parse_registration(json.dumps(document).encode(), named_package("nuget:left"), URL)
    assert found.default is not None
    return found.default.license


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("https://licenses.nuget.test/MIT", "MIT"),
        (
            "https://licenses.nuget.test/(LGPL-2.0-only%20WITH%20FLTK-exception%20OR%20Apache-2.0%2B)",
            "(LGPL-2.0-only WITH FLTK-exception OR Apache-2.0+)",
        ),
        ("https://made.test/deprecateLicenseUrl", None),
        ("https://made.test/LICENSE.txt", "https://made.test/LICENSE.txt"),
        ("", None),
        (7, None),
        (["https://licenses.nuget.test/MIT"], None),
    ],
)
def test_nuget_names_it_in_the_catalogs_entry_or_by_a_link(link: object, expected: str | None) -> None:
    assert nuget(licenseExpression="ISC", licenseUrl=link) == "ISC"
    assert nuget(licenseExpression="", licenseUrl=link) == expected
    assert nuget(licenseUrl=link) == expected


def test_what_old_packages_of_npm_have_is_read_as_npm_once_did() -> None:
    def npm(manifest: dict[str, Any]) -> str | None:
        document = {"name": "left", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": manifest}}
        return parse_packument(json.dumps(document).encode(), named_package("npm:left"), URL).license

    assert npm({"licenses": ["MIT", "GPL-2.0"]}) == "MIT OR GPL-2.0"
    assert npm({"licenses": {"type": "MIT", "url": URL}}) == "MIT"
    assert npm({"license": {"name": "bsd-3-clause"}}) == "BSD-3-Clause"
    assert npm({"license": None, "licenses": [{"url": URL}, {"type": "Apache-2.0"}]}) == "Apache-2.0"
    assert npm({"license": "SEE LICENSE IN LICENSE.md"}) == "SEE LICENSE IN LICENSE.md"
    assert npm({"license": ["MIT", {"type": "MIT"}]}) == "MIT"
    assert npm({"license": False}) is None
