"""This tests whatever other programs and the bucket write: it costs itself, and is told in one line."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import orjson
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from securechain_ingest.advisories.matching import rate
from securechain_ingest.advisories.osv import MAX_RECORD_BYTES, parse_modified, parse_record
from securechain_ingest.advisories.upsert import NAMES, WORD, change
from securechain_ingest.errors import Malformed
from securechain_ingest.registries import named_package

FLASK = named_package("pypi:flask")
GOOD: dict[str, Any] = {
    "id": "GHSA-1",
    "modified": "2026-08-01T00:00:00Z",
    "aliases": ["CVE-1"],
    "withdrawn": None,
    "summary": "s",
    "details": "d",
    "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
    "database_specific": {"severity": "HIGH"},
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "flask"},
            "versions": ["1.0"],
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.0"}, {"limit": "*"}]}],
            "severity": [{"type": "CVSS_V4", "score": "CVSS:4.0/AV:N"}],
            "database_specific": {"severity": "LOW"},
        }
    ],
}
PLAIN = {**GOOD, "id": "GHSA-2", "aliases": [], "severity": []}

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["PyPI", "flask"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return every place in a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, each in inner for place in places(each, (*path, key)))]


def replaced(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    document = deepcopy(GOOD)
    holder: Any = document
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    return document


def as_it_is_read(document: Any) -> Any:
    try:
        return orjson.loads(orjson.dumps(document))
    except (TypeError, orjson.JSONEncodeError):
        return document


@given(st.sampled_from(places(GOOD)[1:]), anything)
def test_a_value_of_any_type_in_any_field_costs_its_document_alone(path: tuple[Any, ...], value: Any) -> None:
    with structlog.testing.capture_logs() as logs:
        ratings = rate(FLASK, ["1.0", "2.0"], [replaced(path, value), PLAIN])
    assert "GHSA-2" in ratings["1.0"].vulnerabilities
    assert len(logs) <= 1
    assert not [line for line in logs if "Error" in line["reason"]]


@given(st.sampled_from(places(GOOD)[1:]), anything, st.sampled_from(places(GOOD)[1:]), anything)
def test_a_record_of_any_types_can_be_compared_with_any_document(
    path: tuple[Any, ...], value: Any, other_path: tuple[Any, ...], other: Any
) -> None:
    record, held = as_it_is_read(replaced(path, value)), replaced(other_path, other)
    update = change(record, held)
    written = {**held, **update.get("$set", {})}
    for name in update.get("$unset", {}):
        del written[name]
    # A number that is none is not even equal to itself; the bucket's JSON has no such.
    assert change(record, written) == {} or record != record
    assert isinstance(written["details"], str)


@given(anything)
def test_json_that_is_no_advisory_is_malformed(value: Any) -> None:
    with pytest.raises(Malformed):
        parse_record(json.dumps(value).encode(), "GHSA-1", "made")


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_a_list_of_changes_of_any_bytes_is_read_or_malformed(lines: list[bytes]) -> None:
    good = b"2026-08-01T00:00:00Z,GHSA-1\n"
    ids, _, _ = parse_modified(b"\n".join([*lines, good]), "", "", "made")
    assert "GHSA-1" in ids


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("aliases", "CVE-1", "aliases is no list"),
        ("aliases", [5], "an entry of aliases is no text"),
        ("severity", {"type": "CVSS_V3"}, "severity is no list"),
        ("severity", [{"type": ["CVSS_V3"]}], "an entry of severity has no type"),
        ("affected", [*GOOD["affected"], 5], "an element of affected is no object"),
        ("affected", [*GOOD["affected"], {"package": "flask"}], "a package of affected has no ecosystem and name"),
    ],
)
def test_what_is_readable_of_an_odd_document_counts_and_the_rest_is_told(field: str, value: Any, reason: str) -> None:
    with structlog.testing.capture_logs() as logs:
        ratings = rate(FLASK, ["1.0"], [{**GOOD, field: value}])
    assert ratings["1.0"].vulnerabilities == ("GHSA-1",)
    assert [(line["advisory"], line["reason"]) for line in logs] == [("GHSA-1", reason)]


def test_a_field_of_ours_or_of_others_and_a_path_are_not_taken_from_a_record() -> None:
    names = ("_id", "cwes", "exploits", "affected_artefacts", "securechain_removed_at", "cwes.0", "$set", "", "a b")
    wanted = change({**GOOD, **dict.fromkeys(names, "x")}, {})["$set"]
    assert not set(names) & set(wanted)
    assert wanted[NAMES] == ["flask"]


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({}, None),
        ({"severity": []}, "HIGH"),
        ({"severity": [{"type": "CVSS_V2", "score": "AV:N"}]}, "HIGH"),
        ({"severity": [], "database_specific": {"severity": 5}}, "LOW"),
        ({"severity": None, "database_specific": None, "affected": []}, None),
    ],
)
def test_the_word_for_the_severity_is_kept_where_no_vector_says_more(fields: dict[str, Any], word: str | None) -> None:
    assert change({**GOOD, **fields}, {})["$set"].get(WORD) == word


def test_a_word_goes_when_a_vector_comes() -> None:
    update = change(GOOD, {**GOOD, "severity": [], WORD: "HIGH"})
    assert WORD in update["$unset"]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("2026-08-02T00:00:00Z,B\n2026-08-01T00:00:00,A\n", ("B", "A")),
        ("2026-08-02T00:00:00Z,B\nnonsense\n2026-08-01T00:00:00+02:00,A\n", ("B", "A")),
        ("2026-08-02T00:00:00Z,B\n99999999999999999999-01-01T00:00:00Z,X\n0001-01-01T00:00:00+10:00,Y\n", ("B",)),
        ("2026-08-02T00:00:00Z,B\n\n2026-08-01T00:00:00Z,A", ("B", "A")),
        ("2026-08-02T00:00:00Z," + "B" * 5000 + "\n2026-08-01T00:00:00Z,A\n", ("A",)),
        ("", ()),
    ],
)
def test_a_line_that_is_no_time_and_id_costs_itself(text: str, ids: tuple[str, ...]) -> None:
    found, _, _ = parse_modified(text.encode(), "", "", "made")
    assert found == ids


@pytest.mark.parametrize(
    "text", ["<html>\n<body>404</body>\n", "2026-08-02T00:00:00Z,B\n2026-08-0", "2026-08-02T00:00:00Z,B\n2026-08-01T"]
)
def test_a_list_without_a_good_line_or_cut_off_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        parse_modified(text.encode(), "2026-01-01T00:00:00Z", "", "made")


def test_of_the_list_of_everything_the_records_without_an_ecosystem_are_read() -> None:
    text = b"2026-08-03T00:00:00Z,npm/A\n2026-08-02T00:00:00Z,[EMPTY]/B\n2026-08-01T00:00:00Z,PyPI/C,[EMPTY]/D\n"
    found, newest, _ = parse_modified(text, "", "[EMPTY]/", "made")
    assert (found, newest) == (("B",), "2026-08-02T00:00:00Z")


def test_a_proxys_page_in_place_of_the_list_of_everything_is_malformed() -> None:
    with pytest.raises(Malformed):
        parse_modified(b"<html>\n<p>Sorry, not here</p>\n", "", "[EMPTY]/", "made")


def test_a_record_that_is_nested_too_deep_for_the_database_is_malformed() -> None:
    def nested(depth: int) -> bytes:
        return b'{"id": "GHSA-1", "modified": "x", "references": ' + b"[" * depth + b"]" * depth + b"}"

    assert parse_record(nested(80), "GHSA-1", "made")["id"] == "GHSA-1"
    with pytest.raises(Malformed):
        parse_record(nested(100), "GHSA-1", "made")
    with pytest.raises(Malformed):
        parse_record(nested(900), "GHSA-1", "made")


@pytest.mark.parametrize(
    "record",
    [
        {"id": "GHSA-2", "modified": "x"},
        {"id": "GHSA-1"},
        {"id": "GHSA-1", "modified": 5},
        {"id": "GHSA-1", "modified": "x", "details": "y" * MAX_RECORD_BYTES},
    ],
)
def test_a_record_with_another_id_or_without_its_time_or_huge_is_malformed(record: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        parse_record(orjson.dumps(record), "GHSA-1", "made")
