"""Work that somebody waits for goes before work that is done by the clock, wherever requests have to wait."""

from __future__ import annotations

import asyncio
import random

import pytest

from securechain_ingest.ecosystem_settings import EndpointSettings
from securechain_ingest.http.client import HttpClient
from securechain_ingest.http.priority import Connections, Priority, prioritised
from securechain_ingest.settings import HttpSettings
from tests.http.conftest import MakeClient, connections, rates, wait_in
from tests.http.scripted_server import ReceivedRequest, ScriptedServer, answer
from tests.waiting import PATIENCE_S

URGENT, PATIENT = Priority(is_urgent=True), Priority(is_urgent=False)


async def test_the_urgent_enter_first_and_each_kind_in_its_order() -> None:
    places, entered = Connections(1), []
    async with asyncio.TaskGroup() as tasks, places:
        for name, priority in (("a", PATIENT), ("b", PATIENT), ("C", URGENT), ("d", PATIENT), ("E", URGENT)):
            tasks.create_task(wait_in(places, priority, lambda name=name: entered.append(name)))  # type: ignore[misc]
        await asyncio.sleep(0)
        assert entered == []
    assert "".join(entered) == "CEabd"


@pytest.mark.parametrize("order", [1, -1])
async def test_all_may_be_cancelled_at_once_and_each_ends_as_cancelled(order: int) -> None:
    """A pause does so to all that wait for their turn at an endpoint."""
    places, entered = Connections(2), []

    async def hold() -> None:
        async with places:
            entered.append(asyncio.current_task())
            await asyncio.Event().wait()

    tasks = [asyncio.create_task(hold()) for _ in range(6)]
    await asyncio.sleep(0)
    assert entered == tasks[:2]
    for task in tasks[::order]:
        task.cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(each) for each in answers} == {asyncio.CancelledError}
    assert entered == tasks[:2]
    # Both places are free again.
    async with asyncio.timeout(PATIENCE_S), places, places:
        assert places.ahead() == 0


async def test_what_becomes_urgent_while_it_waits_is_served_as_such() -> None:
    places, entered = Connections(1), []
    rising = Priority(is_urgent=False)
    async with asyncio.TaskGroup() as tasks, places:
        for name, priority in (("first", PATIENT), ("risen", rising)):
            tasks.create_task(wait_in(places, priority, lambda name=name: entered.append(name)))  # type: ignore[misc]
        await asyncio.sleep(0)
        rising.is_urgent = True
    assert entered == ["risen", "first"]


@pytest.mark.parametrize("seed", range(20))
async def test_no_place_is_lost_or_given_twice_whoever_gives_up_and_when(seed: int) -> None:
    chance = random.Random(seed)
    places, inside, peak = Connections(3), 0, 0

    async def visit() -> None:
        nonlocal inside, peak
        with prioritised(Priority(is_urgent=chance.random() < 0.5)):
            async with places:
                inside += 1
                peak = max(peak, inside)
                try:
                    for _ in range(chance.randint(0, 3)):
                        await asyncio.sleep(0)
                finally:
                    inside -= 1

    visits = []
    for _ in range(200):
        visits.append(asyncio.create_task(visit()))
        if chance.random() < 0.3:
            chance.choice(visits).cancel()
        if chance.random() < 0.3:
            await asyncio.sleep(0)
    await asyncio.wait(visits)
    assert (inside, peak) == (0, 3)
    async with places, places, places:
        assert places.ahead() == 0


async def test_more_room_is_for_those_who_wait() -> None:
    places = Connections(0)
    waiting = [asyncio.create_task(wait_in(places)) for _ in range(4)]
    await asyncio.sleep(0)
    places.resize(1)
    await asyncio.gather(*waiting)


async def test_an_urgent_request_gets_the_next_turn_of_a_slow_registry(server: ScriptedServer) -> None:
    head_sleeps, proceed = asyncio.Event(), asyncio.Event()

    async def sleep(_: float) -> None:
        head_sleeps.set()
        await proceed.wait()

    urls = [server.script(f"/{number}", answer()) for number in range(5)]
    urgent = server.script("/urgent", answer())
    async with (
        HttpClient(
            HttpSettings(),
            EndpointSettings(**dict.fromkeys(EndpointSettings.model_fields, server.base)),
            rates(pypi=1),
            connections(pypi=1),
            sleep=sleep,
            clock=lambda: 0.0,
        ) as client,
        asyncio.TaskGroup() as tasks,
    ):
        for url in urls:
            tasks.create_task(client.get(url))
        await head_sleeps.wait()
        with prioritised(URGENT):
            tasks.create_task(client.get(urgent))
        await asyncio.sleep(0)
        proceed.set()
    # The first went at once, the second was waiting for the turn that was next.
    assert "/urgent" in [request.target for request in server.requests][:3]


async def test_a_shared_request_is_as_urgent_as_the_most_urgent_who_waits_for_it(
    make_client: MakeClient, server: ScriptedServer
) -> None:
    holds, proceed = asyncio.Event(), asyncio.Event()

    async def hold(_: ReceivedRequest) -> bytes:
        holds.set()
        await proceed.wait()
        return answer()

    held, other, shared = server.script("/held", hold), server.script("/other", answer()), server.script("/s", answer())
    async with make_client(connections=connections(pypi=1)) as client, asyncio.TaskGroup() as tasks:
        tasks.create_task(client.get(held))
        await holds.wait()
        for url in (other, shared):
            with prioritised(Priority(is_urgent=False)):
                tasks.create_task(client.get(url))
        await asyncio.sleep(0)
        with prioritised(URGENT):
            tasks.create_task(client.get(shared))
        await asyncio.sleep(0)
        proceed.set()
    assert [request.target for request in server.requests] == ["/held", "/s", "/other"]
