"""How requests share connections, and what the sockets below them promise."""

from __future__ import annotations

import asyncio
import gc
import inspect
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import httpcore
import httpx
import pytest

from securechain_ingest.ecosystem_settings import EndpointSettings
from securechain_ingest.embedded.process import free_ports
from securechain_ingest.http.client import HttpClient
from securechain_ingest.http.sockets import Sockets
from securechain_ingest.http.transport import Transport
from securechain_ingest.settings import HttpSettings
from tests.http.conftest import MakeClient, connections, rates
from tests.http.scripted_server import ReceivedRequest, ScriptedServer, answer
from tests.waiting import PATIENCE_S, closed_to_new_ones, until

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(serve: Serve) -> AsyncIterator[int]:
    """The port of a server that does with each connection what the test says, and then closes it."""
    served: set[asyncio.Task[None]] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await serve(reader, writer)
        writer.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.add(asyncio.create_task(one(reader, writer), name="connection"))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        await closed_to_new_ones(server)
        await asyncio.gather(*served)
        await server.wait_closed()


async def until_hung_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def body_of(transport: Transport, url: str) -> bytes:
    response = await transport.handle_async_request(httpx.Request("GET", url))
    try:
        return await response.aread()
    finally:
        await response.aclose()


async def test_requests_one_after_the_other_share_a_connection(client: HttpClient, server: ScriptedServer) -> None:
    url = server.script("/a", answer(200, b"{}"))
    for _ in range(5):
        await client.get(url)
    assert server.connections == 1


async def test_there_are_as_many_connections_as_requests_run_at_once(
    client: HttpClient, server: ScriptedServer
) -> None:
    everybody = asyncio.Barrier(3)

    async def together(_: ReceivedRequest) -> bytes:
        await everybody.wait()
        return answer(200, b"{}")

    for _ in range(3):
        await asyncio.gather(*(client.get(server.script(f"/{number}", together)) for number in range(3)))
    assert server.connections == 3


@pytest.mark.parametrize("after", [b"", answer(408, b"you are too slow")], ids=["end", "words"])
async def test_a_connection_that_the_server_has_ended_or_spoken_on_unasked_is_not_used_again(after: bytes) -> None:
    requests = 0
    is_read = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        requests += 1
        number = requests
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(200, str(number).encode()))
        if number == 1:
            await is_read.wait()
            writer.write(after)
        if after or number == 2:
            await until_hung_up(reader, writer)

    async with listening(serve) as port:
        transport = Transport(httpx.create_ssl_context())
        assert await body_of(transport, f"http://127.0.0.1:{port}/") == b"1"
        is_read.set()
        await until(transport._idle[0].has_expired, "news on the idle connection")
        assert await body_of(transport, f"http://127.0.0.1:{port}/") == b"2"
        await transport.aclose()


async def test_the_connection_of_a_request_that_is_given_up_is_not_used_again(
    client: HttpClient, server: ScriptedServer
) -> None:
    is_asked = asyncio.Event()

    async def never(_: ReceivedRequest) -> bytes:
        is_asked.set()
        await asyncio.Event().wait()
        return b""

    task = asyncio.create_task(client.get(server.script("/slow", never)))
    await is_asked.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (await client.get(server.script("/quick", answer(200, b"{}")))).body == b"{}"
    assert server.connections == 2


async def test_idle_connections_are_closed_after_their_time(
    server: ScriptedServer, leap_monotonic: Callable[[], None]
) -> None:
    transport = Transport(httpx.create_ssl_context())
    url = server.script("/x", answer(200, b"{}"))
    first, second = [await transport.handle_async_request(httpx.Request("GET", url)) for _ in range(2)]
    for response in (first, second):
        await response.aread()
    leap_monotonic()
    assert await body_of(transport, url) == b"{}"
    assert (server.connections, len(transport._open)) == (3, 1)
    await transport.aclose()
    assert not transport._open


