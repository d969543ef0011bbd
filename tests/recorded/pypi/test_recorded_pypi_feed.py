"""This tests PyPI's names as recorded; its list is recorded in HTML only, of which the feed reads the JSON form."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import orjson
import pytest

from securechain_ingest.errors import Malformed
from securechain_ingest.registries.feed import Listed, unpack
from securechain_ingest.registries.pypi.feed import parse_changes, parse_listing
from securechain_ingest.registries.pypi.names import identify

FIXTURES = Path(__file__).resolve().parents[4] / "shared" / "fixtures" / "pypi"
_ANCHOR = re.compile(rb'<a href="/simple/([^/"]+)/">([^<]+)</a>')

pytestmark = pytest.mark.skipif(not FIXTURES.is_dir(), reason="the recorded payloads (shared/fixtures) are not at hand")


def anchors() -> list[tuple[str, str]]:
    """Return (normalised name, name as displayed) of the whole recorded list."""
    page = gzip.decompress((FIXTURES / "enumeration" / "simple-index.full.html.gz").read_bytes())
    return [(href.decode(), name.decode()) for href, name in _ANCHOR.findall(page)]


def test_recorded_names_get_the_purls_that_their_links_say() -> None:
    found = anchors()
    assert len(found) == 212_862
    for href, name in found[::10]:
        assert identify(name).purl == f"pkg:pypi/{href}"


def test_a_list_of_all_recorded_names_is_read_in_pages() -> None:
    projects = [{"name": name, "_last-serial": number} for number, (_, name) in enumerate(anchors(), 1)]
    body = orjson.dumps({"meta": {"_last-serial": len(projects), "api-version": "1.0"}, "projects": projects})

    pages = parse_listing(body, "/simple/")
    assert [page.names for page in pages] == [10_000] * 21 + [2_862]
    assert unpack(pages[0].packed)[1] == Listed("0-._.-._.-._.-._.-._.-._.-0", "2")
    serial, changes = parse_changes(body, len(projects) - 3, "/simple/")
    assert serial == len(projects)
    assert [name for name, _ in changes] == [project["name"] for project in projects[-3:]]


def test_the_names_of_the_recorded_journal_are_packages() -> None:
    journal = ET.parse(FIXTURES / "changes" / "changelog_since_serial.2168628-2168640.xml")
    entries = [[value.findtext("*") for value in array] for array in journal.iterfind(".//data/value/array/data")]
    serials = [int(entry[-1] or 0) for entry in entries]
    assert serials == list(range(2_168_628, 2_168_641))
    assert {identify(entry[0] or "").name for entry in entries} >= {"wordsmith", "ufx"}


def test_the_list_in_html_is_refused() -> None:
    page = (FIXTURES / "enumeration" / "simple-root.repo-version.html").read_bytes()
    with pytest.raises(Malformed):
        parse_listing(page, "/simple/")
