"""This is a TCP proxy on loopback that can be cut and mended: an outage of Redis without stopping the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

from tests.waiting import closed_to_new_ones


class Proxy:
    """This forwards connections to a server while it is not cut."""

    def __init__(self, target_url: str) -> None:
        self._target = urlsplit(target_url)
        self._is_cut = False
        self.delay_s = 0.0
        """This is how long each piece is held up on its way."""
        self.is_held: Callable[[], bool] = lambda: False
        """Once this is true, a piece is held until the next cut."""
        self._released = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self.url = ""

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Proxy]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        credentials, at, _ = self._target.netloc.rpartition("@")
        self.url = urlunsplit(self._target._replace(netloc=f"{credentials}{at}127.0.0.1:{port}"))
        try:
            yield self
        finally:
            await closed_to_new_ones(server)
            self.cut()
            await server.wait_closed()

    def cut(self) -> None:
        """End every connection and accept none."""
        self._is_cut = True
        self._released.set()
        for writer in self._writers:
            writer.transport.abort()

    def mend(self) -> None:
        self._is_cut = False
        self._released.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        pair = {writer}
        self._writers.add(writer)
        try:
            onward = await asyncio.open_connection(self._target.hostname, self._target.port)
            pair.add(onward[1])
            self._writers.add(onward[1])
            # A cut in the meantime has ended the connection that was just being made.
            if not writer.transport.is_closing():
                await asyncio.gather(self._forward(reader, onward[1]), self._forward(onward[0], writer))
        except OSError:
            pass  # The server itself is away.
        finally:
            self._writers -= pair
            for end in pair:
                end.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while received := await reader.read(65_536):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                if self.is_held():
                    await self._released.wait()
                writer.write(received)
                await writer.drain()
        writer.transport.abort()
