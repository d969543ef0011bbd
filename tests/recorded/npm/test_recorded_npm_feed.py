"""This tests npm's feed over recorded pages of `_changes` and recorded lists of names."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import unquote

import pytest

from securechain_ingest.errors import Malformed
from securechain_ingest.registries.feed import Change
from securechain_ingest.registries.npm.feed import parse_changes
from securechain_ingest.registries.npm.names import identify

FIXTURES = Path(__file__).resolve().parents[4] / "shared" / "fixtures" / "npm"

pytestmark = pytest.mark.skipif(not FIXTURES.is_dir(), reason="the recorded payloads (shared/fixtures) are not at hand")


def body(filename: str) -> bytes:
    return (FIXTURES / "changes" / filename).read_bytes()


def test_pages_follow_each_other_and_an_empty_one_ends_them() -> None:
    first, rows = parse_changes(body("changes.page1.json"), 0, "page1")
    assert rows == 2
    assert first.changes == (
        Change("overlay-fishnet", "1-ae6eba8bb1a34b9d57d7285f097c5c9f", False),
        Change("shopping_site_detect", "1-c62a780cdd9865b06b1e4eb0e6552560", False),
    )
    second, _ = parse_changes(body("changes.page2.json"), int(first.cursor), "page2")
    assert ([change.name for change in second.changes], second.cursor) == (["tinyviewpager", "ubase-ext-wecloud"], "4")
    last, rows = parse_changes(body("changes.empty.json"), 9_900_000, "empty")
    assert (last.changes, last.cursor, rows) == ((), "9900000", 0)


def test_a_page_from_behind_its_end_is_refused() -> None:
    with pytest.raises(Malformed):
        parse_changes(body("changes.page1.json"), 5, "page1")


def test_rows_with_documents_and_design_documents_tell_the_packages_alone() -> None:
    page, rows = parse_changes(body("changes.100-with-docs.json"), 0, "with documents")
    assert (rows, len(page.changes), page.cursor) == (100, 98, "107")
    assert [change.name for change in page.changes[:3]] == ["Reston", "asyncevents", "ClearSilver"]
    assert page.changes[-1] == Change("spotify-metadata", "1-65cebfbbf433d34044e53c63faa3df7b", False)
    assert not any(change.removed for change in page.changes)

    page, _ = parse_changes(body("changes.10-with-docs.b.json"), 7_632_607, "with documents")
    assert (len(page.changes), page.changes[-1].name, page.cursor) == (10, "npm-router-framework", "7632617")


@pytest.mark.parametrize(("filename", "count"), [("names.json", 290), ("recent-names.json", 3698)])
def test_every_recorded_name_is_a_package_with_a_purl_of_its_own(filename: str, count: int) -> None:
    names = json.loads((FIXTURES / "enumeration" / filename).read_text())
    purls = {identify(name).purl for name in names}
    assert len(names) == count
    assert {unquote(purl.removeprefix("pkg:npm/")) for purl in purls} == {name.lower() for name in names}
