"""This tests which names are npm packages, and what identifies them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packageurl import PackageURL

from securechain_ingest.errors import InvalidName
from securechain_ingest.registries.kit.identity import version_purl
from securechain_ingest.registries.npm.names import identify, scope_of


@pytest.mark.parametrize(
    ("spelling", "name", "purl"),
    [
        ("express", "express", "pkg:npm/express"),
        ("@babel/core", "@babel/core", "pkg:npm/%40babel/core"),
        ("JSONStream", "jsonstream", "pkg:npm/JSONStream"),
        ("@Some-Scope/Name", "@some-scope/name", "pkg:npm/%40Some-Scope/Name"),
        ("-", "-", "pkg:npm/-"),
        ("2112", "2112", "pkg:npm/2112"),
        ("lodash.merge", "lodash.merge", "pkg:npm/lodash.merge"),
        ("it's!", "it's!", "pkg:npm/it%27s%21"),
    ],
)
def test_the_graph_has_the_lower_case_name_and_the_purl_keeps_the_case(spelling: str, name: str, purl: str) -> None:
    ref = identify(spelling)

    assert (ref.registry_name, ref.name, ref.purl) == (spelling, name, purl)


@pytest.mark.parametrize("name", ["@babel%2Fcore", "@babel%2fcore"])
def test_the_slash_of_a_scope_may_be_encoded(name: str) -> None:
    assert identify(name) == identify("@babel/core")


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "a b",
        " a",
        "a\n",
        "a\x00",
        ".a",
        "_a",
        "..",
        "a/b",
        "@a",
        "@a/",
        "@/a",
        "@a/b/c",
        "@a/.b",
        "@../a",
        "a%2Fb",
        "a%2e",
        "a?b",
        "a#b",
        "café",
        "node_modules",
        "favicon.ico",
        "a" * 215,
    ],
)
def test_a_name_that_no_package_can_have_is_refused(name: str) -> None:
    with pytest.raises(InvalidName):
        identify(name)


def test_a_scope_is_told_from_a_name_without_one() -> None:
    assert scope_of(identify("@babel/core")) == "@babel"
    assert scope_of(identify("express")) is None


def test_a_version_is_percent_encoded_in_its_purl() -> None:
    assert version_purl(identify("@a/b"), "1.0.0+x y") == "pkg:npm/%40a/b@1.0.0%2Bx%20y"


@given(
    st.from_regex(r"(@[a-z0-9-]{1,9}/)?[a-z0-9][a-z0-9._~!*'()-]{0,9}", fullmatch=True).filter(
        lambda name: name not in {"node_modules", "favicon.ico"}
    ),
    st.from_regex(r"[0-9]\.[0-9]\.[0-9](-[a-z0-9.-]{1,5})?(\+[a-z0-9.]{1,5})?", fullmatch=True),
)
def test_the_package_url_library_reads_purls_as_meant(name: str, version: str) -> None:
    scope, _, bare = name.rpartition("/")
    ref = identify(name)

    assert PackageURL.from_string(ref.purl) == PackageURL("npm", scope or None, bare)
    assert PackageURL.from_string(version_purl(ref, version)) == PackageURL("npm", scope or None, bare, version)


@given(st.text(max_size=30))
def test_any_text_is_a_clean_identity_or_refused(text: str) -> None:
    try:
        ref = identify(text)
    except InvalidName:
        return
    assert ref.purl.isascii()
    assert ref.purl.startswith("pkg:npm/")
    assert not any(character.isspace() for character in ref.registry_name)
