"""This tests what the worker makes of messages that a feed has caused, also beside those that somebody waits for."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from securechain_ingest.errors import ArchiveRefused, InvalidName, ParserLost, PoisonMessage, TooLarge
from securechain_ingest.queue.handling import Outcome
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.worker.request import MAX_LOST_PARSERS
from tests.graph.builders import npm, version
from tests.waiting import until
from tests.worker.made import Bench, package

SIX = package("six", "1.0", "2.0")


@pytest.fixture(autouse=True)
def registry(bench: Bench) -> None:
    bench.registry.has(SIX)


async def serve(bench: Bench, **options: Any) -> Outcome:
    """Serve a message for the package, as a feed or a schedule makes it."""
    return await bench.serve("six", **({"refresh": True, "internal": True} | options))


async def is_removed(bench: Bench) -> bool:
    return (await bench.node("six")).get("removed_at") is not None


def asked(bench: Bench) -> list[str | None]:
    """Return what was announced of the package whenever the registry was asked."""
    return [announced for _, announced in bench.registry.fetched]


async def test_a_package_is_marked_as_removed_only_if_the_feed_says_so_and_its_document_is_gone(bench: Bench) -> None:
    assert (await serve(bench, removed=True)).versions == 2
    assert not await is_removed(bench)
    bench.registry.packages.clear()
    await serve(bench)
    assert not await is_removed(bench)
    await serve(bench, removed=True)
    assert await is_removed(bench)
    bench.registry.has(SIX)
    await serve(bench)
    assert not await is_removed(bench)


@pytest.mark.parametrize("at_least", ["9" * 4301, "7 8", "7\x00"])
async def test_an_announcement_that_no_feed_makes_is_refused_at_once(bench: Bench, at_least: str) -> None:
    with pytest.raises(PoisonMessage, match="at_least") as refused:
        await serve(bench, at_least=at_least)
    assert refused.value.kind == "bad_schema"
    assert asked(bench) == []


async def test_a_parser_that_was_ended_from_outside_is_no_strike_against_its_archive(bench: Bench) -> None:
    bench.registry.archive_error = ParserLost("the parsing process died (SIGKILL)")
    for attempts in range(MAX_LOST_PARSERS - 1):
        with pytest.raises(ParserLost):
            await serve(bench, attempts=attempts)
    # But it must not cost the message.
    assert (await serve(bench, attempts=MAX_LOST_PARSERS - 1)).versions == 2


async def test_an_archive_that_took_more_than_a_parse_may_have_costs_its_names_at_once(bench: Bench) -> None:
    bench.registry.archive_error = ArchiveRefused("that takes over 10 s of processor time", reason="cpu_time")
    assert (await serve(bench)).versions == 2


async def test_a_change_announced_during_a_fetch_is_fetched_after_it(bench: Bench) -> None:
    bench.registry.opened.clear()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve(bench, refresh=False))
        await until(lambda: asked(bench) == [None])
        later = tasks.create_task(serve(bench, at_least="7"))
        bench.registry.opened.set()
        await later
    assert asked(bench) == [None, "7"]


async def test_bulk_work_on_a_package_becomes_urgent_when_somebody_asks_for_it(bench: Bench) -> None:
    bench.registry.opened.clear()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve(bench, refresh=False))
        await until(lambda: bench.registry.priorities)
        [priority] = bench.registry.priorities
        assert not priority.is_urgent
        tasks.create_task(serve(bench, refresh=False, lane=Lane.ASKED))
        await until(lambda: priority.is_urgent)
        bench.registry.opened.set()
    assert asked(bench) == [None]


async def test_what_somebody_asks_for_is_urgent_from_the_beginning(bench: Bench) -> None:
    await serve(bench, lane=Lane.ASKED)
    assert [priority.is_urgent for priority in bench.registry.priorities] == [True]


async def test_what_is_out_of_bounds_in_a_registrys_answer_does_not_reach_the_graph(bench: Bench) -> None:
    target = npm("attrs")
    odd = replace(target, name="a\0b", registry_name="a\0b")
    versions = (
        version(SIX.ref, "1.0", {target: "x" * 100_000, odd: "any"}),
        version(SIX.ref, "9" * 5_000),
    )
    bench.registry.has(replace(SIX, versions=versions))
    bench.registry.names = ("six", "x" * 256)
    assert (await serve(bench)).versions == 1
    assert [node["name"] for node in (await bench.read.nodes("Version")).values()] == ["1.0"]
    assert await bench.read.awaited() == [("pkg:npm/attrs", "pkg:npm/six@1.0", "any")]
    node = await bench.node("six")
    assert node["import_names"] == ["six"]
    assert "1 of 2 names are left out" in node["import_names_error"]


async def test_a_package_of_more_versions_than_are_allowed_is_refused(bench: Bench) -> None:
    bench.registry.has(package("six", *(f"1.{number}" for number in range(1001))))
    with pytest.raises(TooLarge, match=r"1001 versions; at most 1000"):
        await serve(bench)


async def test_a_message_for_an_impossible_name_is_refused(bench: Bench) -> None:
    with pytest.raises(InvalidName):
        await bench.serve("a\0b")
