"""This tests npm's replication service over real HTTP: changes by sequence number, and every name."""

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
from securechain_ingest.registries.feed import Change, unpack
from securechain_ingest.registries.npm.client import Npm
from securechain_ingest.registries.npm.feed import LIMIT, NpmFeed, parse_changes, parse_names
from tests.registries.asking import FeedSite, changed, connected, fed, feed_site, known, listed
from tests.registry_server import Fault, FaultKind, Server, World, npm
from tests.registry_server.history import RegistryHistory, What, history_of
from tests.registry_server.npm.replication import revision

NAMES = ("left", "@scope/right", "JSONStream")


def history(*happened: tuple[str, What], epoch: int = 0) -> RegistryHistory:
    """Return events of whole packages, or of a version that is the event's own number."""
    return history_of(
        (
            (name, None if what is What.REMOVED else f"1.{number}.0", what)
            for number, (name, what) in enumerate(happened, 1)
        ),
        epoch=epoch,
    )


FIRST = history(*((name, What.PUBLISHED) for name in NAMES))


@pytest_asyncio.fixture
async def site(server: Server, tmp_path: Path) -> AsyncIterator[FeedSite]:
    async with feed_site(NpmFeed, server, tmp_path, "npm", FIRST) as found:
        yield found


async def test_a_listing_has_every_name_in_the_registrys_spelling_with_its_revision(site: FeedSite) -> None:
    assert await listed(site.feed) == {name: revision(FIRST, name) for name in NAMES}
    assert [request.defect for request in site.server.requests] == [None]


async def test_nothing_new_costs_one_request(site: FeedSite) -> None:
    _, cursor = await changed(site.feed, await site.feed.head())
    site.server.requests.clear()

    assert await changed(site.feed, cursor) == ([], cursor)
    assert site.targets() == ["/"]


async def test_what_changed_is_told_once_with_its_newest_revision(site: FeedSite) -> None:
    _, cursor = await changed(site.feed, await site.feed.head())
    grown = history(
        *((name, What.PUBLISHED) for name in NAMES),
        ("left", What.PUBLISHED),
        ("new", What.PUBLISHED),
        ("left", What.PUBLISHED),
        ("JSONStream", What.REMOVED),
    )
    site.serve(grown)

    changes, later = await changed(site.feed, cursor)

    assert changes == [
        Change("new", revision(grown, "new"), False),
        Change("left", revision(grown, "left"), False),
        Change("JSONStream", revision(grown, "JSONStream"), True),
    ]
    assert int(later) > int(cursor)
    assert [request.defect for request in site.server.requests] == [None, None]


async def test_a_change_after_the_head_was_taken_is_told(site: FeedSite) -> None:
    cursor = await site.feed.head()
    site.serve(history(*((name, What.PUBLISHED) for name in NAMES), ("left", What.PUBLISHED)))

    changes, _ = await changed(site.feed, cursor)

    assert "left" in {change.name for change in changes}


async def test_a_change_that_is_written_late_with_a_number_below_the_head_is_told(site: FeedSite) -> None:
    *before, last = history(*((name, What.PUBLISHED) for name in ("left", "late", "JSONStream"))).events
    site.serve(RegistryHistory((before[0], last)))
    cursor = await site.feed.head()
    site.serve(RegistryHistory((*before, last)))

    changes, _ = await changed(site.feed, cursor)

    assert "late" in {change.name for change in changes}


async def test_the_head_of_a_service_with_few_numbers_is_its_beginning(site: FeedSite) -> None:
    site.serve(history(("left", What.PUBLISHED), epoch=3))

    assert await site.feed.head() == "0"


async def test_a_service_that_was_reset_to_lower_numbers_loses_the_cursor(site: FeedSite) -> None:
    _, cursor = await changed(site.feed, await site.feed.head())
    site.serve(replace(FIRST, epoch=1))

    with pytest.raises(CursorLost, match="before the cursor"):
        await changed(site.feed, cursor)


