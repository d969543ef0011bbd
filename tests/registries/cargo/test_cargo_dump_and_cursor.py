"""This tests the dump as a damaged zip, and the cursor of the feed of new versions, whatever is thrown at them."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securechain_ingest.archives.limits import ArchiveLimits
from securechain_ingest.errors import Malformed
from securechain_ingest.registries.cargo.dump import find_tables, parse_zip_members
from securechain_ingest.registries.cargo.feed import CargoFeed
from securechain_ingest.registries.cargo.revision import revision, version_digest
from securechain_ingest.registries.cargo.updates import Update, parse_updates
from securechain_ingest.registries.feed import Change, unpack
from securechain_ingest.settings import ArchiveSettings
from tests.registries.asking import changed, fed
from tests.registry_server import Server, World, serve
from tests.registry_server.history import HistoryEvent, RegistryHistory, What, moment

LIMITS = ArchiveLimits.from_settings(ArchiveSettings())
CRATES = b'id,description,name\n1,"with, a comma\nand ""lines""",a\n2,,b-c\n3,without versions,d\n'
VERSIONS = b"num,crate_id,yanked,features\n1.0.0,2,t,{}\n0.1.0,1,f,{}\n0.2.0,1,f,{}\n"
LISTED = {
    "a": revision([version_digest("0.1.0", False), version_digest("0.2.0", False)]),
    "b-c": revision([version_digest("1.0.0", True)]),
}


def dump() -> bytes:
    """Return a dump with one table compressed and one as it is."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("dump/metadata.json", "{}")
        file.writestr("dump/data/versions.csv", VERSIONS)
        file.writestr("dump/data/crates.csv", CRATES, zipfile.ZIP_STORED)
    return packed.getvalue()


def read(content: bytes, folder: Path) -> dict[str, str | None]:
    """Return what is listed by way of the ranges that the directory leads to."""
    files = {}
    for table, member in find_tables(len(content), content[-1000:], LIMITS, "the dump").items():
        (folder / table).write_bytes(content[member.first : member.last + 1])
        files[table] = (folder / table, member)
    pages = parse_zip_members(files, "the dump")
    return {entry.name: entry.revision for page in pages for entry in unpack(page.packed)}


def test_both_kinds_of_members_are_read_and_crates_without_versions_left_out(tmp_path: Path) -> None:
    assert read(dump(), tmp_path) == LISTED


def test_a_zip_with_one_wrong_byte_is_malformed_or_says_the_same(tmp_path: Path) -> None:
    content = dump()
    refused = 0
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 0xFF
        try:
            assert read(bytes(damaged), tmp_path) == LISTED
        except Malformed:
            refused += 1
    assert refused > len(VERSIONS) // 2 + len(CRATES)


def test_a_zip_that_is_cut_off_is_malformed(tmp_path: Path) -> None:
    content = dump()
    for length in range(0, len(content), 5):
        with pytest.raises(Malformed):
            read(content[:length], tmp_path)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve(World()) as running:
        yield running


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=2, max_size=20), st.data())
def test_from_any_moment_on_exactly_what_came_later_is_told(
    server: Server, tmp_path_factory: pytest.TempPathFactory, steps: list[int], data: st.DataObject
) -> None:
    events = tuple(
        HistoryEvent(number, moment(second), f"crate-{number}", "1.0.0", What.PUBLISHED)
        for number, second in enumerate(accumulate(steps), 1)
    )
    known = data.draw(st.integers(1, len(events)))

    async def told() -> list[Change]:
        async with fed(CargoFeed, server, tmp_path_factory.getbasetemp()) as feed:
            server.replace(World(histories={"cargo": RegistryHistory(events[:known])}))
            cursor = await feed.head()
            server.replace(World(histories={"cargo": RegistryHistory(events)}))
            return (await changed(feed, cursor))[0]

    assert {change.name for change in asyncio.run(told())} == {event.name for event in events[known:]}


@given(st.lists(st.tuples(st.integers(0, 59), st.sampled_from(["+0000", "GMT", "-0000"])), max_size=20))
def test_items_in_any_order_come_oldest_first(items: list[tuple[int, str]]) -> None:
    written = "".join(
        f"<item><pubDate>Sat, 01 Aug 2026 00:00:{second:02} {zone}</pubDate>"
        f"<c:name>crate</c:name><c:version>1.0.{number}</c:version></item>"
        for number, (second, zone) in enumerate(items)
    )

    found = parse_updates(f'<rss xmlns:c="urn:made"><channel>{written}</channel></rss>'.encode(), "the feed")

    assert found == sorted(
        Update(f"2026-08-01T00:00:{second:02}Z", "crate", f"1.0.{number}") for number, (second, _) in enumerate(items)
    )
