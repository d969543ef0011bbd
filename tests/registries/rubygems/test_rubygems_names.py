"""This tests which names are gems, and what identifies them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packageurl import PackageURL

from securechain_ingest.errors import InvalidName
from securechain_ingest.registries.kit.identity import version_purl
from securechain_ingest.registries.rubygems.names import MAX_NAME_LENGTH, identify


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("rails", "rails"),
        ("RedCloth", "redcloth"),
        ("ParseTree", "parsetree"),
        ("0xffffff", "0xffffff"),
        ("1234567890_", "1234567890_"),
        ("archive-tar-minitar", "archive-tar-minitar"),
        ("sprockets-vendor_gems", "sprockets-vendor_gems"),
        ("net.http", "net.http"),
        ("_", "_"),
        ("-", "-"),
    ],
)
def test_the_graph_has_the_lower_case_name_and_the_purl_keeps_the_case(spelling: str, name: str) -> None:
    ref = identify(spelling)

    assert (ref.registry_name, ref.name, ref.purl) == (spelling, name, f"pkg:gem/{spelling}")


def test_dashes_and_underscores_are_told_apart() -> None:
    assert identify("a-b").purl != identify("a_b").purl


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "a b",
        " a",
        "a\n",
        "a\x00",
        ".",
        "..",
        "a/b",
        "@a/b",
        "a%2e",
        "a?b",
        "a#b",
        "a:b",
        "a!",
        "café",
        "a" * 256,
    ],
)
def test_a_name_that_no_gem_can_have_is_refused(name: str) -> None:
    with pytest.raises(InvalidName):
        identify(name)


def test_a_version_is_percent_encoded_in_its_purl() -> None:
    assert version_purl(identify("RedCloth"), "1.0.0.beta1") == "pkg:gem/RedCloth@1.0.0.beta1"
    assert version_purl(identify("a"), "1 0") == "pkg:gem/a@1%200"


@given(
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,9}", fullmatch=True),
    st.from_regex(r"[0-9](\.[0-9a-z]{1,4}){0,3}", fullmatch=True),
)
def test_the_package_url_library_reads_purls_as_meant(name: str, version: str) -> None:
    ref = identify(name)

    assert PackageURL.from_string(ref.purl) == PackageURL("gem", None, name)
    assert PackageURL.from_string(version_purl(ref, version)) == PackageURL("gem", None, name, version)


@given(st.text(max_size=MAX_NAME_LENGTH + 10))
def test_any_text_is_a_clean_identity_or_refused(text: str) -> None:
    try:
        ref = identify(text)
    except InvalidName:
        return
    assert ref.purl == f"pkg:gem/{text}"
    assert ref.purl.isascii()
