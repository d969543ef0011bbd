"""This tests NuGet's catalog over real HTTP: an index of pages, commits that are never taken in halves, and
deletions.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio

from securechain_ingest.errors import CursorLost, Malformed, NotFound, RateLimited, Stale, Unavailable
from securechain_ingest.model import Package
from securechain_ingest.registries.feed import Change, unpack
from securechain_ingest.registries.nuget import feed as nuget_feed
from securechain_ingest.registries.nuget.client import NuGet
from securechain_ingest.registries.nuget.feed import NuGetFeed
from tests.registries.asking import FeedSite, changed, connected, fed, feed_site, first_visit, known, listed
from tests.registry_server import Fault, FaultKind, Server, World, nuget
from tests.registry_server.history import Happened, HistoryEvent, RegistryHistory, What, history_of, moment

SERVICE_INDEX = "/v3/index.json"
INDEX = "/v3/catalog0/index.json"
ACME = nuget.Package("Acme.Json", (nuget.Version("1.0.0"), nuget.Version("2.0.0")))
PUSHED: tuple[Happened, ...] = (
    ("Acme.Json", "1.0.0", What.PUBLISHED),
    ("NLog", "4.0.0", What.PUBLISHED),
    *((f"Filler.{number}", "1.0.0", What.PUBLISHED) for number in range(8)),
    ("Acme.Json", "2.0.0", What.PUBLISHED),
)
GONE = (("Acme.Json", 12), ("NLog", 13))
NAMES = {name for name, _, _ in PUSHED}


def history(*happened: Happened, epoch: int = 0) -> RegistryHistory:
    return history_of(happened, epoch=epoch)


def at(number: int) -> str:
    """Return the time of an event's commit in the first epoch."""
    return moment(number).replace("Z", ".0000000Z")


FIRST = history(*PUSHED)


@pytest_asyncio.fixture
async def site(server: Server, tmp_path: Path) -> AsyncIterator[FeedSite]:
    async with feed_site(NuGetFeed, server, tmp_path, "nuget", FIRST, ACME) as found:
        yield found


async def test_a_listing_has_every_package_with_its_newest_leaf(site: FeedSite, tmp_path: Path) -> None:
    found = await listed(site.feed)

    assert found.keys() == NAMES
    assert (found["Acme.Json"], found["NLog"]) == (moment(11), moment(2))
    async with connected(NuGet, site.server, tmp_path) as registry:
        revision = (await first_visit(registry, "acme.json")).revision
    assert revision == moment(11)


async def test_each_page_of_the_catalog_takes_one_request(site: FeedSite) -> None:
    await listed(site.feed)

    assert site.targets()[:2] == [SERVICE_INDEX, INDEX]
    assert sorted(site.targets()[2:]) == [f"/v3/catalog0/page{number}.json" for number in range(3)]


async def test_nothing_new_takes_the_two_indexes_alone(site: FeedSite) -> None:
    cursor = await site.feed.head()
    site.server.requests.clear()

    assert await changed(site.feed, cursor) == ([], cursor)
    assert site.targets() == [SERVICE_INDEX, INDEX]


async def test_what_changed_is_told_once_with_its_newest_commit(site: FeedSite) -> None:
    cursor = await site.feed.head()
    site.serve(
        history(
            *PUSHED,
            ("nlog", "4.1.0", What.PUBLISHED),
            ("New", "1.0.0", What.PUBLISHED),
            ("NLog", "4.0.0", What.YANKED),
        )
    )

    changes, later = await changed(site.feed, cursor)

    assert changes == [Change("New", at(13), False), Change("NLog", at(14), False)]
    assert later == await site.feed.head() == at(14)
    assert "/v3/catalog0/page0.json" not in site.targets()
    assert await changed(site.feed, later) == ([], later)


