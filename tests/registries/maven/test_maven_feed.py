"""This tests Maven Central's index over real HTTP: chunks since the cursor, and the whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from securechain_ingest.errors import CursorLost, Malformed, NotFound, RateLimited, Unavailable
from securechain_ingest.model import Package
from securechain_ingest.registries.feed import PAGE_NAMES, Change, unpack
from securechain_ingest.registries.kit import large_files
from securechain_ingest.registries.maven.client import Maven
from securechain_ingest.registries.maven.feed import MavenFeed
from securechain_ingest.registries.maven.index_records import revision
from tests.registries.asking import FeedSite, changed, connected, fed, feed_site, listed
from tests.registry_server import Fault, FaultKind, Server, World, maven, serve
from tests.registry_server.history import HistoryEvent, RegistryHistory, What, history_of, moment
from tests.waiting import until

THING = maven.Package("org.example:thing", (maven.Version("1.0"), maven.Version("1.1")))
PUBLISHED = (("org.example:thing", "1.0"), ("org.Example:Other", "2.0"), ("org.example:thing", "1.1"))
INDEX = "/.index/nexus-maven-repository-index"


def history(*published: tuple[str, str], epoch: int = 0, forgotten: int = 0) -> RegistryHistory:
    happened = ((name, version, What.PUBLISHED) for name, version in published)
    return history_of(happened, epoch=epoch, forgotten=forgotten)


FIRST = history(*PUBLISHED)


@pytest_asyncio.fixture
async def site(server: Server, tmp_path: Path) -> AsyncIterator[FeedSite]:
    async with feed_site(MavenFeed, server, tmp_path, "maven", FIRST, THING) as found:
        yield found


async def test_a_listing_has_every_package_with_a_revision_over_its_versions(site: FeedSite) -> None:
    assert await listed(site.feed) == {
        "org.example:thing": revision(["1.0", "1.1"]),
        "org.Example:Other": revision(["2.0"]),
    }
    assert list(site.folder.iterdir()) == []


async def test_a_package_has_the_revision_of_the_listing(site: FeedSite, tmp_path: Path) -> None:
    async with connected(Maven, site.server, tmp_path) as registry:
        package = await registry.fetch(registry.identify("org.example:thing"), None)

    assert isinstance(package, Package)
    assert package.revision == (await listed(site.feed))["org.example:thing"]
    assert not package.lists_all_versions


async def test_a_mirror_without_an_index_serves_the_poms_and_central_the_index(site: FeedSite, tmp_path: Path) -> None:
    cursor = await site.feed.head()
    site.serve(history(*PUBLISHED, ("g:a", "1")))
    central = site.server.endpoints()["maven_central"]
    with serve(World((THING,))) as mirror:
        mirror.faults.add(Fault("/.index/*", FaultKind.STATUS, times=None, status=404))
        folder = tmp_path / "own"
        folder.mkdir()
        async with fed(MavenFeed, mirror, folder, maven_index=f"{central}/.index") as feed:
            assert set(await listed(feed)) == {"org.example:thing", "org.Example:Other", "g:a"}
            assert await changed(feed, cursor) == ([Change("g:a", "1", False)], await feed.head())
        async with connected(Maven, mirror, tmp_path) as registry:
            assert isinstance(await registry.fetch(registry.identify("org.example:thing"), None), Package)
        assert {request.target.partition("/org/")[0] for request in mirror.requests} == {""}
    assert all(target.startswith(INDEX) for target in site.targets())


async def test_nothing_new_costs_one_request(site: FeedSite) -> None:
    cursor = await site.feed.head()
    site.server.requests.clear()

    assert await changed(site.feed, cursor) == ([], cursor)
    assert site.targets() == [f"{INDEX}.properties"]


async def test_new_chunks_are_read_in_order_and_each_has_its_cursor(site: FeedSite) -> None:
    cursor = await site.feed.head()
    site.serve(history(*PUBLISHED, ("g:a", "1"), ("g:b", "2")))

    pages = [page async for page in site.feed.changes(cursor)]

    assert [page.changes for page in pages] == [(Change("g:a", "1", False),), (Change("g:b", "2", False),)]
    assert list(dict.fromkeys(site.targets())) == [f"{INDEX}.properties", f"{INDEX}.4.gz", f"{INDEX}.5.gz"]
    assert await changed(site.feed, pages[0].cursor) == ([Change("g:b", "2", False)], pages[1].cursor)


async def test_another_chain_and_missing_chunks_lose_the_cursor(site: FeedSite) -> None:
    cursor = await site.feed.head()
    site.serve(replace(FIRST, epoch=1))
    with pytest.raises(CursorLost, match="another chain"):
        await changed(site.feed, cursor)

    site.serve(history(*PUBLISHED, ("g:a", "1"), ("g:b", "2"), forgotten=4))
    with pytest.raises(CursorLost, match="no longer lists"):
        await changed(site.feed, cursor)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(f"{INDEX}.5.gz", FaultKind.TRUNCATED, times=None), Malformed),
        (Fault(f"{INDEX}.5.gz", FaultKind.STATUS, times=None, status=404), NotFound),
        (Fault(f"{INDEX}.5.gz", FaultKind.STATUS, times=None, status=503), Unavailable),
    ],
    ids=["cut off", "missing", "failing"],
)
async def test_a_chunk_that_cannot_be_read_leaves_the_cursor_at_the_one_before(
    site: FeedSite, fault: Fault, error: type[Exception]
) -> None:
    cursor = await site.feed.head()
    site.serve(history(*PUBLISHED, ("g:a", "1"), ("g:b", "2")))
    site.server.faults.add(fault)
    pages = site.feed.changes(cursor)

    assert (await anext(pages)).cursor.endswith(":4")
    with pytest.raises(error):
        await anext(pages)
    assert list(site.folder.iterdir()) == []


BROKEN = [
    (Fault(f"{INDEX}*", FaultKind.STATUS, times=None, status=503), Unavailable),
    (Fault(f"{INDEX}*", FaultKind.STATUS, times=None, status=429, retry_after="600"), RateLimited),
    (Fault(f"{INDEX}*", FaultKind.HTML, times=None), Malformed),
    (Fault(f"{INDEX}*", FaultKind.STATUS, times=None, status=404), Malformed),
]


@pytest.mark.parametrize(("fault", "error"), BROKEN, ids=lambda case: getattr(case, "kind", ""))
async def test_an_index_that_cannot_be_read_is_an_error_and_never_an_empty_list(
    site: FeedSite, fault: Fault, error: type[Exception]
) -> None:
    site.server.faults.add(fault)
    with pytest.raises(error):
        await listed(site.feed)


async def test_a_server_without_ranges_gives_the_index_in_one_piece(site: FeedSite) -> None:
    site.server.faults.add(Fault(f"{INDEX}.gz", FaultKind.IGNORED_RANGE, times=None))

    assert len(await listed(site.feed)) == 2


async def test_a_download_that_broke_off_is_gone_on_with(site: FeedSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_files, "PART_BYTES", 8)
    site.serve(history(*((f"g:a{number}", "1") for number in range(200))))
    reading = asyncio.create_task(listed(site.feed))
    await until(lambda: len(site.server.requests) >= 10)
    site.server.faults.add(Fault(f"{INDEX}.gz", FaultKind.STATUS, times=None, status=503))
    with pytest.raises(Unavailable):
        await reading
    before = len(site.server.requests)
    site.server.faults.clear()

    assert len(await listed(site.feed)) == 200
    ranges = [request.headers.get("range") for request in site.server.requests if request.target == f"{INDEX}.gz"]
    # Each part once, but for the one that failed; and the first byte, which tells the size, twice.
    assert len(ranges) - len(set(ranges)) == 2
    assert before > 10
    assert list(site.folder.iterdir()) == []


async def test_a_listing_leaves_the_chunk_alone_that_another_job_is_reading(site: FeedSite) -> None:
    cursor = await site.feed.head()
    site.serve(history(*PUBLISHED, ("g:a", "1")))
    site.server.faults.add(Fault(f"{INDEX}.4.gz", FaultKind.SLOW, times=None, pause_s=0.05))
    following = asyncio.create_task(changed(site.feed, cursor))
    await until(lambda: f"{INDEX}.4.gz" in site.targets())

    assert len(await listed(site.feed)) == 3
    assert (await following)[0] == [Change("g:a", "1", False)]
    assert list(site.folder.iterdir()) == []


async def test_what_a_killed_daemon_has_left_is_removed(site: FeedSite) -> None:
    cursor = await site.feed.head()
    for name in ("chunk-1.gz", "index-before.gz", "index-before.part"):
        (site.folder / name).write_bytes(b"left")

    await changed(site.feed, cursor)
    await listed(site.feed)

    assert list(site.folder.iterdir()) == []


async def test_a_listing_goes_on_behind_a_position_without_another_download(site: FeedSite) -> None:
    site.serve(history(*((f"g:a{number}", "1") for number in range(PAGE_NAMES + 5))))
    pages = site.feed.listing("")
    first = await anext(pages)
    site.server.requests.clear()

    rest = await listed(site.feed, first.position)

    assert len(rest) == 5
    assert not set(rest) & {entry.name for entry in unpack(first.packed)}
    assert site.targets() == [f"{INDEX}.properties"]


async def test_a_position_in_another_publication_begins_again(site: FeedSite) -> None:
    [page] = [page async for page in site.feed.listing("")]
    site.serve(history(*PUBLISHED, ("g:a", "1")))

    assert "org.Example:Other" in await listed(site.feed, page.position)


async def test_a_damaged_index_is_not_kept(site: FeedSite) -> None:
    site.server.faults.add(Fault(f"{INDEX}.gz", FaultKind.HTML, times=None))
    with pytest.raises(Malformed):
        await listed(site.feed)
    site.server.faults.clear()

    assert len(await listed(site.feed)) == 2


async def test_a_package_whose_last_version_was_taken_away_is_said_to_be_gone(site: FeedSite) -> None:
    cursor = await site.feed.head()
    gone = HistoryEvent(4, moment(4), "org.Example:Other", "2.0", What.REMOVED)
    site.serve(RegistryHistory((*FIRST.events, gone)))

    assert (await changed(site.feed, cursor))[0] == [Change("org.Example:Other", None, True, versions_only=True)]
