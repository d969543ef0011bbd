"""This tests what an entry of the queue asks of a package, and what is insisted on meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from securechain_ingest.bounds import MAX_CONSTRAINTS_BYTES
from securechain_ingest.errors import PoisonMessage
from securechain_ingest.model import ANY, Parent
from securechain_ingest.queue.entries import Entry
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.messages import Message
from securechain_ingest.worker.request import MAX_LOST_PARSERS, Follow, Insistence, Request, request_of
from tests.graph.builders import NPM, npm
from tests.queue.running import entry_of
from tests.worker.made import MadeRegistry


async def asked(entry: Entry, *, depth: int | None = None, has_room: bool = True) -> Request:
    async def room(ecosystem: str) -> bool:
        assert ecosystem == NPM.name
        return has_room

    return await request_of(entry, MadeRegistry(), depth=depth, max_strikes=2, has_room=room)


def message(**keys: Any) -> Message:
    return Message(NPM.label, "App", **keys)


async def test_what_a_message_says_is_asked_of_the_package_that_its_registry_means() -> None:
    request = await asked(entry_of(message(refresh=True, internal=True, at_least="7", removed=True, listed="r1")))
    assert request == Request(
        npm("App"),
        refresh=True,
        insistence=Insistence(on_readings=True, on_parsers=True),
        internal=True,
        at_least="7",
        removed=True,
        listed="r1",
    )


@pytest.mark.parametrize("lane", Lane)
async def test_what_nobody_asks_for_again_soon_is_not_remembered_and_what_is_completed_needs_its_archive(
    lane: Lane,
) -> None:
    request = await asked(entry_of(message(), lane=lane))
    assert request.remember is (lane not in {Lane.LISTED, Lane.COMPLETED})
    assert request.insistence.on_archives is (lane is Lane.COMPLETED)


async def test_a_message_that_was_put_off_because_nobody_answered_has_waited() -> None:
    assert [(await asked(entry_of(message(), outages=outages))).has_waited for outages in (0, 1, 2)] == [
        False,
        True,
        True,
    ]


async def test_what_a_list_tells_of_a_package_leaves_a_first_reading_a_first_reading() -> None:
    for told in (None, "7"):
        request = await asked(entry_of(message(first=True, at_least=told)))
        assert (request.first, request.at_least) == (True, told)
    assert not (await asked(entry_of(message(at_least="7")))).first


@pytest.mark.parametrize(
    ("own", "setting", "has_room", "follow"),
    [
        (None, None, True, Follow.UNASKED),
        (None, 2, True, Follow.UNASKED),
        (None, 0, True, Follow.NONE),
        (0, None, True, Follow.NONE),
        (3, 0, True, Follow.UNASKED),
        (3, None, False, Follow.LATER),
        (0, None, False, Follow.NONE),
    ],
)
async def test_requirements_are_followed_as_deep_as_the_message_or_the_setting_says_and_while_there_is_room(
    own: int | None, setting: int | None, has_room: bool, follow: Follow
) -> None:
    request = await asked(entry_of(message(depth=own)), depth=setting, has_room=has_room)
    assert (request.follow, request.depth) == (follow, setting if own is None else own)


async def test_an_entry_that_may_have_had_its_effect_follows_also_what_was_asked_for() -> None:
    assert (await asked(entry_of(message(), claimed=True))).follow is Follow.ALL
    assert (await asked(entry_of(message(), claimed=True), has_room=False)).follow is Follow.ALL_LATER
    assert (await asked(entry_of(message(depth=0), claimed=True))).follow is Follow.NONE


async def test_the_last_strike_of_an_archive_comes_before_that_of_a_parser_that_was_killed() -> None:
    insistence = [
        (await asked(entry_of(message(), attempts=attempts))).insistence for attempts in range(MAX_LOST_PARSERS)
    ]
    assert [each.on_readings for each in insistence] == [True] + [False] * (MAX_LOST_PARSERS - 1)
    assert [each.on_parsers for each in insistence] == [True] * (MAX_LOST_PARSERS - 1) + [False]


async def test_constraints_are_taken_as_they_are_unless_nobody_can_mean_them() -> None:
    odd = " >= 1 ,\t<2 "
    assert (await asked(entry_of(message(parent_id="4:x:1", constraints=odd)))).parents == (Parent("4:x:1", odd),)
    endless = "x" * (MAX_CONSTRAINTS_BYTES + 1)
    assert (await asked(entry_of(message(parent_id="4:x:1", constraints=endless)))).parents == (Parent("4:x:1", ANY),)
    assert (await asked(entry_of(message(constraints=odd)))).parents == ()


async def test_an_announcement_that_no_feed_makes_and_data_that_nobody_can_read_are_refused() -> None:
    with pytest.raises(PoisonMessage, match="at_least is 'a b', which the feed of npm never says"):
        await asked(entry_of(message(at_least="a b")))
    unreadable = PoisonMessage("data is not JSON", kind="bad_json")
    entry = entry_of(message())
    with pytest.raises(PoisonMessage, match="not JSON"):
        await asked(Entry(entry.ecosystem, entry.lane, entry.entry_id, b"{", unreadable))