async def test_a_deletion_of_versions_says_so_and_leaves_open_whether_others_are_left(site: FeedSite) -> None:
    cursor = await site.feed.head()
    site.serve(history(*PUSHED, ("Acme.Json", None, What.REMOVED), ("NLog", None, What.REMOVED)))
    changes, _ = await changed(site.feed, cursor)
    assert changes == [Change(name, at(number), True, versions_only=True) for name, number in GONE]


@pytest.mark.parametrize("is_first", [True, False])
async def test_a_package_that_has_got_a_version_is_there_whatever_was_deleted_of_it(
    site: FeedSite, is_first: bool
) -> None:
    cursor = await site.feed.head()
    deleted: Happened = ("NLog", "4.0.0", What.REMOVED)
    published: Happened = ("nlog", "4.0.1", What.PUBLISHED)
    site.serve(history(*PUSHED, *((published, deleted) if is_first else (deleted, published))))

    changes, _ = await changed(site.feed, cursor)

    assert changes == [Change("nlog", at(12 if is_first else 13), False)], "its document is to show that version"


async def test_a_version_that_was_published_and_deleted_is_gone(site: FeedSite) -> None:
    cursor = await site.feed.head()
    site.serve(history(*PUSHED, ("NLog", "4.0.1", What.PUBLISHED), ("NLog", "4.0.1", What.REMOVED)))

    changes, _ = await changed(site.feed, cursor)

    assert changes == [Change("NLog", at(13), True, versions_only=True)]


async def test_a_package_whose_versions_are_all_deleted_is_not_listed(site: FeedSite) -> None:
    others = [(f"Other.{number}", "1", What.PUBLISHED) for number in range(20)]
    twice = [("Gone", "1.0.0", What.PUBLISHED), ("Gone", "2.0.0-B", What.PUBLISHED)]
    site.serve(history(*twice, *others, ("Gone", None, What.REMOVED), ("Kept", "1", What.PUBLISHED)))

    assert (await listed(site.feed)).keys() == {"Kept", *(name for name, _, _ in others)}


async def test_a_package_that_came_back_is_listed(site: FeedSite) -> None:
    first = ("Again", "1.0.0", What.PUBLISHED)
    site.serve(history(first, ("Again", None, What.REMOVED), first))

    assert await listed(site.feed) == {"Again": moment(3)}


async def test_a_package_that_lost_a_version_is_listed_with_the_newest_of_the_others(site: FeedSite) -> None:
    site.serve(history(("A", "1", What.PUBLISHED), ("A", "2", What.PUBLISHED), ("A", "2", What.REMOVED)))

    assert await listed(site.feed) == {"A": moment(1)}


async def test_an_epoch_before_the_cursor_loses_it(site: FeedSite) -> None:
    cursor = await site.feed.head()
    site.serve(replace(FIRST, epoch=1))

    with pytest.raises(CursorLost):
        await changed(site.feed, cursor)
    assert (await listed(site.feed)).keys() == NAMES


async def test_an_index_that_was_emptied_loses_the_cursor(site: FeedSite) -> None:
    cursor = await site.feed.head()
    site.serve(RegistryHistory())

    with pytest.raises(CursorLost):
        await changed(site.feed, cursor)


@pytest.mark.parametrize("cursor", ["", "yesterday", "2026-08-01", "5", "2026-08-01T00:00:00+02:00", '["", []]'])
async def test_a_cursor_of_somebody_else_is_lost(site: FeedSite, cursor: str) -> None:
    with pytest.raises(CursorLost):
        await changed(site.feed, cursor)


async def test_many_changes_come_in_pages_and_from_each_cursor_nothing_is_missed(site: FeedSite) -> None:
    pages = [page async for page in site.feed.changes("2000-01-01T00:00:00Z")]

    assert [len(page.changes) for page in pages] == [5, 5, 1]
    for number, page in enumerate(pages):
        rest, cursor = await changed(site.feed, page.cursor)
        assert {change.name for change in rest} >= {
            change.name for later in pages[number + 1 :] for change in later.changes
        }
        assert cursor == pages[-1].cursor == at(11)


