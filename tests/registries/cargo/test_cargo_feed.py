"""This tests crates.io's feed of new versions and its database dump, over real HTTP."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from securechain_ingest.errors import CursorLost, Malformed, NotFound, RateLimited, Stale, Unavailable
from securechain_ingest.model import Package
from securechain_ingest.registries.cargo.client import Cargo
from securechain_ingest.registries.cargo.dump import parse_tar
from securechain_ingest.registries.cargo.feed import CargoFeed
from securechain_ingest.registries.cargo.updates import parse_updates
from securechain_ingest.registries.feed import Change
from tests.registries.asking import FeedSite, changed, connected, feed_site, first_visit, listed
from tests.registry_server import Fault, FaultKind, Server, cargo
from tests.registry_server.cargo.listings import ITEMS
from tests.registry_server.history import Happened, RegistryHistory, What, history_of, moment
from tests.registry_server.tars import tar_gz

SERDE = cargo.Crate("serde", (cargo.Version("1.0.0"), cargo.Version("1.1.0", yanked=True)))
PUBLISHED: tuple[Happened, ...] = (
    ("serde", "1.0.0", What.PUBLISHED),
    ("Inflector", "0.1.0", What.PUBLISHED),
    ("serde", "1.1.0", What.PUBLISHED),
    ("serde", "1.1.0", What.YANKED),
)


def history(*happened: Happened, same_second: bool = False) -> RegistryHistory:
    return history_of(happened, at=(lambda _number: moment(1)) if same_second else None)


FIRST = history(*PUBLISHED)


@pytest_asyncio.fixture
async def site(server: Server, tmp_path: Path) -> AsyncIterator[FeedSite]:
    async with feed_site(CargoFeed, server, tmp_path, "cargo", FIRST, SERDE) as found:
        yield found


@pytest.mark.parametrize(
    "faults",
    [
        (),
        (Fault("/db-dump.zip", FaultKind.STATUS, times=None, status=404),),
        (
            Fault("/db-dump.zip", FaultKind.IGNORED_RANGE, times=None),
            Fault("/db-dump.tar.gz", FaultKind.IGNORED_RANGE, times=None),
        ),
    ],
    ids=["by the zip's members", "by the tar", "without ranges"],
)
async def test_a_listing_has_every_crate_with_the_revision_of_its_index_file(
    site: FeedSite, tmp_path: Path, faults: tuple[Fault, ...]
) -> None:
    for fault in faults:
        site.server.faults.add(fault)

    found = await listed(site.feed)

    assert set(found) == {"serde", "Inflector"}
    async with connected(Cargo, site.server, tmp_path) as registry:
        assert (await first_visit(registry, "serde")).revision == found["serde"]
    assert list(site.folder.iterdir()) == []


async def test_only_the_two_tables_of_the_zip_are_fetched(site: FeedSite) -> None:
    await listed(site.feed)

    assert [request.status for request in site.server.requests] == [206] * 4


async def test_a_yank_and_its_end_change_the_revision(site: FeedSite) -> None:
    before = await listed(site.feed)
    site.serve(history(*PUBLISHED, ("serde", "1.1.0", What.UNYANKED)))
    between = await listed(site.feed)
    site.serve(history(*PUBLISHED, ("serde", "1.1.0", What.UNYANKED), ("serde", "1.1.0", What.YANKED)))

    assert between["serde"] != before["serde"]
    assert await listed(site.feed) == before


async def test_new_versions_are_told_once_a_crate_and_nothing_new_costs_one_request(site: FeedSite) -> None:
    cursor = await site.feed.head()
    site.serve(history(*PUBLISHED, ("new", "0.1.0", What.PUBLISHED), ("new", "0.2.0", What.PUBLISHED)))

    changes, later = await changed(site.feed, cursor)
    site.server.requests.clear()

    assert changes == [Change("new", "0.2.0", False)]
    assert await changed(site.feed, later) == ([], later)
    assert len(site.server.requests) == 1


async def test_a_version_of_the_same_second_is_not_overlooked(site: FeedSite) -> None:
    site.serve(history(*PUBLISHED, same_second=True))
    cursor = await site.feed.head()
    site.serve(history(*PUBLISHED, ("new", "0.1.0", What.PUBLISHED), same_second=True))

    changes, _ = await changed(site.feed, cursor)

    assert changes == [Change("new", "0.1.0", False)]


async def test_a_feed_that_no_longer_reaches_back_to_the_cursor_loses_it(site: FeedSite) -> None:
    cursor = await site.feed.head()
    many: list[Happened] = [(f"crate-{number}", "1.0.0", What.PUBLISHED) for number in range(ITEMS)]
    site.serve(history(*PUBLISHED, *many))
    with pytest.raises(CursorLost):
        await changed(site.feed, cursor)

    site.serve(replace(FIRST, epoch=1))
    with pytest.raises(CursorLost):
        await changed(site.feed, cursor)


@pytest.mark.parametrize("cursor", ["", "5", "[]", '["2026", 5]', '["2026", ["a"]]', "yesterday"])
async def test_a_cursor_of_somebody_else_is_lost(site: FeedSite, cursor: str) -> None:
    with pytest.raises(CursorLost):
        await changed(site.feed, cursor)


async def test_a_removed_crate_is_no_longer_listed(site: FeedSite) -> None:
    site.serve(history(*PUBLISHED, ("serde", None, What.REMOVED)))

    assert set(await listed(site.feed)) == {"Inflector"}


BROKEN = [
    (Fault("/db-dump*", FaultKind.STATUS, times=None, status=503), Unavailable),
    (Fault("/db-dump*", FaultKind.STATUS, times=None, status=429, retry_after="600"), RateLimited),
    (Fault("/db-dump*", FaultKind.HTML, times=None), Malformed),
    (Fault("/db-dump*", FaultKind.STATUS, times=None, status=404), NotFound),
]


@pytest.mark.parametrize(("fault", "error"), BROKEN, ids=lambda case: getattr(case, "kind", ""))
async def test_a_dump_that_cannot_be_read_is_an_error_and_never_an_empty_list(
    site: FeedSite, fault: Fault, error: type[Exception]
) -> None:
    site.server.faults.add(fault)
    with pytest.raises(error):
        await listed(site.feed)


async def test_an_index_file_without_the_announced_version_is_stale(site: FeedSite, tmp_path: Path) -> None:
    async with connected(Cargo, site.server, tmp_path) as registry:
        ref = registry.identify("serde")
        assert isinstance(await registry.fetch(ref, None, at_least="1.1.0"), Package)
        with pytest.raises(Stale, match=r"2\.0\.0"):
            await registry.fetch(ref, None, at_least="2.0.0")


@pytest.mark.parametrize(
    "files",
    [
        {"data/crates.csv": b"id,name\n1,a\n"},
        {"data/crates.csv": b"id\n1\n", "data/versions.csv": b"crate_id,num,yanked\n1,1.0.0,f\n"},
        {"data/crates.csv": b'id,name\n1,"a\n', "data/versions.csv": b"crate_id,num,yanked\n1,1.0.0,f\n"},
        {"data/crates.csv": b"id,name\n1,\xff\n", "data/versions.csv": b"crate_id,num,yanked\n1,1.0.0,f\n"},
        {"data/crates.csv": b"id,name\n", "data/versions.csv": b"crate_id,num,yanked\n"},
    ],
    ids=["a table is missing", "a column is missing", "an open quote", "no text", "no rows"],
)
def test_a_dump_of_another_form_is_malformed(files: dict[str, bytes], tmp_path: Path) -> None:
    file = tmp_path / "dump.tar.gz"
    file.write_bytes(tar_gz(files))
    with pytest.raises(Malformed):
        parse_tar(file, "the dump")


def test_a_dump_with_a_member_that_claims_to_be_endless_is_malformed(tmp_path: Path) -> None:
    header = bytearray(gzip.decompress(tar_gz({"data/other.csv": b"id\n"})))
    header[124:136] = b"\x80" + b"\xff" * 11
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[:512])
    file = tmp_path / "dump.tar.gz"
    file.write_bytes(gzip.compress(bytes(header)))
    with pytest.raises(Malformed):
        parse_tar(file, "the dump")


def test_a_dump_that_is_cut_off_is_malformed(tmp_path: Path) -> None:
    content = tar_gz({"data/crates.csv": b"id,name\n1,a\n", "data/versions.csv": b"crate_id,num,yanked\n1,1.0.0,f\n"})
    file = tmp_path / "dump.tar.gz"
    for length in range(0, len(content), 7):
        file.write_bytes(content[:length])
        with pytest.raises(Malformed):
            parse_tar(file, "the dump")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html></html>",
        b"<rss></rss>",
        b"<rss><channel><item/></channel></rss>",
        b"<!DOCTYPE rss [<!ENTITY a 'b'>]><rss><channel/></rss>",
        b"<rss><channel><item><pubDate>yesterday</pubDate></item></channel></rss>",
        b"<rss><channel><item><pubDate>Sat, 01 Aug 2026 00:00:01 +0000</pubDate></item></channel></rss>",
    ],
)
def test_a_feed_of_another_form_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        parse_updates(body, "the feed")
