"""This tests requests a second and at once: bounded, shared, adapted to what a server bears, and never waited for
without end.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securechain_ingest.ecosystem_settings import EndpointSettings
from securechain_ingest.errors import RateLimited, Unavailable
from securechain_ingest.http.client import HttpClient
from securechain_ingest.http.pace import Pace
from securechain_ingest.http.priority import Priority, prioritised
from securechain_ingest.settings import HttpSettings
from tests.http.conftest import FakeTime, MakeClient, connections, rates, wait_in
from tests.http.scripted_server import ReceivedRequest, ScriptedServer, answer


@given(
    st.floats(0.1, 1000),
    st.lists(st.tuples(st.floats(0, 3), st.sampled_from(["taken", "refused", "nothing"])), min_size=1, max_size=60),
)
def test_no_span_of_time_sees_more_turns_than_the_rate_and_half_a_second_of_it(
    rate: float, events: list[tuple[float, str]]
) -> None:
    time = FakeTime()
    pace = Pace(rate, math.inf, time.clock)
    turns = []
    for pause, event in events:
        time.now += pause
        turns.append(time.now + pace.reserve())
        if event == "taken":
            pace.succeeded()
        elif event == "refused":
            pace.overloaded()
        assert 0 < pace.rate <= rate
    for number, first in enumerate(turns):
        for count, last in enumerate(turns[number:], 1):
            assert count <= rate * (last - first + 0.5) + 1.001


def test_turns_come_at_the_rate() -> None:
    pace = Pace(4.0, math.inf, FakeTime().clock)
    assert [pace.reserve() for _ in range(5)] == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_without_a_rate_nobody_waits() -> None:
    pace = Pace(math.inf, math.inf, FakeTime().clock)
    pace.overloaded()
    assert [pace.reserve() for _ in range(100)] == [0.0] * 100


def test_refusals_of_one_incident_halve_the_rate_once_and_successes_restore_it_slowly() -> None:
    time = FakeTime()
    pace = Pace(8.0, math.inf, time.clock)
    for _ in range(8):
        pace.overloaded()
    assert pace.rate == 4.0
    time.now += 1.0
    pace.overloaded()
    assert pace.rate == 2.0
    pace.succeeded()
    assert 2.0 < pace.rate < 2.5
    for _ in range(100):
        pace.succeeded()
    assert pace.rate == 8.0


def test_the_rate_never_falls_to_nothing() -> None:
    time = FakeTime()
    pace = Pace(8.0, math.inf, time.clock)
    for _ in range(100):
        time.now += 10.0
        pace.overloaded()
    assert pace.rate == 8.0 / 64


def test_a_higher_rate_does_not_queue_behind_turns_of_the_lower() -> None:
    pace = Pace(0.01, math.inf, FakeTime().clock)
    for _ in range(3):
        pace.reserve()
    pace.apply(10.0, math.inf)
    assert pace.reserve() == 0.0


def test_applying_the_same_rate_forgets_neither_turns_nor_what_the_server_asked_for() -> None:
    pace = Pace(2.0, math.inf, FakeTime().clock)
    pace.overloaded()
    pace.reserve()
    pace.apply(2.0, 5)
    assert (pace.rate, pace.reserve()) == (1.0, 1.0)


async def test_each_endpoint_waits_for_its_own_turns_only(
    make_client: MakeClient, server: ScriptedServer, fake_time: FakeTime
) -> None:
    urls = [server.script(path, answer()) for path in ("/1", "/2", "/files/1")]
    async with make_client(rates=rates(pypi=2.0, pypi_files=2.0)) as client:
        await client.get(urls[0])
        await client.get(urls[2])
        assert fake_time.waits == []
        await client.get(urls[1])
        assert fake_time.waits == [0.5]


@pytest.mark.parametrize("status", [429, 503])
async def test_a_refusal_slows_the_requests_that_follow(
    make_client: MakeClient, server: ScriptedServer, fake_time: FakeTime, status: int
) -> None:
    refused, taken = server.script("/a", answer(status, retry_after="31")), server.script("/b", answer())
    async with make_client(rates=rates(pypi=2.0)) as client:
        with pytest.raises(RateLimited):
            await client.get(refused)
        fake_time.now += 31
        for _ in range(3):
            await client.get(taken)
    # Half of the rate, of which the first success gives a fiftieth of the whole back.
    assert fake_time.waits == [0.5, pytest.approx(1 / 1.04)]


async def test_maven_central_that_forbids_is_asked_more_slowly(
    make_client: MakeClient, server: ScriptedServer, fake_time: FakeTime
) -> None:
    forbidden, taken = server.script("/maven/a", answer(403)), server.script("/maven/b", answer())
    async with make_client(rates=rates(maven_central=2.0)) as client:
        with pytest.raises(Unavailable):
            await client.get(forbidden)
        for _ in range(2):
            await client.get(taken)
    assert fake_time.waits == [0.5, 1.0]


@pytest.mark.parametrize("rate", ["unlimited", 2.0])
async def test_a_registry_that_wants_a_long_pause_is_not_asked_for_anything_before_it_is_over(
    make_client: MakeClient, server: ScriptedServer, fake_time: FakeTime, rate: float | str
) -> None:
    refused, other = server.script("/a", answer(429, retry_after="3600")), server.script("/b", answer())
    async with make_client(rates=rates(pypi=rate)) as client:
        with pytest.raises(RateLimited):
            await client.get(refused)
        fake_time.now += 600
        with pytest.raises(RateLimited) as caught:
            await client.get(other)
        assert (caught.value.delay_s, server.asked("/b"), fake_time.waits) == (3000, 0, [])
        fake_time.now += 3000
        await client.get(other)


async def test_a_short_pause_that_a_registry_wants_holds_for_every_request(
    make_client: MakeClient, server: ScriptedServer, fake_time: FakeTime
) -> None:
    refused = server.script("/a", answer(429, retry_after="20"))
    other = server.script("/files/b", answer()), server.script("/b", answer())
    async with make_client(HttpSettings(retries=0)) as client:
        with pytest.raises(RateLimited):
            await client.get(refused)
        await client.get(other[0])
        assert fake_time.waits == []
        await client.get(other[1])
        assert fake_time.waits == [20]


async def test_a_turn_beyond_the_time_for_a_request_is_left_to_the_queue(
    make_client: MakeClient, server: ScriptedServer, fake_time: FakeTime
) -> None:
    url = server.script("/a", answer())
    async with make_client(HttpSettings(total_timeout_s=50), rates=rates(pypi=0.01)) as client:
        await client.get(url)
        with pytest.raises(RateLimited) as caught:
            await client.get(url)
    assert caught.value.delay_s == pytest.approx(100)
    assert (server.asked("/a"), fake_time.waits) == (1, [])


async def test_the_time_for_a_request_begins_with_its_turn(server: ScriptedServer, leap: Callable[[], None]) -> None:
    async def sleep(_: float) -> None:
        leap()
        await asyncio.sleep(0)

    urls = [server.script(path, answer(200, b"x")) for path in ("/1", "/2")]
    async with HttpClient(
        HttpSettings(retries=0),
        EndpointSettings(**dict.fromkeys(EndpointSettings.model_fields, server.base)),
        rates(pypi=1),
        connections(),
        sleep=sleep,
        clock=lambda: 0.0,
    ) as client:
        assert [(await client.get(url)).body for url in urls] == [b"x", b"x"]


async def test_who_queues_behind_a_stalled_request_does_not_fail_with_it(
    make_client: MakeClient, server: ScriptedServer, leap: Callable[[], None]
) -> None:
    asked = asyncio.Event()

    async def stall(_: ReceivedRequest) -> bytes:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    stalled, behind = server.script("/1", stall), server.script("/2", answer(200, b"x"))
    async with make_client(HttpSettings(retries=0, timeout_s=3600), connections=connections(pypi=1)) as client:
        first, second = (asyncio.create_task(client.get(url)) for url in (stalled, behind))
        await asked.wait()
        leap()
        with pytest.raises(Unavailable, match="took longer than 300 s"):
            await first
        assert (await second).body == b"x"


async def test_only_so_many_requests_are_under_way_at_once(make_client: MakeClient, server: ScriptedServer) -> None:
    under_way = peak = 0
    two_are_here, proceed = asyncio.Event(), asyncio.Event()

    async def slow(_: ReceivedRequest) -> bytes:
        nonlocal under_way, peak
        under_way += 1
        peak = max(peak, under_way)
        if under_way == 2:
            two_are_here.set()
        await proceed.wait()
        under_way -= 1
        return answer()

    urls = [server.script(f"/{number}", slow) for number in range(6)]
    async with make_client(connections=connections(pypi=2)) as client, asyncio.TaskGroup() as tasks:
        for url in urls:
            tasks.create_task(client.get(url))
        await two_are_here.wait()
        proceed.set()
    assert (peak, len(server.requests)) == (2, 6)


async def test_more_connections_are_for_those_who_wait_already(make_client: MakeClient, server: ScriptedServer) -> None:
    one_is_here, both_are_here = asyncio.Event(), asyncio.Barrier(2)

    async def meet(_: ReceivedRequest) -> bytes:
        one_is_here.set()
        await both_are_here.wait()
        return answer()

    urls = [server.script(f"/{number}", meet) for number in range(2)]
    async with make_client(connections=connections(pypi=1)) as client, asyncio.TaskGroup() as tasks:
        for url in urls:
            tasks.create_task(client.get(url))
        await one_is_here.wait()
        client.apply(rates(), connections(pypi=2))


async def test_who_waits_for_a_turn_holds_no_connection(server: ScriptedServer) -> None:
    waiting, proceed = asyncio.Event(), asyncio.Event()

    async def sleep(_: float) -> None:
        waiting.set()
        await proceed.wait()

    first, second, third = (server.script(f"/{number}", answer()) for number in range(3))
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
        await client.get(first)
        tasks.create_task(client.get(second))
        await waiting.wait()
        client.apply(rates(), connections(pypi=1))
        await client.get(third)
        assert [request.target for request in server.requests] == ["/0", "/2"]
        proceed.set()


async def test_the_wait_for_a_turn_is_known_before_it_is_waited_for() -> None:
    pace = Pace(2.0, math.inf, FakeTime().clock)
    assert pace.wait_s() == 0.0
    async with pace.line, asyncio.TaskGroup() as tasks:
        pace.reserve()
        assert pace.wait_s() == 0.5
        urgent = Priority(is_urgent=True)
        in_line = [tasks.create_task(wait_in(pace.line)), tasks.create_task(wait_in(pace.line, urgent))]
        await asyncio.sleep(0)
        assert pace.wait_s() == 1.5
        with prioritised(urgent):
            assert pace.wait_s() == 1.0
        for task in in_line:
            task.cancel()
    assert pace.wait_s() == 0.5
