"""This tests names, purls and the order of versions (contract, sections 1.2 and 1.4)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securechain_ingest.errors import InvalidName
from securechain_ingest.registries.kit.identity import version_purl
from securechain_ingest.registries.pypi.names import PYPI, identify, version_key


@pytest.mark.parametrize(
    ("spelling", "name", "purl"),
    [
        ("Flask", "flask", "pkg:pypi/flask"),
        ("typing_extensions", "typing_extensions", "pkg:pypi/typing-extensions"),
        ("zope.interface", "zope.interface", "pkg:pypi/zope-interface"),
        ("A__b-.C", "a__b-.c", "pkg:pypi/a-b-c"),
        ("0805nexter", "0805nexter", "pkg:pypi/0805nexter"),
        ("z", "z", "pkg:pypi/z"),
    ],
)
def test_a_name_is_lower_cased_and_its_purl_normalised(spelling: str, name: str, purl: str) -> None:
    ref = identify(spelling)

    assert (ref.registry_name, ref.name, ref.purl) == (spelling, name, purl)


@pytest.mark.parametrize("name", ["", " six", "six ", "-six", "six.", "a/b", "a b", "é", "\u212a", "six\n", "x" * 300])
def test_what_no_package_can_be_called_is_refused(name: str) -> None:
    with pytest.raises(InvalidName):
        identify(name)


_name = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,20}[A-Za-z0-9])?", fullmatch=True)


@given(_name, st.sampled_from("-_."))
def test_all_spellings_of_a_name_are_one_package(name: str, separator: str) -> None:
    other = re.sub(r"[-_.]+", separator, name).swapcase()

    assert identify(other).purl == identify(name).purl


@given(st.text())
def test_any_text_is_a_clean_identity_or_refused(text: str) -> None:
    try:
        purl = identify(text).purl
    except InvalidName:
        return
    assert re.fullmatch(r"pkg:pypi/[a-z0-9]+(-[a-z0-9]+)*", purl)


def test_a_version_is_encoded_in_its_purl() -> None:
    ref = identify("x")

    assert version_purl(ref, "2.0.0") == "pkg:pypi/x@2.0.0"
    assert version_purl(ref, "1!2.0+b.1") == "pkg:pypi/x@1%212.0%2Bb.1"


def test_versions_are_ranked_by_pep_440_and_legacy_ones_are_not() -> None:
    ascending = ["1.0.dev1", "1.0a1", "1.0rc1", "1.0", "1.0+local", "1.0.post1", "1.9", "1.10", "1!0.1"]

    assert PYPI.rank([*reversed(ascending), "2004d-final-x"]) == {
        **{name: serial for serial, name in enumerate(ascending)},
        "2004d-final-x": -1,
    }


def test_versions_that_pep_440_calls_equal_have_serial_numbers_of_their_own() -> None:
    assert sorted(PYPI.rank(["1.0", "1.0.0", "1"]).values()) == [0, 1, 2]


def test_a_version_of_very_many_digits_is_not_ordered_and_does_no_harm() -> None:
    with pytest.raises(ValueError, match=r"."):
        version_key("1." + "9" * 10_000)