@pytest.mark.parametrize("cursor", ["", "yesterday", "-5", '{"serial": 5}', "9" * 30])
async def test_a_cursor_of_somebody_else_is_lost(site: FeedSite, cursor: str) -> None:
    with pytest.raises(CursorLost):
        await changed(site.feed, cursor)


async def test_many_changes_come_in_pages_and_each_page_has_its_cursor(site: FeedSite) -> None:
    names = [f"package-{number}" for number in range(2 * LIMIT)]
    past = history(*((name, What.PUBLISHED) for name in names))
    site.serve(past)

    pages = [page async for page in site.feed.changes("0")]

    assert [change.name for page in pages for change in page.changes] == names
    assert [len(page.changes) for page in pages] == [LIMIT, LIMIT]
    rest, _ = await changed(site.feed, pages[0].cursor)
    assert [change.name for change in rest] == names[LIMIT:]


def body(**document: object) -> bytes:
    return orjson.dumps(document)


async def test_a_service_that_tells_no_rows_although_it_has_gone_on_loses_the_cursor(site: FeedSite) -> None:
    cursor = await site.feed.head()
    site.server.faults.add(Fault("/_changes", FaultKind.BODY, body=body(results=[], last_seq=int(cursor))))

    with pytest.raises(CursorLost, match="tells no changes"):
        await changed(site.feed, cursor)


async def test_a_service_that_counts_further_than_its_rows_go_has_told_all(site: FeedSite) -> None:
    cursor = await site.feed.head()
    newest = int(cursor) + 1_000_000
    site.server.faults.add(Fault("/", FaultKind.BODY, body=body(update_seq=newest)))

    changes, later = await changed(site.feed, cursor)

    assert {change.name for change in changes} == set(NAMES)
    assert int(later) < newest
    assert len([target for target in site.targets() if target.startswith("/_changes")]) == 1


async def test_a_listing_that_does_not_go_on_is_malformed_and_no_endless_one(site: FeedSite) -> None:
    rows = [{"id": "same", "value": {"rev": "1-a"}}] * LIMIT
    site.server.faults.add(Fault("/_all_docs", FaultKind.BODY, body=body(rows=rows), times=5))

    with pytest.raises(Malformed, match="does not go on"):
        await listed(site.feed)


def test_a_package_that_a_page_has_twice_counts_where_it_comes_last() -> None:
    rows = [{"id": name, "seq": number, "changes": [{"rev": f"{number}-a"}]} for number, name in enumerate("aba", 1)]
    page, _ = parse_changes(body(results=rows, last_seq=3), 0, "the feed")

    assert page.changes == (Change("b", "2-a", False), Change("a", "3-a", False))


def test_design_documents_are_no_packages() -> None:
    rows = [{"id": name, "seq": number} for number, name in enumerate(("_design/app", "a_b", "_x"), 1)]
    page, count = parse_changes(body(results=rows, last_seq=3), 0, "the feed")
    names, _ = parse_names(body(rows=rows), "", "the list")

    assert (count, page.cursor, [change.name for change in page.changes]) == (3, "3", ["a_b"])
    assert [entry.name for entry in unpack(names.packed)] == ["a_b"]


async def test_a_listing_that_broke_off_goes_on_behind_its_last_page(site: FeedSite) -> None:
    names = sorted(f"package-{number}" for number in range(2 * LIMIT + 5))
    site.serve(history(*((name, What.PUBLISHED) for name in names)))
    first = await anext(site.feed.listing(""))

    rest = await listed(site.feed, first.position)

    assert [entry.name for entry in unpack(first.packed)] == names[:LIMIT]
    assert sorted(rest) == names[LIMIT:]
    assert {request.defect for request in site.server.requests} == {None}


