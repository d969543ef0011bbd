"""This tests hints between two looks at a feed: known packages are read again, and no cursor moves."""

from __future__ import annotations

import pytest

from securechain_ingest.graph.connection import Connection
from tests.jobs.feeds import KEYS, FeedBench, HintingMadeFeed


async def test_the_newest_packages_that_the_graph_has_are_queued_once(bench: FeedBench) -> None:
    feed = bench.feed = HintingMadeFeed(newest=["a", "unknown", "b"])
    await bench.store("a", "b", "c")

    run = await bench.hint()
    assert (await bench.queued_names(), run.metrics["queued"]) == (["a", "b"], 2)

    await bench.forget_queue()
    assert (await bench.hint()).metrics["queued"] == 0
    feed.newest.append("c")
    await bench.hint()
    assert await bench.queued_names() == ["c"]


async def test_a_hint_moves_no_cursor(bench: FeedBench) -> None:
    bench.feed = HintingMadeFeed(newest=["a"])
    await bench.cursors.move("pypi", "7", "a run")
    before = await bench.cursors.all()
    await bench.store("a")

    await bench.hint()

    assert await bench.cursors.all() == before


async def test_the_packages_that_were_active_last_are_checked_again(bench: FeedBench) -> None:
    await bench.store("a", "b", "c")
    await bench.redis.zadd(KEYS.active("pypi"), {"a": 1.0, "b": 3.0, "c": 2.0})

    await bench.hint(watched=2)

    messages = await bench.queued()
    assert [message.package for message in messages] == ["b", "c"]
    assert all(message.refresh for message in messages)


async def test_a_feed_without_hints_is_not_asked_for_any(bench: FeedBench) -> None:
    assert (await bench.hint()).metrics["queued"] == 0


async def test_a_look_that_finds_nothing_asks_the_graph_nothing(
    bench: FeedBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.cursors.move("pypi", "0", "a run")

    async def refused(*_: object) -> None:
        raise AssertionError("the graph was asked")

    monkeypatch.setattr(Connection, "read", refused)

    assert (await bench.update(reconcile_s=None)).metrics["changes_read"] == 0


async def test_following_alone_compares_nothing_however_old_the_last_comparison_is(bench: FeedBench) -> None:
    await bench.cursors.move("pypi", "0", "a run")

    run = await bench.update(reconcile_s=None)

    assert bench.feed.pages_read == 0
    assert run.metrics["queued"] == 0
    assert "names_compared" not in run.metrics
