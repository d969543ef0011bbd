"""This tests the compact index's list of all gems over real HTTP: whole once, then only its tail."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from securechain_ingest.errors import CursorLost, Malformed, NotFound, RateLimited, Unavailable
from securechain_ingest.registries.feed import Change, unpack
from securechain_ingest.registries.rubygems.client import RubyGems
from securechain_ingest.registries.rubygems.feed import RubyGemsFeed
from securechain_ingest.registries.rubygems.gem_list import parse_listing, parse_tail
from tests.registries.asking import FeedSite, changed, connected, feed_site, first_visit, listed
from tests.registry_server import Fault, FaultKind, Server, rubygems
from tests.registry_server.history import Happened, RegistryHistory, What, history_of

RAKE = rubygems.Gem("rake", (rubygems.Version("1.0.0"), rubygems.Version("1.1.0")))
PUSHED = (("rake", "1.0.0", What.PUBLISHED), ("RedCloth", "4.0", What.PUBLISHED), ("rake", "1.1.0", What.PUBLISHED))


def history(*happened: Happened, epoch: int = 0) -> RegistryHistory:
    return history_of(happened, epoch=epoch)


FIRST = history(*PUSHED)


@pytest_asyncio.fixture
async def site(server: Server, tmp_path: Path) -> AsyncIterator[FeedSite]:
    async with feed_site(RubyGemsFeed, server, tmp_path, "rubygems", FIRST, RAKE) as found:
        yield found


async def test_a_listing_has_every_gem_with_the_digest_of_its_file(site: FeedSite, tmp_path: Path) -> None:
    found = await listed(site.feed)

    assert list(found) == ["rake", "RedCloth"]
    async with connected(RubyGems, site.server, tmp_path) as registry:
        assert (await first_visit(registry, "rake")).revision == found["rake"]


async def test_a_gem_without_versions_is_not_listed(site: FeedSite) -> None:
    site.serve(history(*PUSHED, ("RedCloth", "4.0", What.YANKED)))

    assert list(await listed(site.feed)) == ["rake"]


async def test_nothing_new_costs_one_byte(site: FeedSite) -> None:
    cursor = await site.feed.head()
    site.server.requests.clear()

    assert await changed(site.feed, cursor) == ([], cursor)
    [request] = site.server.requests
    assert (request.status, request.bytes_sent) == (206, 1)
    assert request.headers["accept-encoding"] == "identity"


async def test_of_a_server_without_digests_nothing_new_costs_one_byte_and_anything_new_the_whole(
    site: FeedSite,
) -> None:
    cursor = await site.feed.head()
    site.server.requests.clear()
    site.server.faults.add(Fault("/versions", FaultKind.NO_DIGEST, times=None))
    assert await changed(site.feed, cursor) == ([], cursor)
    assert [(request.status, request.bytes_sent) for request in site.server.requests] == [(206, 1)]

    site.serve(history(*PUSHED, ("new", "0.1", What.PUBLISHED)))
    changes, _ = await changed(site.feed, cursor)

    assert [change.name for change in changes] == ["new"]
    assert [request.status for request in site.server.requests] == [206, 200]


async def test_jobs_that_read_the_list_at_the_same_time_do_not_harm_each_other(site: FeedSite) -> None:
    cursor = await site.feed.head()
    for number in range(5):
        site.serve(history(*PUSHED, *((f"new-{count}", "0.1", What.PUBLISHED) for count in range(number + 1))))

        found = await asyncio.gather(changed(site.feed, cursor), listed(site.feed), changed(site.feed, cursor))

        assert found[0] == found[2]
        assert len(found[0][0]) == len(found[1]) - 2 == number + 1
    assert [path.name for path in site.folder.iterdir()] == ["versions"]


async def test_only_the_tail_of_a_list_that_grew_is_read(site: FeedSite) -> None:
    cursor = await site.feed.head()
    site.serve(
        history(
            *PUSHED, ("new", "0.1", What.PUBLISHED), ("RedCloth", "4.0", What.YANKED), ("new", "0.2", What.PUBLISHED)
        )
    )

    changes, later = await changed(site.feed, cursor)

    assert [(change.name, change.removed) for change in changes] == [("new", False), ("RedCloth", True)]
    assert [request.status for request in site.server.requests] == [206]
    assert site.server.requests[0].bytes_sent < 200
    assert await changed(site.feed, later) == ([], later)


async def test_a_yank_that_leaves_versions_is_a_change_and_no_removal(site: FeedSite) -> None:
    cursor = await site.feed.head()
    site.serve(history(*PUSHED, ("rake", "1.0.0", What.YANKED)))

    changes, _ = await changed(site.feed, cursor)

    assert [(change.name, change.removed) for change in changes] == [("rake", False)]


@pytest.mark.parametrize("gone", [(), ("rake",)], ids=["between-two-yanks", "at-the-end"])
async def test_a_yank_that_was_taken_back_loses_the_cursor(site: FeedSite, gone: tuple[str, ...]) -> None:
    yanked = (*PUSHED, ("rake", "1.0.0", What.YANKED))
    site.serve(history(*yanked))
    cursor = await site.feed.head()
    site.serve(history(*yanked, ("rake", "1.0.0", What.UNYANKED), *((name, "9", What.PUBLISHED) for name in gone)))

    with pytest.raises(CursorLost):
        await changed(site.feed, cursor)
    assert "rake" in await listed(site.feed)


async def test_a_list_that_was_written_anew_loses_the_cursor(site: FeedSite) -> None:
    cursor = await site.feed.head()
    site.serve(replace(FIRST, epoch=1))

    with pytest.raises(CursorLost):
        await changed(site.feed, cursor)
    assert list(await listed(site.feed)) == ["rake", "RedCloth"]


@pytest.mark.parametrize("cursor", ["", "5", "[]", '[5, "abc"]', '[-1, ""]', "[9999999, null]", '{"serial": 5}'])
async def test_a_cursor_of_somebody_else_is_lost(site: FeedSite, cursor: str) -> None:
    with pytest.raises(CursorLost):
        await changed(site.feed, cursor)


async def test_from_a_cursor_before_the_lists_header_everything_is_told(site: FeedSite) -> None:
    changes, _ = await changed(site.feed, f'[0, "{hashlib.sha256().hexdigest()}"]')

    assert [change.name for change in changes] == ["rake", "RedCloth"]


async def test_another_daemon_without_the_file_goes_on_from_the_same_cursor(site: FeedSite, tmp_path: Path) -> None:
    cursor = await site.feed.head()
    (tmp_path / "versions").unlink()
    site.serve(history(*PUSHED, ("new", "0.1", What.PUBLISHED)))

    changes, _ = await changed(site.feed, cursor)

    assert [change.name for change in changes] == ["new"]
    assert [(request.status, request.headers.get("range")) for request in site.server.requests] == [(200, None)]


async def test_a_file_that_was_damaged_on_disk_is_read_anew(site: FeedSite, tmp_path: Path) -> None:
    cursor = await site.feed.head()
    file = tmp_path / "versions"
    file.write_bytes(file.read_bytes().replace(b"rake", b"cake"))

    assert await changed(site.feed, cursor) == ([], cursor)
    assert b"cake" not in file.read_bytes()


async def test_a_server_that_ignores_ranges_gives_the_whole_list(site: FeedSite) -> None:
    cursor = await site.feed.head()
    site.serve(history(*PUSHED, ("new", "0.1", What.PUBLISHED)))
    site.server.faults.add(Fault("/versions", FaultKind.IGNORED_RANGE))

    changes, _ = await changed(site.feed, cursor)

    assert [change.name for change in changes] == ["new"]


BROKEN = [
    (Fault("/versions", FaultKind.STATUS, times=None, status=503), Unavailable),
    (Fault("/versions", FaultKind.STATUS, times=None, status=429, retry_after="600"), RateLimited),
    (Fault("/versions", FaultKind.HTML, times=None), Malformed),
    (Fault("/versions", FaultKind.TRUNCATED, times=None), Unavailable),
    (Fault("/versions", FaultKind.STATUS, times=None, status=404), NotFound),
]


@pytest.mark.parametrize(("fault", "error"), BROKEN, ids=lambda case: getattr(case, "kind", ""))
async def test_a_list_that_cannot_be_read_is_an_error_and_never_an_empty_one(
    site: FeedSite, fault: Fault, error: type[Exception]
) -> None:
    site.server.faults.add(fault)
    with pytest.raises(error):
        await listed(site.feed)


async def test_a_tail_that_breaks_off_leaves_the_cursor_usable(site: FeedSite) -> None:
    cursor = await site.feed.head()
    site.serve(history(*PUSHED, ("new", "0.1", What.PUBLISHED)))
    site.server.faults.add(Fault("/versions", FaultKind.DROP, after_bytes=3))
    with pytest.raises(Unavailable):
        await changed(site.feed, cursor)

    assert [change.name for change in (await changed(site.feed, cursor))[0]] == ["new"]


NAME = st.from_regex(r"[A-Za-z0-9._-]{1,20}", fullmatch=True)
VERSION = st.from_regex(r"[0-9]{1,3}(\.[0-9a-z]{1,3}){0,3}", fullmatch=True)


@given(st.lists(st.tuples(NAME, st.lists(st.tuples(st.booleans(), VERSION), min_size=1, max_size=3)), max_size=20))
def test_the_last_digest_counts_and_a_tail_says_what_the_whole_list_says(
    tmp_path_factory: pytest.TempPathFactory, pushes: list[tuple[str, list[tuple[bool, str]]]]
) -> None:
    header = "created_at: 2026-08-01T00:00:05Z\n---\n"
    lines = [
        f"{name} {','.join('-' * gone + version for gone, version in tokens)} {_md5(f'{number}')}\n"
        for number, (name, tokens) in enumerate(pushes)
    ]
    half = header + "".join(lines[: len(lines) // 2])
    file = tmp_path_factory.mktemp("list") / "versions"
    file.write_text(header + "".join(lines))
    last = {name: _md5(f"{number}") for number, (name, _) in enumerate(pushes)}

    whole = [entry for page in parse_listing(file, "the list") for entry in unpack(page.packed)]
    tail = parse_tail(file, len(half), "the list")

    left = {entry.name for entry in whole}
    assert {entry.name: entry.revision for entry in whole} == {name: last[name] for name in left}
    assert set(tail) == {Change(name, last[name], name not in left) for name, _ in pushes[len(lines) // 2 :]}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"rake 1.0 900150983cd24fb0d6963f7d28e17f72\n",
        b"---\nrake 1.0\n",
        b"---\nrake 1.0 zz\n",
        b"---\nrake 1.0 900150983cd24fb0d6963f7d28e17f72",
        b"---\n<html></html>\n",
    ],
)
def test_a_list_of_another_form_is_malformed(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "versions"
    file.write_bytes(content)
    with pytest.raises(Malformed):
        parse_listing(file, "the list")


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