BROKEN = [
    (Fault("/_*", FaultKind.STATUS, status=503), Unavailable),
    (Fault("/_*", FaultKind.STATUS, status=429, retry_after="600"), RateLimited),
    (Fault("/_*", FaultKind.HTML), Malformed),
    (Fault("/_*", FaultKind.TRUNCATED), Unavailable),
    (Fault("/_*", FaultKind.STATUS, status=404), NotFound),
]


@pytest.mark.parametrize(("fault", "error"), BROKEN, ids=lambda case: getattr(case, "kind", ""))
async def test_a_page_that_cannot_be_read_is_an_error_and_never_an_empty_list(
    server: Server, tmp_path: Path, fault: Fault, error: type[Exception]
) -> None:
    server.faults.clear()
    server.replace(World(histories={"npm": FIRST}))
    for read in (lambda feed: changed(feed, "0"), listed):
        async with fed(NpmFeed, server, tmp_path) as feed:
            server.faults.add(fault)
            with pytest.raises(error):
                await read(feed)


async def test_a_document_older_than_its_announcement_is_stale(server: Server, tmp_path: Path) -> None:
    package = npm.Package("left", (npm.Version("1.0.0"),))
    server.replace(World((package,), histories={"npm": FIRST}))
    async with connected(Npm, server, tmp_path) as registry:
        ref = registry.identify("left")
        answer = await registry.fetch(ref, None, at_least="1-abc")
        assert isinstance(answer, Package)
        assert answer.revision == revision(FIRST, "left")

        with pytest.raises(Stale, match="2-abc"):
            await registry.fetch(ref, known(answer), at_least="2-abc")


async def test_a_document_that_tells_no_revision_is_taken_as_it_is(server: Server, tmp_path: Path) -> None:
    server.replace(World((npm.Package("left", (npm.Version("1.0.0"),), fields={"_rev": None}),)))
    async with connected(Npm, server, tmp_path) as registry:
        answer = await registry.fetch(registry.identify("left"), None, at_least="2-abc")

    assert isinstance(answer, Package)
    assert answer.revision is None


@pytest.mark.parametrize(
    "document",
    [
        b"[]",
        b"{}",
        b'{"results": {}}',
        b'{"results": ["a"], "last_seq": 5}',
        b'{"results": [{"seq": 5}], "last_seq": 5}',
        b'{"results": [{"id": "a", "seq": null}], "last_seq": 5}',
        b'{"results": [{"id": "a", "seq": true}], "last_seq": 5}',
        b'{"results": [{"id": "a", "seq": 5}]}',
        b'{"results": [{"id": "a", "seq": 5}], "last_seq": 4}',
        b'{"results": [{"id": "a", "seq": 5}], "last_seq": 0}',
    ],
)
def test_a_page_of_changes_of_another_form_is_malformed(document: bytes) -> None:
    with pytest.raises(Malformed):
        parse_changes(document, 0, "the feed")


@pytest.mark.parametrize("document", [b"null", b"{}", b'{"rows": [1]}', b'{"rows": [{"key": "a"}]}'])
def test_a_page_of_names_of_another_form_is_malformed(document: bytes) -> None:
    with pytest.raises(Malformed):
        parse_names(document, "", "the list")


@given(
    st.lists(
        st.tuples(st.text(min_size=1), st.booleans(), st.sampled_from([int, str, lambda number: f"{number}-opaque"])),
        max_size=20,
    )
)
def test_numbers_may_be_texts_and_design_documents_are_no_packages(rows: list[tuple[str, bool, type]]) -> None:
    results = [
        {"seq": written(number), "id": name, "changes": [], "deleted": deleted}
        for number, (name, deleted, written) in enumerate(rows, 1)
    ]
    page, count = parse_changes(orjson.dumps({"results": results, "last_seq": str(len(rows))}), 0, "the feed")

    assert count == len(rows)
    assert page.cursor == str(len(rows))
    assert {change.name: change.removed for change in page.changes} == {
        name: deleted for name, deleted, _ in rows if not name.startswith("_")
    }
