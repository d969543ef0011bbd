"""This tests ingestion of a whole registry: everything that the graph lacks is queued, once, wherever a run is
broken off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from securechain_ingest.errors import StoreError, Unavailable
from securechain_ingest.graph.names import PackageNames
from securechain_ingest.jobs.comparison import JobContext
from securechain_ingest.queue.messages import Message
from securechain_ingest.registries import declaration_of
from securechain_ingest.runs import Run
from tests.graph.builders import PYPI
from tests.jobs.feeds import LISTED_STREAM, FeedBench

NAMES = ("a", "b", "c", "d", "e")


async def test_every_package_that_the_graph_lacks_is_queued(bench: FeedBench) -> None:
    await bench.store("b", "d")
    bench.feed.listed = dict.fromkeys(NAMES, "9")

    run = await bench.ingest()

    messages = await bench.queued()
    assert [message.package for message in messages] == ["a", "c", "e"]
    assert all(message.internal and not message.refresh and message.run == run.id for message in messages)
    assert all(message.first for message in messages), "from the fewest requests, until all are there"
    assert run.metrics["total_in_registry"] == 5
    assert run.metrics["skipped_existing"] == 2
    assert run.metrics["queued"] == 3


async def test_a_package_of_another_program_is_not_yet_known(bench: FeedBench) -> None:
    bench.feed.listed = {"a": "1"}
    await bench.store("a")
    await bench.graph._connection.change("MATCH (p:PyPIPackage) SET p.format = null RETURN count(p) AS count")

    await bench.ingest()

    assert await bench.queued_names() == ["a"]


async def test_a_package_that_still_waits_is_not_queued_again(bench: FeedBench) -> None:
    bench.feed.listed = dict.fromkeys(NAMES)
    await bench.ingest()

    run = await bench.ingest()

    assert await bench.queued_names() == list(NAMES)
    assert run.metrics["queued"] == 0


async def test_a_list_is_read_once_within_its_time(bench: FeedBench) -> None:
    bench.feed.listed = dict.fromkeys(NAMES)
    await bench.ingest()
    await bench.ingest()
    assert bench.feed.pages_read == 3

    bench.feeds = bench.feeds.model_copy(update={"listing_ttl_s": 1e-6})
    await bench.ingest()

    assert bench.feed.pages_read == 6


async def test_a_list_that_its_registry_wishes_to_be_read_rarely_is_good_for_longer(bench: FeedBench) -> None:
    bench.feed.listed = dict.fromkeys(NAMES)
    bench.feeds = bench.feeds.model_copy(update={"listing_ttl_s": 1e-6})
    bench.registry.ecosystem = replace(PYPI, listing_kept_s=3600.0)
    await bench.ingest()
    read = bench.feed.pages_read
    await bench.ingest()
    assert bench.feed.pages_read == read
    assert declaration_of("maven").ecosystem.listing_kept_s == 7 * 86_400


async def test_a_list_that_broke_off_is_gone_on_with_behind_its_last_page(bench: FeedBench) -> None:
    bench.feed.listed = dict.fromkeys(NAMES)
    bench.feed.breaks_off_at = 2
    with pytest.raises(Unavailable):
        await bench.ingest()
    assert await bench.queued_names() == []

    await bench.ingest()

    assert bench.feed.pages_read == 3
    assert await bench.queued_names() == list(NAMES)


async def test_a_list_that_can_only_begin_again_begins_again(bench: FeedBench) -> None:
    bench.feed.listed = dict.fromkeys(NAMES)
    bench.feed.resumable = False
    bench.feed.breaks_off_at = 2
    with pytest.raises(Unavailable):
        await bench.ingest()

    await bench.ingest()

    assert bench.feed.pages_read == 5
    assert await bench.queued_names() == list(NAMES)


async def test_a_comparison_that_broke_off_is_gone_on_with_where_it_stood(
    bench: FeedBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.feed.listed = dict.fromkeys(NAMES)
    asked: list[str] = []
    states = PackageNames.states

    async def failing(self: PackageNames, *arguments: object) -> object:
        [_, purls] = arguments
        asked.extend(purls)  # type: ignore[arg-type]
        if "pkg:pypi/c" in asked and asked.count("pkg:pypi/c") == 1:
            raise StoreError("the graph is away")
        return await states(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(PackageNames, "states", failing)
    with pytest.raises(StoreError):
        await bench.ingest()
    assert await bench.queued_names() == ["a", "b"]
    await bench.forget_queue()

    await bench.ingest()

    assert await bench.queued_names() == ["c", "d", "e"]
    assert bench.feed.pages_read == 3
    assert await bench.place_kept() is None


async def test_a_full_stream_makes_the_run_wait_and_loses_nothing(bench: FeedBench) -> None:
    bench.feed.listed = {f"package-{number}": None for number in range(7)}
    run = asyncio.create_task(bench.ingest(lane_max_length=3))
    taken: list[str] = []
    while len(taken) < 7:
        messages: Any = await bench.redis.xrange(LISTED_STREAM)
        assert len(messages) <= 3
        names = await bench.queued_names()
        for entry_id, _ in messages:
            await bench.redis.xdel(LISTED_STREAM, entry_id)
        taken += names[: len(messages)]
        await asyncio.sleep(0)

    await run
    assert taken == list(bench.feed.listed)


async def test_two_runs_that_want_one_list_read_it_once(bench: FeedBench) -> None:
    bench.feed.listed = dict.fromkeys(NAMES)

    await asyncio.gather(bench.ingest(), bench.update())

    assert bench.feed.pages_read == 3


async def test_a_list_that_is_read_anew_does_not_change_under_a_job_that_compares_the_old_one(bench: FeedBench) -> None:
    bench.feed.listed = dict.fromkeys(NAMES)
    bench.feeds = bench.feeds.model_copy(update={"listing_ttl_s": 1e-6})
    submit = type(bench.context()).submit
    read_anew = False

    async def interrupted(self: JobContext, messages: Sequence[Message], run: Run) -> None:
        nonlocal read_anew
        await submit(self, messages, run)
        if not read_anew:
            read_anew = True
            bench.feed.listed = {"other": None}
            await bench.update()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JobContext, "submit", interrupted)
        await bench.ingest()

    assert await bench.queued_names() == list(NAMES)
