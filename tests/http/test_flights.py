"""Concurrent questions for one document share one request, and nobody's leaving harms the others."""

from __future__ import annotations

import asyncio
import gc

import pytest

from securechain_ingest.errors import NotFound
from securechain_ingest.http.client import HttpClient
from securechain_ingest.http.flights import Flights
from tests.http.scripted_server import ScriptedServer, answer
from tests.waiting import PATIENCE_S, Gate


async def test_callers_at_the_same_time_share_one_request(client: HttpClient, server: ScriptedServer) -> None:
    gate = Gate(answer(200, b"shared"))
    url = server.script("/a", gate)
    callers = [asyncio.create_task(client.get(url)) for _ in range(5)]
    await gate.entered.wait()
    gate.opened.set()
    assert [response.body for response in await asyncio.gather(*callers)] == [b"shared"] * 5
    assert server.asked("/a") == 1


async def test_other_questions_about_the_same_url_are_asked(client: HttpClient, server: ScriptedServer) -> None:
    url = server.script("/a", answer(200, b"x"))
    await asyncio.gather(client.get(url), client.get(url, accept="text/html"), client.get(url, validator='"1"'))
    assert server.asked("/a") == 3


async def test_an_answer_is_not_kept_for_later_callers(client: HttpClient, server: ScriptedServer) -> None:
    url = server.script("/a", answer(200, b"old"), answer(200, b"new"))
    assert [(await client.get(url)).body, (await client.get(url)).body] == [b"old", b"new"]


async def test_the_others_get_their_answer_when_the_first_caller_leaves(
    client: HttpClient, server: ScriptedServer
) -> None:
    gate = Gate(answer(200, b"shared"))
    url = server.script("/a", gate)
    first = asyncio.create_task(client.get(url))
    await gate.entered.wait()
    second = asyncio.create_task(client.get(url))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    gate.opened.set()
    assert (await second).body == b"shared"
    assert server.asked("/a") == 1


async def test_a_request_that_nobody_waits_for_is_given_up_and_asked_anew(
    client: HttpClient, server: ScriptedServer
) -> None:
    gate = Gate(answer(200, b"never"))
    url = server.script("/a", gate, answer(200, b"anew"))
    only = asyncio.create_task(client.get(url))
    await gate.entered.wait()
    (flight,) = (task for task in asyncio.all_tasks() if task.get_name().startswith("flight"))
    only.cancel()
    with pytest.raises(asyncio.CancelledError):
        await only
    await asyncio.wait([flight], timeout=PATIENCE_S)
    assert flight.cancelled()
    assert (await client.get(url)).body == b"anew"


async def test_an_error_that_nobody_waits_for_any_more_is_not_complained_about() -> None:
    complaints: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    failing = asyncio.Event()

    async def fail() -> None:
        await failing.wait()
        raise NotFound("nothing here", url="http://registry.test")

    flights: Flights[None] = Flights()
    for leave_first in (True, False):
        failing.clear()
        caller = asyncio.create_task(flights.join("key", fail))
        await asyncio.sleep(0)
        for step in (caller.cancel, failing.set) if leave_first else (failing.set, caller.cancel):
            step()
        await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()})
        assert caller.cancelled()
        del caller
    gc.collect()
    assert complaints == []


async def test_an_error_is_every_callers(client: HttpClient, server: ScriptedServer) -> None:
    gate = Gate(answer(404))
    url = server.script("/a", gate)
    callers = [asyncio.create_task(client.get(url)) for _ in range(3)]
    await gate.entered.wait()
    gate.opened.set()
    outcomes = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [NotFound] * 3
    assert server.asked("/a") == 1
