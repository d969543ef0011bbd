"""This tests who a package is: its own spelling and the purls of its versions, for every ecosystem."""

from __future__ import annotations

import pytest

from securechain_ingest.errors import Malformed
from securechain_ingest.registries.building import REGISTRIES
from securechain_ingest.registries.kit.identity import own_spelling, version_purl

URL = "https://registry.test/document"
BY_NAME = {registry.ecosystem.name: registry for registry in REGISTRIES}


@pytest.mark.parametrize(
    ("ecosystem", "asked", "answered"),
    [
        ("pypi", "typing-extensions", "Typing_Extensions"),
        ("npm", "jsonstream", "JSONStream"),
        ("cargo", "some_crate", "Some-Crate"),
        ("rubygems", "redcloth", "RedCloth"),
        ("nuget", "newtonsoft.json", "Newtonsoft.Json"),
        ("pypi", "six", "six"),
    ],
)
def test_the_documents_spelling_of_the_same_name_is_the_registrys_own(
    ecosystem: str, asked: str, answered: str
) -> None:
    registry = BY_NAME[ecosystem]

    assert own_spelling(answered, registry.identify(asked), registry.identify, URL) == registry.identify(answered)


@pytest.mark.parametrize("answered", ["other", "six.", "", None, 7, ["six"]])
def test_a_document_about_another_package_is_malformed(answered: object) -> None:
    registry = BY_NAME["pypi"]

    with pytest.raises(Malformed, match="when asked for six") as caught:
        own_spelling(answered, registry.identify("six"), registry.identify, URL)
    assert caught.value.url == URL


def test_a_spelling_that_no_package_can_have_is_malformed() -> None:
    registry = BY_NAME["npm"]

    # The sign for kelvin has a plain k as its lower case.
    with pytest.raises(Malformed, match="otherwise"):
        own_spelling("\u212aey", registry.identify("key"), registry.identify, URL)


@pytest.mark.parametrize(
    ("version", "purl"),
    [("1.0", "pkg:pypi/six@1.0"), ("1.0+a b", "pkg:pypi/six@1.0%2Ba%20b"), ("1:2/3", "pkg:pypi/six@1:2%2F3")],
)
def test_a_versions_purl_is_encoded_as_the_purl_specification_says(version: str, purl: str) -> None:
    assert version_purl(BY_NAME["pypi"].identify("six"), version) == purl