@pytest.fixture
def leap_monotonic(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Moves the clock by which httpcore lets connections expire on by a minute."""
    true_time = time.monotonic

    def leap() -> None:
        monkeypatch.setattr(time, "monotonic", lambda: true_time() + 60)

    return leap


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
async def test_a_proxy_that_the_environment_names_is_asked(
    make_client: MakeClient, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, server.base)
    server.script(f"{server.base}/x", answer(200, b"by the proxy"))
    async with make_client() as client:
        assert (await client.get(f"{server.base}/x")).body == b"by the proxy"
    assert [request.target for request in server.requests] == [f"{server.base}/x"]


async def test_no_proxy_is_asked_for_hosts_that_the_environment_excepts(
    make_client: MakeClient, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    async with make_client() as client:
        assert (await client.get(server.script("/x", answer(200, b"{}")))).body == b"{}"


async def test_the_credentials_of_an_endpoints_url_are_sent(server: ScriptedServer) -> None:
    url = server.script("/x", answer(200, b"{}")).replace("http://", "http://user:p%40ss@")
    async with HttpClient(
        HttpSettings(), EndpointSettings(**dict.fromkeys(EndpointSettings.model_fields, url)), rates(), connections()
    ) as client:
        await client.get(url)
    [request] = server.requests
    assert request.headers["authorization"] == f"Basic {b64encode(b'user:p@ss').decode()}"


def test_each_failure_of_a_connection_has_its_namesake_in_httpx() -> None:
    failures = [
        each
        for _, each in inspect.getmembers(httpcore, inspect.isclass)
        if issubclass(each, (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError))
    ]
    assert len(failures) > 10
    assert all(issubclass(getattr(httpx, each.__name__), httpx.TransportError) for each in failures)


async def test_a_server_waits_while_nobody_reads_what_it_has_sent() -> None:
    sent = 0
    is_stuck = asyncio.Event()

    async def pour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.transport.set_write_buffer_limits(0)
        for _number in range(1_000):
            writer.write(b"x" * 100_000)
            sent += 100_000
            try:
                async with asyncio.timeout(0.5):
                    await writer.drain()
            except TimeoutError:
                is_stuck.set()
                await writer.drain()
        is_stuck.set()

    async with listening(pour) as port:
        stream = await Sockets().connect_tcp("127.0.0.1", port, timeout=PATIENCE_S)
        await is_stuck.wait()
        assert sent < 50_000_000
        received = 0
        while data := await stream.read(65_536, timeout=PATIENCE_S):
            received += len(data)
        assert received == sent == 100_000_000
        await stream.aclose()


async def test_a_read_gives_up_after_its_time_and_a_later_one_gets_what_has_come() -> None:
    async def hesitate(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"at last")
        await until_hung_up(reader, writer)

    async with listening(hesitate) as port:
        stream = await Sockets().connect_tcp("127.0.0.1", port)
        with pytest.raises(httpcore.ReadTimeout, match=r"within 0\.01 s"):
            await stream.read(100, timeout=0.01)
        await stream.write(b"go on\n")
        assert await stream.read(2, timeout=None) == b"at"
        assert await stream.read(100, timeout=PATIENCE_S) == b" last"
        await stream.aclose()


async def test_a_write_gives_up_after_its_time() -> None:
    is_over = asyncio.Event()

    async def deaf(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await is_over.wait()

    async with listening(deaf) as port:
        stream = await Sockets().connect_tcp("127.0.0.1", port)
        with pytest.raises(httpcore.WriteTimeout):
            await stream.write(b"x" * 50_000_000, timeout=0.05)
        is_over.set()
        await stream.aclose()


async def test_nobody_can_write_to_a_connection_that_has_ended() -> None:
    async def hang_up(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        return

    async with listening(hang_up) as port:
        stream = await Sockets().connect_tcp("127.0.0.1", port)
        assert await stream.read(100) == b""
        assert stream.get_extra_info("is_readable")
        with pytest.raises(httpcore.WriteError):
            await stream.write(b"x")


async def test_a_host_is_reached_by_its_next_address_and_whoever_gives_up_leaves_no_socket_open(
    server: ScriptedServer,
) -> None:
    # The server listens at 127.0.0.1 alone; where localhost has another address, too, that one comes first or second.
    port = httpx.URL(server.base).port
    assert port is not None
    for steps in range(40):
        connecting = asyncio.create_task(Sockets().connect_tcp("localhost", port, timeout=PATIENCE_S))
        for _ in range(steps):
            await asyncio.sleep(0)
        connecting.cancel()
        with suppress(asyncio.CancelledError):
            await (await connecting).aclose()
    await (await Sockets().connect_tcp("localhost", port, timeout=PATIENCE_S)).aclose()
    del connecting
    gc.collect()  # A socket that nobody has closed is warned of here, which fails the test.


async def test_a_port_where_nobody_listens_refuses_the_connection() -> None:
    [port] = free_ports(1)
    with pytest.raises(httpcore.ConnectError):
        await Sockets().connect_tcp("127.0.0.1", port, timeout=PATIENCE_S)


async def test_a_server_that_does_not_speak_tls_is_given_up_in_time() -> None:
    async with listening(until_hung_up) as port:
        stream = await Sockets().connect_tcp("127.0.0.1", port)
        with pytest.raises(httpcore.ConnectTimeout):
            await stream.start_tls(httpx.create_ssl_context(), "localhost", timeout=0.05)
