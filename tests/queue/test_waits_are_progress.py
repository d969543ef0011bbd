"""This tests that a loop or a message that waits for a store, or for the work of somebody else, makes progress however
long that takes. The clock is handed in.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import anyio
import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from securechain_ingest.archives.turns import Turns
from securechain_ingest.drivers.redis_connection import connect
from securechain_ingest.errors import StoreError
from securechain_ingest.graph.batch import GraphBatcher
from securechain_ingest.graph.connection import Connection
from securechain_ingest.graph.store import Graph
from securechain_ingest.http.flights import Flights
from securechain_ingest.http.priority import Connections
from securechain_ingest.progress import LOOP_S, Progress
from securechain_ingest.queue.entries import Entry
from securechain_ingest.queue.handling import Outcome
from securechain_ingest.settings import GraphSettings, QueueSettings
from tests.graph.builders import npm
from tests.queue.cut_connection import Proxy
from tests.queue.running import ECOSYSTEMS, Observer, add, make_reader
from tests.waiting import Clock, Gate, closed_to_new_ones, until

A_DAY_S = 86_400.0
LIMIT_S = 600.0


class SilentServer:
    """This lets everybody in and never says a word, until it hangs up on all of them."""

    def __init__(self) -> None:
        self.address = ""
        self._writers: list[asyncio.StreamWriter] = []
        self._has_hung_up = False

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[SilentServer]:
        server = await asyncio.start_server(self._keep_silent, "127.0.0.1", 0)
        self.address = "{}:{}".format(*server.sockets[0].getsockname())
        async with server:
            yield self
            await closed_to_new_ones(server)
            self.hang_up()

    def hang_up(self) -> None:
        self._has_hung_up = True
        for writer in self._writers:
            writer.transport.abort()

    async def _keep_silent(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        if self._has_hung_up:
            writer.transport.abort()
        with suppress(OSError):
            while await reader.read(65_536):
                pass
        writer.transport.abort()


async def ask_redis(address: str) -> None:
    async with connect(f"redis://{address}/0", 600.0) as client:
        await client.ping()


@asynccontextmanager
async def graph_at(address: str) -> AsyncIterator[Connection]:
    uri = f"bolt://{address}"
    async with Connection.open(uri, "neo4j", "secret", database=None, timeout_s=600.0, max_connections=2) as connection:
        yield connection


async def ask_the_graph(address: str) -> None:
    async with graph_at(address) as connection:
        await connection.read("RETURN 1")


async def ask_the_graph_with_others(address: str) -> None:
    settings = GraphSettings()
    async with (
        graph_at(address) as connection,
        GraphBatcher(Graph(connection, settings, absent_retry_s=60, queued_retry_s=60), settings) as batcher,
    ):
        await batcher.known(npm("six"))


async def connection_that_another_request_has() -> None:
    places = Connections(1)
    async with places, places:
        pass


async def document_that_another_request_fetches() -> None:
    flights: Flights[None] = Flights()
    never = asyncio.Event()

    async def fetch() -> None:
        await never.wait()

    async with anyio.create_task_group() as group:
        group.start_soon(flights.join, "document", fetch)
        await asyncio.sleep(0)
        await flights.join("document", fetch)


async def parser_that_another_archive_has() -> None:
    turns = Turns(1)
    async with turns.turn(turns.number()), turns.turn(turns.number()):
        pass


class Loop:
    """This is a loop that turns once, and waits from then on."""

    def __init__(self) -> None:
        clock = Clock(1000.0)
        self.progress = Progress(lambda: LIMIT_S, clock)
        self._clock = clock

    async def run(self, wait: Callable[[], Awaitable[None]]) -> None:
        self.progress.turned("forwarder")
        self._clock.now += A_DAY_S
        await wait()

    async def makes_progress(self) -> None:
        """Return as soon as the wait counts. Raise AssertionError if it does not come to count."""
        await until(
            lambda: self.progress.ages() and self.progress.stuck() is None,
            lambda: str(self.progress.stuck()),
        )


@pytest.mark.parametrize("ask", [ask_redis, ask_the_graph, ask_the_graph_with_others])
async def test_a_loop_that_waits_for_a_store_makes_progress(ask: Callable[[str], Awaitable[None]]) -> None:
    loop = Loop()
    async with SilentServer().listening() as server:
        asking = asyncio.create_task(loop.run(partial(ask, server.address)))
        await loop.makes_progress()
        server.hang_up()
        with pytest.raises((StoreError, RedisError)):
            await asking


@pytest.mark.parametrize(
    "wait",
    [
        connection_that_another_request_has,
        document_that_another_request_fetches,
        parser_that_another_archive_has,
    ],
)
async def test_work_that_waits_for_the_work_of_another_makes_progress(wait: Callable[[], Awaitable[None]]) -> None:
    loop = Loop()
    async with anyio.create_task_group() as group:
        group.start_soon(loop.run, wait)
        await loop.makes_progress()
        group.cancel_scope.cancel()


async def test_a_loop_whose_wait_is_over_is_expected_again(redis_url: str) -> None:
    clock = Clock(1000.0)
    progress = Progress(lambda: LIMIT_S, clock)
    async with connect(redis_url, 10.0) as redis:
        progress.turned("forwarder")
        clock.now += A_DAY_S
        await redis.ping()
    assert progress.stuck() is None, "the answer has come just now"
    clock.now += LOOP_S + 1
    assert progress.stuck() == "the loop forwarder has not turned for 31 s"


async def test_what_a_loop_has_started_does_not_make_its_progress(redis_url: str) -> None:
    clock = Clock(1000.0)
    progress = Progress(lambda: LIMIT_S, clock)
    async with connect(redis_url, 10.0) as redis:
        progress.turned("scheduler")
        clock.now += LOOP_S + 1
        # These are a task's answer, and a wait that lasts.
        await asyncio.create_task(redis.ping())  # type: ignore[arg-type]
        wait = asyncio.create_task(connection_that_another_request_has())
        await asyncio.sleep(0)
        assert progress.stuck() == "the loop scheduler has not turned for 31 s"
        wait.cancel()
        await asyncio.gather(wait, return_exceptions=True)


async def test_the_loops_of_a_reader_make_progress_while_redis_does_not_answer(queue: QueueSettings) -> None:
    clock = Clock(1000.0)
    progress = Progress(lambda: LIMIT_S, clock)
    async with SilentServer().listening() as server, connect(f"redis://{server.address}/0", 600.0) as silent:
        reader = make_reader(silent, queue, Observer(), progress=progress)
        async with anyio.create_task_group() as group:
            group.start_soon(reader.run)
            await until(lambda: len(progress.ages()) == 1 + len(ECOSYSTEMS), "all loops")
            clock.now += A_DAY_S
            await until(lambda: progress.stuck() is None, lambda: str(progress.stuck()))
            group.cancel_scope.cancel()


@pytest.mark.parametrize("fails", [False, True])
async def test_messages_that_wait_for_redis_to_be_settled_make_progress(
    redis: Redis, queue: QueueSettings, redis_url: str, fails: bool
) -> None:
    clock = Clock(1000.0)
    progress = Progress(lambda: LIMIT_S, clock)
    gate = Gate(Outcome())

    async def act(entry: Entry) -> Outcome:
        await gate(entry)
        if fails:
            raise RuntimeError("a fault")
        return Outcome()

    await add(redis, queue.stream, "six", "flask", "idna")
    async with Proxy(redis_url).listening() as proxy, connect(proxy.url, 10.0) as cut_off:
        reader = make_reader(cut_off, queue, act, progress=progress)
        async with anyio.create_task_group() as group:
            group.start_soon(reader.run)
            await until(lambda: len(gate.calls) == 3, "all messages in work")
            proxy.cut()
            gate.opened.set()
            for _ in range(2):
                clock.now += A_DAY_S
                await until(lambda: progress.stuck() is None, lambda: str(progress.stuck()))
            assert "work" in progress.ages(), "they are not settled yet"
            proxy.mend()
            await until(lambda: "work" not in progress.ages(), "the messages to be settled")
            reader.stop()
