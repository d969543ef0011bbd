"""This tests what every feed has to do, walked over all ecosystems: list, tell of changes, know what it has told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest
import pytest_asyncio

from securechain_ingest.errors import CursorLost, Unavailable
from securechain_ingest.registries import declaration_of
from securechain_ingest.registries.building import REGISTRIES
from securechain_ingest.registries.protocol import RegistryClass
from tests.registries.asking import FeedSite, changed, feed_site, listed
from tests.registry_server import Fault, FaultKind, Server
from tests.registry_server.history import Happened, What, history_of


def name(ecosystem: str, number: int) -> str:
    rules = declaration_of(ecosystem).ecosystem
    return f"org.made{rules.namespace_separator}thing{number}" if rules.needs_namespace else f"thing{number}"


def published(ecosystem: str, numbers: Iterable[int], version: str) -> list[Happened]:
    return [(name(ecosystem, number), version, What.PUBLISHED) for number in numbers]


@pytest_asyncio.fixture(params=REGISTRIES, ids=lambda registry: registry.ecosystem.name)
async def site(request: pytest.FixtureRequest, server: Server, tmp_path: Path) -> AsyncIterator[FeedSite]:
    """Yield a registry of thirty packages."""
    registry: RegistryClass = request.param
    ecosystem = registry.ecosystem.name
    past = history_of(published(ecosystem, range(30), "1.0.0"))
    async with feed_site(registry.feed, server, tmp_path, ecosystem, past) as found:
        yield found


def the_next_day(site: FeedSite) -> None:
    """Two packages have a new version, two are new."""
    eco = site.ecosystem
    evening = published(eco, range(30), "1.0.0")
    site.serve(history_of([*evening, *published(eco, (3, 7), "1.1.0"), *published(eco, (30, 31), "1.0.0")]))


async def test_a_listing_names_exactly_the_packages_that_there_are(site: FeedSite) -> None:
    assert set(await listed(site.feed)) == {name(site.ecosystem, number) for number in range(30)}


async def test_all_packages_that_changed_since_the_cursor_are_told(site: FeedSite) -> None:
    cursor = await site.feed.head()
    the_next_day(site)

    changes, later = await changed(site.feed, cursor)

    # npm's writers are not strictly in turn, so that its head lies some numbers back.
    assert {change.name for change in changes} >= {name(site.ecosystem, number) for number in (3, 7, 30, 31)}
    assert not any(change.removed for change in changes)
    assert later != cursor
    # What is announced travels in a message, and what no feed says is refused there.
    rule = declaration_of(site.ecosystem).ecosystem.announced
    assert all(change.at_least is None or rule.fullmatch(change.at_least) for change in changes)


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.ecosystem.name)
@pytest.mark.parametrize("at_least", ["", " ", "a\x00b", "\n1", "9" * 4301, "x" * 2000, "1 " * 10 + "\t"])
def test_no_feed_announces_anything_at_all(registry: RegistryClass, at_least: str) -> None:
    assert not registry.ecosystem.announced.fullmatch(at_least)


async def test_from_the_cursor_of_an_earlier_reading_only_what_changed_since_is_told(site: FeedSite) -> None:
    _, evening = await changed(site.feed, await site.feed.head())
    the_next_day(site)

    changes, later = await changed(site.feed, evening)

    assert sorted(change.name for change in changes) == sorted(name(site.ecosystem, each) for each in (3, 7, 30, 31))
    assert await changed(site.feed, later) == ([], later)


async def test_what_has_been_told_is_not_news_to_a_listing_either(site: FeedSite) -> None:
    before = await listed(site.feed)
    the_next_day(site)
    after = await listed(site.feed)

    moved = {
        each
        for each, revision in after.items()
        if not (held := before.get(each)) or revision is None or held != revision
    }
    assert moved == {name(site.ecosystem, number) for number in (3, 7, 30, 31)}


@pytest.mark.parametrize("cursor", ["", "of somebody else", "[]", "{}"])
async def test_a_cursor_that_is_none_of_its_own_is_lost(site: FeedSite, cursor: str) -> None:
    with pytest.raises(CursorLost):
        await changed(site.feed, cursor)


async def test_a_feed_that_cannot_be_read_is_an_error(site: FeedSite) -> None:
    cursor = await site.feed.head()
    the_next_day(site)
    site.server.faults.add(Fault("*", FaultKind.STATUS, times=None, status=503))

    for reading in (site.feed.head(), listed(site.feed), changed(site.feed, cursor)):
        with pytest.raises(Unavailable):
            await reading


async def test_a_look_at_a_feed_without_a_change_costs_at_most_three_requests(site: FeedSite) -> None:
    _, cursor = await changed(site.feed, await site.feed.head())
    site.server.requests.clear()

    assert await changed(site.feed, cursor) == ([], cursor)

    assert len(site.server.requests) <= 3
