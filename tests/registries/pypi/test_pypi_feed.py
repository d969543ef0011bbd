"""This tests PyPI's list of projects over real HTTP: one request tells every name and every change."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from securechain_ingest.errors import CursorLost, Malformed, NotFound, RateLimited, Stale, Unavailable
from securechain_ingest.model import Package
from securechain_ingest.registries.feed import PAGE_NAMES, Change, unpack
from securechain_ingest.registries.pypi.client import PyPI
from securechain_ingest.registries.pypi.feed import PyPIFeed, parse_changes, parse_listing, parse_serial
from tests.registries.asking import FeedSite, changed, connected, feed_site, known, listed
from tests.registry_server import Fault, FaultKind, Server, pypi
from tests.registry_server.history import Happened, RegistryHistory, What, history_of

SIX = pypi.Project("six", (pypi.ProjectRelease("1.0"), pypi.ProjectRelease("1.1")))
PUBLISHED = ("six", "Zope.Interface", "six")


def history(*names: str, gone: tuple[str, ...] = (), epoch: int = 0) -> RegistryHistory:
    """Return a history with a release of each name, in this order; then the gone ones are deleted."""
    published: list[Happened] = [(name, f"1.{position}", What.PUBLISHED) for position, name in enumerate(names)]
    return history_of([*published, *((name, None, What.REMOVED) for name in gone)], epoch=epoch)


FIRST = history(*PUBLISHED)


@pytest_asyncio.fixture
async def site(server: Server, tmp_path: Path) -> AsyncIterator[FeedSite]:
    async with feed_site(PyPIFeed, server, tmp_path, "pypi", FIRST, SIX) as found:
        yield found


async def test_a_listing_has_every_project_in_its_own_spelling_with_its_serial(site: FeedSite, tmp_path: Path) -> None:
    assert await listed(site.feed) == {"Zope.Interface": "3000002", "six": "3000003"}
    async with connected(PyPI, site.server, tmp_path) as registry:
        package = await registry.fetch(registry.identify("six"), None)
    assert isinstance(package, Package)
    assert package.revision == "3000003"


async def test_the_list_is_asked_for_in_json_and_only_once(site: FeedSite) -> None:
    await listed(site.feed)

    [request] = site.server.requests
    assert request.target == "/simple/"
    assert request.headers["accept"] == "application/vnd.pypi.simple.v1+json"


async def test_nothing_new_costs_one_request_without_a_body(site: FeedSite) -> None:
    cursor = await site.feed.head()
    site.server.requests.clear()

    assert await changed(site.feed, cursor) == ([], cursor)
    assert [request.status for request in site.server.requests] == [304]


async def test_what_changed_since_is_told_in_the_order_of_the_serials(site: FeedSite) -> None:
    cursor = await site.feed.head()
    site.serve(history(*PUBLISHED, "new", "Zope.Interface"))

    changes, later = await changed(site.feed, cursor)

    assert changes == [Change("new", "3000004", False), Change("Zope.Interface", "3000005", False)]
    site.server.requests.clear()
    assert await changed(site.feed, later) == ([], later)
    assert [request.status for request in site.server.requests] == [304]


async def test_a_project_that_is_gone_is_no_longer_listed_and_moves_the_cursor_on(site: FeedSite) -> None:
    cursor = await site.feed.head()
    site.serve(history(*PUBLISHED, gone=("six",)))

    changes, later = await changed(site.feed, cursor)

    assert changes == []
    assert orjson.loads(later)[0] == 3_000_004
    assert "six" not in await listed(site.feed)


async def test_a_registry_that_was_restored_loses_the_cursor(site: FeedSite) -> None:
    cursor = await site.feed.head()
    site.serve(replace(FIRST, epoch=1))

    with pytest.raises(CursorLost, match="before the cursor"):
        await changed(site.feed, cursor)


@pytest.mark.parametrize("cursor", ["", "5", "[]", "[-1, null]", '["5", null]', '{"seq": 5}', "yesterday"])
async def test_a_cursor_of_somebody_else_is_lost(site: FeedSite, cursor: str) -> None:
    with pytest.raises(CursorLost):
        await changed(site.feed, cursor)


async def test_many_changes_come_in_pages_from_whose_cursors_one_can_go_on(site: FeedSite) -> None:
    names = [f"project-{number}" for number in range(PAGE_NAMES + 10)]
    site.serve(history(*names))

    pages = [page async for page in site.feed.changes("[0, null]")]
    rest, _ = await changed(site.feed, pages[0].cursor)

    assert [change.name for page in pages for change in page.changes] == names
    assert [len(page.changes) for page in pages] == [PAGE_NAMES, 10, 0]
    assert [change.name for change in rest] == names[PAGE_NAMES:]


BROKEN = [
    (Fault("/simple/", FaultKind.STATUS, status=503), Unavailable),
    (Fault("/simple/", FaultKind.STATUS, status=429, retry_after="600"), RateLimited),
    (Fault("/simple/", FaultKind.HTML), Malformed),
    (Fault("/simple/", FaultKind.TRUNCATED), Unavailable),
    (Fault("/simple/", FaultKind.STATUS, status=404), NotFound),
]


@pytest.mark.parametrize(("fault", "error"), BROKEN, ids=lambda case: getattr(case, "kind", ""))
async def test_a_list_that_cannot_be_read_is_an_error_and_never_an_empty_one(
    site: FeedSite, fault: Fault, error: type[Exception]
) -> None:
    site.server.faults.add(fault)
    with pytest.raises(error):
        await listed(site.feed)


async def test_a_document_older_than_its_announcement_is_stale(site: FeedSite, tmp_path: Path) -> None:
    async with connected(PyPI, site.server, tmp_path) as registry:
        ref = registry.identify("six")
        answer = await registry.fetch(ref, None, at_least="3000003")
        assert isinstance(answer, Package)

        with pytest.raises(Stale, match="3000004"):
            await registry.fetch(ref, known(answer), at_least="3000004")


def test_a_project_above_the_lists_own_serial_is_told_once_the_list_has_come_that_far() -> None:
    projects = [{"name": "six", "_last-serial": 6}, {"name": "late", "_last-serial": 8}]

    def told(serial: int, since: int) -> tuple[int, list[tuple[str, int]]]:
        return parse_changes(orjson.dumps({"meta": {"_last-serial": serial}, "projects": projects}), since, "the list")

    assert told(7, 5) == (7, [("six", 6)])
    assert told(8, 7) == (8, [("late", 8)])


@pytest.mark.parametrize(
    "document",
    [
        b"[]",
        b"{}",
        b'{"projects": []}',
        b'{"projects": {}, "meta": {"_last-serial": 5}}',
        b'{"projects": [], "meta": {"_last-serial": true}}',
        b'{"projects": [], "meta": {"_last-serial": -1}}',
        b'{"projects": [{"name": "six"}], "meta": {"_last-serial": 5}}',
        b'{"projects": ["six"], "meta": {"_last-serial": 5}}',
        b'{"projects": [{"name": null, "_last-serial": 5}], "meta": {"_last-serial": 5}}',
    ],
)
def test_a_list_of_another_form_is_malformed(document: bytes) -> None:
    with pytest.raises(Malformed):
        parse_changes(document, 0, "the list")


@given(st.dictionaries(st.text(min_size=1), st.integers(0, 2**40), max_size=30), st.integers(0, 2**40))
def test_all_projects_are_listed_and_those_above_a_serial_have_changed(serials: dict[str, int], since: int) -> None:
    projects = [{"name": name, "_last-serial": serial} for name, serial in serials.items()]
    last = max([since, *serials.values()])
    body = orjson.dumps({"meta": {"_last-serial": last, "api-version": "1.4"}, "projects": projects})

    names = {entry.name: entry.revision for page in parse_listing(body, "") for entry in unpack(page.packed)}
    serial, changes = parse_changes(body, since, "")

    assert names == {name: str(serial) for name, serial in serials.items()}
    assert serial == last == parse_serial(body, "")
    assert dict(changes) == {name: serial for name, serial in serials.items() if serial > since}
    assert [number for _, number in changes] == sorted(number for _, number in changes)


async def test_the_newest_releases_are_hinted_at_once_and_then_cost_a_request_without_a_body(site: FeedSite) -> None:
    feed = site.feed
    assert isinstance(feed, PyPIFeed)
    first = await feed.hints("")
    assert first is not None
    assert {change.name for change in first.changes} == {"six", "Zope.Interface"}
    site.server.requests.clear()
    assert await feed.hints(first.cursor) is None
    assert [(request.target, request.status) for request in site.server.requests] == [("/rss/updates.xml", 304)]

    site.serve(history(*PUBLISHED, "attrs"))
    second = await feed.hints(first.cursor)
    assert second is not None
    assert [change.name for change in second.changes] == ["attrs"]


async def test_hints_that_another_release_has_seen_are_given_again(site: FeedSite) -> None:
    assert isinstance(site.feed, PyPIFeed)
    hints = await site.feed.hints('{"seen": 1}')
    assert hints is not None
    assert len(hints.changes) == 2
