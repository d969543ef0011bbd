"""This tests NuGet's catalog's documents, and whom a listing meets in them."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from securechain_ingest.errors import Malformed
from securechain_ingest.registries.feed import Listed
from securechain_ingest.registries.nuget.catalog import Event, normal_stamp, parse_index, parse_page
from securechain_ingest.registries.nuget.seen_packages import SeenPackages
from tests.registry_server.history import moment


@pytest.mark.parametrize(
    "document",
    [
        b"[]",
        b"<html>",
        b"{}",
        b'{"commitTimeStamp": "2026-08-01T00:00:00Z"}',
        b'{"commitTimeStamp": "2026-08-01T00:00:00Z", "items": {}}',
        b'{"commitTimeStamp": "2026-08-01T00:00:00Z", "items": [1]}',
        b'{"commitTimeStamp": "2026-08-01T00:00:00Z", "items": [{"@id": "x", "nuget:id": "a", "nuget:version": "1"}]}',
        b'{"commitTimeStamp": "2026-08-01T00:00:00Z", "items": [{"commitTimeStamp": "2026-08-01T00:00:00Z"}]}',
        b'{"commitTimeStamp": "today", "items": []}',
        b'{"items": []}',
    ],
)
def test_a_document_of_another_form_is_malformed(document: bytes) -> None:
    for parse in (parse_index, parse_page):
        with pytest.raises(Malformed):
            parse(document, "the catalog")


TICKS = st.integers(0, 99_999_999)


def written(ticks: int, zone: str = "Z") -> str:
    """Return a time with as few digits as .NET writes."""
    seconds, fraction = divmod(ticks, 10**7)
    digits = f"{fraction:07}".rstrip("0")
    return f"2026-08-01T00:00:0{seconds}{'.' if digits else ''}{digits}{zone}"


@given(TICKS, TICKS, st.sampled_from(["Z", "+00:00", ""]))
def test_times_sort_as_texts_whatever_their_digits(one: int, other: int, zone: str) -> None:
    first, second = normal_stamp(written(one, zone)), normal_stamp(written(other))

    assert first is not None
    assert second is not None
    assert (first < second, first == second) == (one < other, one == other)


@given(st.lists(st.tuples(TICKS, st.text(min_size=1), st.booleans()), max_size=20))
def test_the_items_of_a_page_come_in_the_order_of_their_times(items: list[tuple[int, str, bool]]) -> None:
    document = {
        "commitTimeStamp": written(max((ticks for ticks, _, _ in items), default=0)),
        "items": [
            {
                "@type": "nuget:PackageDelete" if deleted else "nuget:PackageDetails",
                "commitTimeStamp": written(ticks),
                "nuget:id": name,
                "nuget:version": "1.0.0",
            }
            for ticks, name, deleted in items
        ],
    }

    events = parse_page(orjson.dumps(document), "a page").events

    assert [(event.stamp, event.is_there, event.name) for event in events] == sorted(
        (normal_stamp(written(ticks)), not deleted, name) for ticks, name, deleted in items
    )


@given(
    st.lists(st.tuples(st.sampled_from("ABC"), st.sampled_from("12"), st.booleans()), max_size=30),
    st.integers(1, 6),
)
def test_whatever_happened_a_package_is_listed_once_if_a_version_is_left(
    happened: list[tuple[str, str, bool]], page_items: int
) -> None:
    events = [
        Event(normal_stamp(moment(number)) or "", there, name, version)
        for number, (name, version, there) in enumerate(happened)
    ]
    last = {(event.name, event.version): event for event in events}
    left: dict[str, str] = {}
    for event in last.values():
        if event.is_there:
            left[event.name] = max(left.get(event.name, ""), event.stamp[:19] + "Z")

    with TemporaryDirectory() as folder:
        seen = SeenPackages(Path(folder) / "seen.db", "")
        found: list[Listed] = []
        pages = [events[start : start + page_items] for start in range(0, len(events), page_items)]
        for page in reversed(pages):
            found += seen.add(reversed(page))
        seen.close()

    assert {entry.name: entry.revision for entry in found} == left
    assert len(found) == len(left)
