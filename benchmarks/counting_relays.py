"""This counts what a program asks of a store, from outside: relays on loopback read along."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar
from urllib.parse import urlsplit

import hiredis

from securechain_ingest import daemon
from tests.chaos.effects import scripts_by_digest

assert daemon  # It has imported all scripts.

Counted = TypeVar("Counted", bound="Relay")

HANDSHAKE_BYTES = 20
MANIFEST_OFFER = bytes((0, 0, 1, 255))
"""This is a client's offer of a longer handshake; without it both sides take the plain one."""
MESSAGES = {0x10: "RUN", 0x11: "BEGIN", 0x12: "COMMIT", 0x13: "ROLLBACK"}
"""These are signatures of the Bolt protocol; the rest carries no query."""


class Relay:
    """This is a relay to one server on loopback."""

    def __init__(self, uri: str) -> None:
        self.messages: Counter[str] = Counter()
        self.uri = ""
        """This is the address by which the server is reached through the relay."""
        self._server = urlsplit(uri)

    async def listen(self) -> asyncio.Server:
        server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        credentials, at, _ = self._server.netloc.rpartition("@")
        port = server.sockets[0].getsockname()[1]
        self.uri = self._server._replace(netloc=f"{credentials}{at}127.0.0.1:{port}").geturl()
        return server

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._server.port)
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._requests(reader, server_writer))
                ways.create_task(_copy(server_reader, writer))
        except* (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            server_writer.close()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what a client says, and count it in `messages`."""
        raise NotImplementedError


class BoltCounter(Relay):
    """This counts queries."""

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Bolt has a handshake, then messages in chunks of a two-byte length each, ended by a chunk of length 0."""
        handshake = await reader.readexactly(HANDSHAKE_BYTES)
        writer.write(handshake.replace(MANIFEST_OFFER, bytes(4)))
        begins = True
        while True:
            length = await reader.readexactly(2)
            chunk = await reader.readexactly(int.from_bytes(length))
            if begins and len(chunk) > 1 and chunk[1] in MESSAGES:
                self.messages[MESSAGES[chunk[1]]] += 1
            begins = not chunk
            writer.write(length + chunk)
            if begins:
                await writer.drain()


class RedisCounter(Relay):
    """This counts commands by their words, and scripts by their names; what a script calls within Redis is none."""

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        commands = hiredis.Reader()
        while data := await reader.read(262_144):
            commands.feed(data)
            while (command := commands.gets()) is not False:
                script = scripts_by_digest().get(command[1]) if command[0].upper() == b"EVALSHA" else None
                self.messages[f"script {script[0]}" if script else command[0].decode().upper()] += 1
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(262_144):
        writer.write(data)
        await writer.drain()
    raise ConnectionResetError


@contextmanager
def relaying(counter: Counted) -> Iterator[Counted]:
    """Relay from a thread until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="counter", daemon=True)
    thread.start()
    try:
        server = asyncio.run_coroutine_threadsafe(counter.listen(), loop).result()
        yield counter
        loop.call_soon_threadsafe(server.close)
    finally:
        asyncio.run_coroutine_threadsafe(_cancel_all(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