async def test_a_commit_that_two_pages_share_is_not_taken_in_halves(site: FeedSite) -> None:
    names = [f"Shared.{number}" for number in range(8)]
    before = HistoryEvent(1, moment(1), "Before", "1.0.0", What.PUBLISHED)
    shared = (HistoryEvent(number, moment(2), name, "1.0.0", What.PUBLISHED) for number, name in enumerate(names, 2))
    site.serve(RegistryHistory((before, *shared)))

    first = await anext(site.feed.changes(at(0)))
    rest, cursor = await changed(site.feed, first.cursor)

    assert first.cursor == at(1)
    assert sorted(change.name for change in rest) == names
    assert cursor == at(2)


def long_history(items: int) -> RegistryHistory:
    """Return a history of more pages than are asked for at once."""
    return history(*((f"Package.{number}", "1.0.0", What.PUBLISHED) for number in range(1, items + 1)))


async def test_what_is_newer_than_the_index_waits_for_the_next_one(site: FeedSite) -> None:
    site.serve(long_history(43))
    changes = site.feed.changes(at(0))
    pages = [await anext(changes)]
    site.serve(long_history(45))
    pages += [page async for page in changes]

    assert [change.name for page in pages for change in page.changes] == [f"Package.{n}" for n in range(1, 44)]
    assert pages[-1].cursor == at(43)
    rest, _ = await changed(site.feed, pages[-1].cursor)
    assert [change.name for change in rest] == ["Package.44", "Package.45"]


async def test_an_index_that_has_gone_on_and_lists_no_page_loses_the_cursor(site: FeedSite) -> None:
    cursor = await site.feed.head()
    body = f'{{"commitTimeStamp": "{at(12)}", "items": []}}'.encode()
    site.server.faults.add(Fault(INDEX, FaultKind.BODY, body=body))

    with pytest.raises(CursorLost):
        await changed(site.feed, cursor)


async def test_a_page_that_is_older_than_the_index_says_is_stale(site: FeedSite) -> None:
    site.serve(long_history(43))
    changes = site.feed.changes(at(0))
    await anext(changes)
    site.serve(long_history(42))

    with pytest.raises(Stale, match="the index has it of"):
        [page async for page in changes]


async def test_a_listing_that_broke_off_goes_on_behind_its_last_page(
    site: FeedSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nuget_feed, "PAGE_NAMES", 5)
    pages = site.feed.listing("")
    first = await anext(pages)
    assert [path for path in site.targets() if "page" in path]
    await pages.aclose()  # type: ignore[attr-defined]
    # What is published meanwhile is told by the changes since the head.
    site.serve(history(*PUSHED, ("Late", "1.0.0", What.PUBLISHED)))

    rest = await listed(site.feed, first.position)

    begun = {entry.name for entry in unpack(first.packed)}
    assert begun | rest.keys() == NAMES
    assert not begun & rest.keys()


async def test_behind_the_last_page_of_a_listing_there_is_nothing(site: FeedSite) -> None:
    *_, last = [page async for page in site.feed.listing("")]

    assert await listed(site.feed, last.position) == {}


async def test_a_listing_never_breaks_off_between_the_pages_of_one_commit(
    site: FeedSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nuget_feed, "PAGE_NAMES", 2)
    before = HistoryEvent(1, moment(1), "Before", "1.0.0", What.PUBLISHED)
    names = [f"Shared.{number}" for number in range(12)]
    shared = (HistoryEvent(number, moment(2), name, "1.0.0", What.PUBLISHED) for number, name in enumerate(names, 2))
    site.serve(RegistryHistory((before, *shared)))
    pages = site.feed.listing("")
    first = await anext(pages)
    await pages.aclose()  # type: ignore[attr-defined]

    rest = await listed(site.feed, first.position)

    assert {entry.name for entry in unpack(first.packed)} | rest.keys() == {"Before", *names}


