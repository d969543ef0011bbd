"""A message of another program stands for its package, as the daemon's own messages do, and its data stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from securechain_ingest import registries
from securechain_ingest.errors import StoreError
from securechain_ingest.model import Ecosystem
from securechain_ingest.queue.dead_letters import replay_dead_letters
from securechain_ingest.queue.entries import Entry, read_entry
from securechain_ingest.queue.follow_ups import add_follow_ups
from securechain_ingest.queue.forwarder import Forwarder
from securechain_ingest.queue.groups import ensure_groups
from securechain_ingest.queue.handling import Outcome
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.messages import Message
from securechain_ingest.queue.submission import Added, enqueue, submit
from securechain_ingest.registries import declaration_of
from securechain_ingest.settings import QueueSettings
from tests.queue.running import (
    ECOSYSTEMS,
    Observer,
    assert_no_leak,
    dead_letters,
    is_idle,
    lane_of,
    link_nothing,
    running,
)
from tests.queue.test_waiting_packages import add, change, counts, waiting
from tests.waiting import until

SUBMITTED = '{ "node_type":"PyPIPackage","package":"six" ,"vendor":"n/a"}'
"""This is spaced as no encoder of ours would do it."""


async def submit_six(
    redis: Redis, queue: QueueSettings, text: str = SUBMITTED, ecosystems: Sequence[Ecosystem] = ECOSYSTEMS
) -> None:
    """Add what another program writes, and let a forwarder move it."""
    await redis.xadd(queue.stream, {"data": text})
    await ensure_groups(redis, [queue.stream], queue.group)
    forwarder = Forwarder(redis, queue, ecosystems, queue.group, "forwards", link_nothing)
    await until(forwarder.forward, "the submission")


async def asked(redis: Redis, queue: QueueSettings, ecosystem: str = "pypi") -> Entry:
    rows: Any = await redis.xrange(lane_of(queue, Lane.ASKED, ecosystem))
    [(entry_id, fields)] = rows
    return read_entry(ecosystem, Lane.ASKED, entry_id, fields)


@pytest.mark.parametrize("lane", [Lane.CHANGED, Lane.REQUIRED, Lane.LISTED, Lane.COMPLETED])
async def test_a_submission_takes_along_what_waits_in_a_less_urgent_lane(
    redis: Redis, queue: QueueSettings, lane: Lane
) -> None:
    await add(redis, queue, change("six", at_least="7", listed="8", run="first"), change("other"), lane=lane)
    await submit_six(redis, queue)
    entry = await asked(redis, queue)
    assert entry.data.decode() == SUBMITTED, "byte for byte"
    assert entry.message == Message("PyPIPackage", "six", refresh=True, at_least="7", listed="8", run="first")
    assert entry.run == "first"
    assert [message.package for message in await waiting(redis, queue, lane)] == ["other"]
    assert await counts(redis, queue) == {"first:open": 1}

    handler = Observer()
    async with running(redis, queue, handler):
        await until(lambda: is_idle(redis, queue))
    assert sorted(handler.packages) == ["other", "six"]
    assert await counts(redis, queue) == {"first:open": 0, "first:succeeded": 1, "first:versions": 0}
    await assert_no_leak(redis, queue)


@pytest.mark.parametrize(
    ("ecosystem", "waits", "comes", "is_one"),
    [
        ("nuget", "Newtonsoft.Json", "newtonsoft.json", True),
        ("pypi", "Zope.Interface", "zope_interface", True),
        ("npm", "JSONStream", "jsonstream", False),
    ],
)
async def test_a_submission_and_what_waits_are_one_if_their_registry_takes_both_spellings_for_one(
    redis: Redis, queue: QueueSettings, ecosystem: str, waits: str, comes: str, is_one: bool
) -> None:
    label = declaration_of(ecosystem).ecosystem.label
    await enqueue(redis, queue, ecosystem, Lane.LISTED, [Message(label, waits, listed="8", internal=True)])
    text = f'{{"node_type": "{label}",  "package": " {comes}"}}'
    await submit_six(redis, queue, text, registries.ECOSYSTEMS)
    entry = await asked(redis, queue, ecosystem)
    assert entry.data.decode() == text, "byte for byte"
    assert entry.message == Message(label, comes, listed="8" if is_one else None)
    assert await redis.xlen(lane_of(queue, Lane.LISTED, ecosystem)) == (not is_one)


async def test_what_the_daemon_noted_beside_a_submission_is_told_if_it_cannot_be_read(
    redis: Redis, queue: QueueSettings
) -> None:
    await redis.xadd(lane_of(queue), {"data": SUBMITTED, "also": '{"node_type": 7}', "mark": "six"})
    handler = Observer()
    with capture_logs() as lines:
        async with running(redis, queue, handler):
            await until(lambda: is_idle(redis, queue))
    assert handler.packages == ["six"]
    [line] = [line for line in lines if line["event"] == "own_message_unreadable"]
    assert (line["log_level"], line["package"]) == ("warning", "pkg:pypi/six")
    assert "node_type is 7" in line["reason"]


async def test_a_submission_with_a_run_of_its_own_is_counted_for_it_and_the_other_as_merged(
    redis: Redis, queue: QueueSettings
) -> None:
    await add(redis, queue, change(run="first"))
    await submit(redis, queue, [Message("PyPIPackage", "six", run="own")])
    await ensure_groups(redis, [queue.stream], queue.group)
    handler = Observer()
    async with running(redis, queue, handler):
        await until(lambda: is_idle(redis, queue))
    assert handler.packages == ["six"]
    held = await counts(redis, queue)
    assert {name: count for name, count in held.items() if count} == {"first:merged": 1, "own:succeeded": 1}


@pytest.mark.parametrize("lane", [Lane.CHANGED, Lane.LISTED])
async def test_what_comes_after_a_submission_is_merged_into_it(redis: Redis, queue: QueueSettings, lane: Lane) -> None:
    await submit_six(redis, queue)
    plain = change(refresh=False)
    assert await add(redis, queue, plain, plain, lane=lane) == Added(0, 2)
    assert (await asked(redis, queue)).also == b"", "it says all of that itself"
    for news in (change(at_least="1", run="first"), change(refresh=False, at_least="2"), change(removed=True)):
        assert await add(redis, queue, news, lane=lane) == Added(0, 1)
    entry = await asked(redis, queue)
    assert entry.data.decode() == SUBMITTED
    assert entry.message == Message("PyPIPackage", "six", refresh=True, at_least="2", removed=True, run="first")
    assert await waiting(redis, queue, lane) == []


async def test_a_requirement_is_merged_into_a_submission_and_keeps_its_depth(
    redis: Redis, queue: QueueSettings
) -> None:
    text = '{"node_type": "PyPIPackage", "package": "six", "depth": 0}'
    await submit_six(redis, queue, text)
    for depth in (2, 5, 3):
        follow_up = Message("PyPIPackage", "six", depth=depth, internal=True, first=True)
        await add_follow_ups(redis, Keys(queue.stream), [("pypi", follow_up)])
    entry = await asked(redis, queue)
    assert (entry.data.decode(), entry.message) == (text, Message("PyPIPackage", "six", depth=5))
    assert await waiting(redis, queue, Lane.REQUIRED) == []


async def test_a_submission_that_asks_for_an_edge_is_not_merged(redis: Redis, queue: QueueSettings) -> None:
    await add(redis, queue, change(), lane=Lane.LISTED)
    await submit_six(redis, queue, SUBMITTED.replace('"n/a"', '"n/a","parent_id":"4:a:1"'))
    assert (await asked(redis, queue)).also == b""
    assert len(await waiting(redis, queue, Lane.LISTED)) == 1
    assert await add(redis, queue, change(), lane=Lane.CHANGED) == Added(0, 1)


async def test_each_of_two_submissions_of_a_package_is_served(redis: Redis, queue: QueueSettings) -> None:
    await add(redis, queue, change(at_least="7"))
    await submit_six(redis, queue)
    await submit_six(redis, queue)
    assert await add(redis, queue, change(at_least="8")) == Added(0, 1)
    handler = Observer()
    async with running(redis, queue, handler):
        await until(lambda: is_idle(redis, queue))
    assert sorted(entry.message.at_least or "" for entry in handler.entries) == ["", "8"]
    await assert_no_leak(redis, queue)


async def test_what_went_along_with_a_submission_outlasts_its_failures_and_its_dead_letter(
    redis: Redis, queue: QueueSettings
) -> None:
    await add(redis, queue, change(at_least="7"))
    await submit_six(redis, queue)

    async def fail(_: Entry) -> Outcome:
        raise StoreError("not now")

    handler = Observer(fail)
    async with running(redis, queue, handler):
        await until(lambda: dead_letters(redis, queue))
    assert [entry.message.at_least for entry in handler.entries] == ["7"] * queue.max_deliveries
    [letter] = await dead_letters(redis, queue)
    assert letter["data"] == SUBMITTED
    assert await replay_dead_letters(redis, queue, ecosystems={"PyPIPackage": "pypi"}) == 1
    entry = await asked(redis, queue)
    assert (entry.data.decode(), entry.message.at_least) == (SUBMITTED, "7")
