"""This tests a package, or one of its versions, as people write it."""

from __future__ import annotations

import pytest

from securechain_ingest.errors import InvalidName
from securechain_ingest.registries.naming import named_version


@pytest.mark.parametrize(
    ("text", "purl", "version"),
    [
        ("pypi:six", "pkg:pypi/six", None),
        ("pypi:six@1.16.0", "pkg:pypi/six", "1.16.0"),
        ("npm:@babel/core", "pkg:npm/%40babel/core", None),
        ("npm:@babel/core@7.0.0-beta.4", "pkg:npm/%40babel/core", "7.0.0-beta.4"),
        ("maven:org.antlr:ST4@4.3.4", "pkg:maven/org.antlr/ST4", "4.3.4"),
        ("pkg:npm/%40babel/core@7.0.0", "pkg:npm/%40babel/core", "7.0.0"),
        ("pkg:npm/@babel/core", "pkg:npm/%40babel/core", None),
        ("pkg:cargo/x@1.0.0%2Bb", "pkg:cargo/x", "1.0.0+b"),
        ("pkg:maven/org.antlr/ST4@4.3.4?type=jar#sub/path", "pkg:maven/org.antlr/ST4", "4.3.4"),
        ("pkg:npm/%40babel/core@", "pkg:npm/%40babel/core", None),
        ("pkg:pypi/six@?file=x", "pkg:pypi/six", None),
        ("pkg:npm/%2540babel/core@7.0.0", "pkg:npm/%40babel/core", "7.0.0"),
        ("pkg:npm/%2540babel%252Fcore", "pkg:npm/%40babel/core", None),
        ("pkg:maven//org.antlr//ST4@4.3.4", "pkg:maven/org.antlr/ST4", "4.3.4"),
        ("pkg:///pypi//six/", "pkg:pypi/six", None),
    ],
)
def test_a_version_stands_behind_the_last_at_sign(text: str, purl: str, version: str | None) -> None:
    ref, found = named_version(text)
    assert (ref.purl, found) == (purl, version)


@pytest.mark.parametrize(
    "text", ["six", "pypi:six@", "pkg:pypi/", "pkg:pypi/@", "pkg:npm//", "pkg:npm/a%40b@1", "fortran:six@1"]
)
def test_what_names_nothing_is_refused(text: str) -> None:
    with pytest.raises(InvalidName):
        named_version(text)