@pytest.mark.parametrize("left", [None, b"", b"no database"])
async def test_without_its_file_a_listing_that_broke_off_begins_again(
    site: FeedSite, monkeypatch: pytest.MonkeyPatch, left: bytes | None
) -> None:
    monkeypatch.setattr(nuget_feed, "PAGE_NAMES", 5)
    first = await anext(site.feed.listing(""))
    [file] = site.folder.glob("*.db")
    file.unlink()
    if left is not None:
        file.write_bytes(left)

    assert (await listed(site.feed, first.position)).keys() == NAMES


FAULTS = [
    (Fault("", FaultKind.STATUS, status=503), Unavailable),
    (Fault("", FaultKind.STATUS, status=429, retry_after="600"), RateLimited),
    (Fault("", FaultKind.HTML), Malformed),
    (Fault("", FaultKind.TRUNCATED), Unavailable),
]
BROKEN = [
    *((replace(fault, path=path), error) for path in ("/v3/catalog0/page1.json", INDEX) for fault, error in FAULTS),
    (Fault("/v3/catalog0/page1.json", FaultKind.STATUS, status=404), Malformed),
    (Fault(INDEX, FaultKind.STATUS, status=404), NotFound),
    (Fault(SERVICE_INDEX, FaultKind.STATUS, status=503), Unavailable),
]


@pytest.mark.parametrize(("fault", "error"), BROKEN, ids=lambda case: getattr(case, "kind", ""))
async def test_a_document_that_cannot_be_read_is_an_error_and_never_an_empty_list(
    server: Server, tmp_path: Path, fault: Fault, error: type[Exception]
) -> None:
    server.faults.clear()
    server.replace(World(histories={"nuget": FIRST}))
    for read in (lambda feed: changed(feed, at(0)), listed):
        async with fed(NuGetFeed, server, tmp_path) as feed:
            server.faults.add(fault)
            with pytest.raises(error):
                await read(feed)


async def test_a_server_without_service_index_has_its_catalog_at_the_usual_place(site: FeedSite) -> None:
    site.server.faults.add(Fault(SERVICE_INDEX, FaultKind.STATUS, status=404))

    assert (await listed(site.feed)).keys() == NAMES


async def test_a_document_without_what_was_announced_is_stale_though_it_was_written_after_it(
    site: FeedSite, tmp_path: Path
) -> None:
    async with connected(NuGet, site.server, tmp_path) as registry:
        ref = registry.identify("Acme.Json")
        answer = await registry.fetch(ref, None, at_least=at(11))
        assert isinstance(answer, Package)
        assert answer.revision == moment(11)

        with pytest.raises(Stale, match="has been announced"):
            await registry.fetch(ref, known(answer), at_least=at(12))


async def test_a_version_that_was_announced_and_deleted_since_is_not_waited_for(site: FeedSite, tmp_path: Path) -> None:
    deleted = [("Acme.Json", "9.9.9", What.PUBLISHED), ("Acme.Json", "9.9.9", What.REMOVED)]
    site.serve(history(*PUSHED, *deleted))
    async with connected(NuGet, site.server, tmp_path) as registry:
        answer = await registry.fetch(registry.identify("Acme.Json"), None, at_least=at(12))

    assert isinstance(answer, Package)
    assert answer.revision == moment(11)


async def test_a_package_that_was_just_announced_and_is_not_there_yet_is_stale(site: FeedSite, tmp_path: Path) -> None:
    just_now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}.1234567Z"
    async with connected(NuGet, site.server, tmp_path) as registry:
        ref = registry.identify("Soon")
        with pytest.raises(Stale, match="does not exist"):
            await registry.fetch(ref, None, at_least=just_now)
        for announced in (None, at(12)):
            with pytest.raises(NotFound):
                await registry.fetch(ref, None, at_least=announced)


async def test_a_document_is_asked_for_whole_when_something_was_announced(site: FeedSite, tmp_path: Path) -> None:
    async with connected(NuGet, site.server, tmp_path) as registry:
        answer = await first_visit(registry, "Acme.Json")

        assert isinstance(await registry.fetch(answer.ref, known(answer), at_least=at(11)), Package)
