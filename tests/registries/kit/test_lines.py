"""This tests lists and feeds: an entry that cannot be read costs itself, is told, and the rest is read."""

from __future__ import annotations

import io
import tarfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from securechain_ingest.archives.pool import INLINE_BYTES, ParserPool
from securechain_ingest.errors import Malformed
from securechain_ingest.registries.cargo.dump import parse_tar
from securechain_ingest.registries.cargo.updates import parse_updates
from securechain_ingest.registries.feed import unpack
from securechain_ingest.registries.npm import feed as npm
from securechain_ingest.registries.nuget.catalog import parse_page
from securechain_ingest.registries.pypi import feed as pypi
from securechain_ingest.registries.rubygems.gem_list import parse_listing
from securechain_ingest.settings import ArchiveSettings

URL = "http://registry.test/list"
STAMP = "2026-08-01T00:00:00Z"
DATE = "Sat, 01 Aug 2026 00:00:01 +0000"


def _pypi(*entries: object) -> list[str]:
    body = orjson.dumps({"meta": {"_last-serial": 9}, "projects": entries})
    return [entry.name for page in pypi.parse_listing(body, URL) for entry in unpack(page.packed)]


def _npm_changes(*entries: object) -> list[str]:
    changes, _ = npm.parse_changes(orjson.dumps({"results": entries, "last_seq": 9}), 0, URL)
    return [change.name for change in changes.changes]


def _npm_names(*entries: object) -> list[str]:
    page, _ = npm.parse_names(orjson.dumps({"rows": entries}), "", URL)
    return [entry.name for entry in unpack(page.packed)]


def _nuget(*entries: object) -> list[str]:
    page = parse_page(orjson.dumps({"commitTimeStamp": STAMP, "items": entries}), URL)
    return [event.name for event in page.events]


def _cargo(*entries: object) -> list[str]:
    items = "".join(f"<item>{entry}</item>" for entry in entries)
    body = f"<rss xmlns:crates='http://registry.test/crates'><channel>{items}</channel></rss>".encode()
    return [update.name for update in parse_updates(body, URL)]


def _crate(name: str) -> str:
    date = f"<pubDate>{DATE}</pubDate>"
    return f"<crates:name>{name}</crates:name><crates:version>1.0.0</crates:version>{date}"


EVENT = {"commitTimeStamp": STAMP, "nuget:version": "1"}
CASES: list[tuple[Callable[..., list[str]], Callable[[str], Any], list[Any]]] = [
    (
        _pypi,
        lambda name: {"name": name, "_last-serial": 5},
        [None, 7, {}, {"name": "x"}, {"name": 1, "_last-serial": 1}],
    ),
    (_npm_changes, lambda name: {"id": name, "seq": 5}, [None, "x", {}, {"id": "x"}, {"id": 1, "seq": 5}]),
    (_npm_names, lambda name: {"id": name, "key": name}, [None, "x", {}, {"id": 1}]),
    (_nuget, lambda name: EVENT | {"nuget:id": name}, [{}, EVENT, {"nuget:id": "x", "nuget:version": "1"}]),
    (_cargo, _crate, ["", "<pubDate>yesterday</pubDate>", _crate(""), _crate("x").replace("2026", "9" * 4301)]),
]


@pytest.mark.parametrize(("read", "entry", "damaged"), CASES, ids=[case[0].__name__ for case in CASES])
def test_an_entry_that_cannot_be_read_costs_itself_and_is_told(
    read: Callable[..., list[str]], entry: Callable[[str], Any], damaged: list[Any]
) -> None:
    for each in damaged:
        with capture_logs() as lines:
            assert read(entry("a"), each, entry("b")) == ["a", "b"]
        assert [(line["event"], line["count"], line["url"]) for line in lines] == [("lines_unreadable", 1, URL)]
        with pytest.raises(Malformed):
            read(each)


def test_a_line_of_the_list_of_gems_costs_itself(tmp_path: Path) -> None:
    file = tmp_path / "versions"
    digest = b"900150983cd24fb0d6963f7d28e17f72"
    file.write_bytes(b"---\na 1.0 %b\nnothing\n\xff 1 %b\nb 1.0 %b\n" % (digest, digest, digest))
    with capture_logs() as lines:
        assert [entry.name for page in parse_listing(file, URL) for entry in unpack(page.packed)] == ["a", "b"]
    assert [(line["event"], line["count"]) for line in lines] == [("lines_unreadable", 2)]


def test_a_row_of_the_dump_costs_itself(tmp_path: Path) -> None:
    tables = {
        "crates.csv": b"id,name\n1,a\n2\n3,b\n",
        "versions.csv": b"crate_id,num,yanked\n1,1.0.0,f\n3\n3,1.0.0,f\n",
    }
    file = tmp_path / "dump.tar.gz"
    with tarfile.open(file, "w:gz") as dump:
        for name, content in tables.items():
            info = tarfile.TarInfo(f"data/{name}")
            info.size = len(content)
            dump.addfile(info, io.BytesIO(content))
    with capture_logs() as lines:
        assert [entry.name for page in parse_tar(file, URL) for entry in unpack(page.packed)] == ["a", "b"]
    assert [(line["event"], line["count"]) for line in lines] == [("lines_unreadable", 1)] * 2


@pytest.fixture
async def pool() -> AsyncIterator[ParserPool]:
    async with ParserPool(ArchiveSettings(processes=1)) as pool:
        yield pool


async def test_what_a_parser_tells_in_a_child_stands_in_the_daemons_log(pool: ParserPool) -> None:
    body = orjson.dumps({"meta": {"_last-serial": 9}, "projects": [{"name": "six", "_last-serial": 5}, 7]})
    for padding in (b"", b" " * INLINE_BYTES):
        with capture_logs() as lines:
            await pool.parse_document(pypi.parse_listing, body + padding, URL)
        assert [(line["event"], line["log_level"], line["count"]) for line in lines] == [
            ("lines_unreadable", "warning", 1)
        ]
