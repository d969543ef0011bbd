"""This tests what the toy box's client makes of documents, also of those that are not as they should be."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from securechain_ingest.errors import Malformed
from securechain_ingest.model import Package
from tests.toybox.client import parse_package
from tests.toybox.feed import parse_names
from tests.toybox.names import identify

URL = "http://127.0.0.1:1/index/packages/ball.json"


def parsed(versions: Any, **fields: Any) -> Package:
    document = {"name": "ball", "serial": 7, "versions": versions, **fields}
    return parse_package(orjson.dumps(document), identify("ball"), URL, "http://127.0.0.1:1/files/")


def test_a_release_is_preferred_to_a_higher_pre_release_and_to_one_that_was_recalled() -> None:
    package = parsed({"1.0.0": {}, "1.1.0": {"recalled": True}, "2.0.0-rc.1": {}, "no version": {}})
    assert [artifact.version for artifact in package.artifacts] == ["1.0.0"]
    assert {version.name for version in package.versions if version.yanked} == {"1.1.0"}


def test_two_spellings_of_one_target_are_one_requirement() -> None:
    requires = {"Wood": ">=1.0.0", "wood": "<2.0.0", "not a name": "*", "paint": None}
    [version] = parsed({"1.0.0": {"requires": requires}}).versions
    assert version.requirements is not None
    found = {each.target.purl: each.constraints for each in version.requirements}
    assert found == {"pkg:toybox/wood": ">=1.0.0, <2.0.0", "pkg:toybox/paint": "any"}


def test_values_are_brought_into_the_form_of_the_graph() -> None:
    entry = {"date": "2026-01-05T13:00:00.5+01:00", "license": "mit"}
    package = parsed({"1.0.0": entry}, source="git@github.com:toys/ball.git")
    assert (package.repository_url, package.vendor, package.license) == ("https://github.com/toys/ball", "toys", "MIT")
    assert package.versions[0].release_date == "2026-01-05T12:00:00Z"


@pytest.mark.parametrize(
    "fields",
    [{"versions": []}, {"versions": {}}, {"serial": "7"}, {"serial": True}, {"name": "kite"}, {"name": None}],
    ids=str,
)
def test_a_document_that_says_something_else_is_malformed(fields: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        parsed(**({"versions": {"1.0.0": {}}} | fields))


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"packages": []}', b'{"packages": {"ball": "7"}}', b'{"packages": {"ball": true}}'],
)
def test_a_list_that_cannot_be_read_is_never_an_empty_one(body: bytes) -> None:
    with pytest.raises(Malformed):
        parse_names(body, URL)
