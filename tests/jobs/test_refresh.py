"""This tests the periodic refresh: what no comparison vouches for is asked for when its last check is old, and
nothing else.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from securechain_ingest.errors import TooManyRemovals
from securechain_ingest.graph.names import PackageNames
from securechain_ingest.jobs.comparison import ALWAYS_REMOVABLE
from securechain_ingest.jobs.refresh import queue_stale_packages
from securechain_ingest.registries.feed import Change
from securechain_ingest.settings import RefreshSettings
from tests.graph.builders import PYPI, pypi, write
from tests.jobs.feeds import DAY_S, KEYS, QUEUE, FeedBench

PERIOD_S = 7 * DAY_S
"""This is the time between two comparisons of the registry's list with the graph; a check is old after as long."""


@pytest.fixture
async def known(bench: FeedBench) -> FeedBench:
    """Return a graph with three packages that were last checked long ago and that their registry lists."""
    await bench.store("a", "b", "c")
    bench.feed.listed = dict.fromkeys(("a", "b", "c"), "1")
    return bench


async def refresh(bench: FeedBench, batch: int = 1000) -> list[str]:
    """Return what a refresh queues, and forget it again."""
    settings = RefreshSettings(max_age_s=PERIOD_S, batch=batch)
    await queue_stale_packages(bench.redis, bench.graph, [PYPI], QUEUE, settings, {"pypi": PERIOD_S})
    names = await bench.queued_names()
    await bench.forget_queue()
    return sorted(names)


async def age(bench: FeedBench, field: str, days: int) -> None:
    """Put a time of the cursor into the past."""
    raw: Any = await bench.redis.hget(KEYS.cursors, "pypi")
    then = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="seconds")
    await bench.redis.hset(KEYS.cursors, "pypi", orjson.dumps(orjson.loads(raw) | {field: then}))


async def test_packages_that_were_never_compared_are_asked_for_when_their_check_is_old(known: FeedBench) -> None:
    await known.graph.write([write(pypi("fresh"), "1.0", checked_at=datetime.now(UTC))])
    assert await refresh(known) == ["a", "b", "c"]


async def test_packages_that_the_list_has_in_the_same_state_are_not_asked_for_however_old_their_check(
    known: FeedBench,
) -> None:
    await known.update()
    assert await known.queued() == []
    assert await refresh(known) == []


async def test_a_comparison_asks_for_what_it_cannot_vouch_for_itself(known: FeedBench) -> None:
    known.feed.listed["b"] = "2"
    await known.update()
    assert await known.queued_names() == ["b"]
    await known.forget_queue()
    assert await refresh(known) == []


async def test_a_list_that_does_not_tell_the_state_of_a_package_vouches_for_none(known: FeedBench) -> None:
    known.feed.listed["b"] = None
    await known.update()
    assert await refresh(known) == ["a", "b", "c"]


async def test_what_a_broken_off_comparison_could_not_vouch_for_counts_when_it_is_gone_on_with(
    known: FeedBench,
) -> None:
    known.feed.listed = {"a": None, "b": "1", "c": "1"}
    known.feed.breaks_off_at = None
    await known.update()
    known.feed.listed = dict.fromkeys(("a", "b", "c"), "1")
    listing: Any = await known.redis.hget(KEYS.listing("pypi"), "id")
    await known.redis.hset(KEYS.positions, "pypi_packages_updates", orjson.dumps([listing.decode(), 1, 1]))
    await known.update(reconcile="true")
    assert await refresh(known) == ["a", "b", "c"]


@pytest.mark.parametrize(("days", "asked"), [(13, []), (15, ["a", "b", "c"])])
async def test_a_comparison_vouches_until_the_next_one_is_overdue_by_the_age_of_an_old_check(
    known: FeedBench, days: int, asked: list[str]
) -> None:
    await known.update()
    await age(known, "vouched_at", days)
    assert await refresh(known) == asked


@pytest.mark.parametrize(("days", "asked"), [(6, []), (8, ["a", "b", "c"])])
async def test_a_comparison_vouches_only_while_the_feed_is_followed(
    known: FeedBench, days: int, asked: list[str]
) -> None:
    await known.update()
    await age(known, "followed_at", days)
    assert await refresh(known) == asked
    await known.update(reconcile_s=PERIOD_S)
    assert await refresh(known) == [], "a look at the feed that finds nothing counts"


async def test_following_a_feed_keeps_what_a_comparison_vouched_for(known: FeedBench) -> None:
    await known.update()
    known.feed.changed = [Change("a", "1", False)]
    await known.update()
    await known.forget_queue()
    assert await refresh(known) == []


async def test_a_feed_that_could_not_be_followed_to_its_end_was_not_followed(known: FeedBench) -> None:
    await known.update()
    await age(known, "followed_at", 8)
    many = [f"gone-{number}" for number in range(ALWAYS_REMOVABLE + 5)]
    await known.store(*many)
    known.feed.changed = [Change(name, None, True) for name in many]
    with pytest.raises(TooManyRemovals):
        await known.update()
    await known.forget_queue()
    assert "a" in await refresh(known)


async def test_a_package_of_another_program_that_nobody_has_read_is_asked_for_in_any_case(known: FeedBench) -> None:
    await known.update()
    await known.graph._connection.change(
        "CREATE (:PyPIPackage {name: 'foreign', moment: localdatetime('2025-01-01T10:00:00')})"
    )
    assert await refresh(known) == ["foreign"]


async def test_a_refresh_takes_no_more_than_its_batch(known: FeedBench) -> None:
    assert len(await refresh(known, batch=2)) == 2


async def test_the_known_packages_are_counted_once_a_run(bench: FeedBench, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = 0
    count = PackageNames.count

    async def noted(self: PackageNames, *arguments: Any) -> int:
        nonlocal counted
        counted += 1
        return await count(self, *arguments)

    monkeypatch.setattr(PackageNames, "count", noted)
    names = [f"package-{number}" for number in range(40 * (ALWAYS_REMOVABLE + 5))]
    await bench.store(*names)
    bench.feed.listed = dict.fromkeys(names, "1")
    await bench.update()
    bench.feed.changed = [Change(name, None, True) for name in names[: ALWAYS_REMOVABLE + 5]]
    await bench.update()
    assert counted == 1
