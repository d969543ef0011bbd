"""This is a server on loopback that says to the letter what a test tells it, right or wrong, and keeps what it was
asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

from tests.waiting import closed_to_new_ones


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    target: str
    headers: dict[str, str]
    """Its keys are in lower case."""


Handler = Callable[[ReceivedRequest], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Cut:
    """Send this much and close the connection."""

    data: bytes


def answer(status: int = 200, body: bytes = b"", /, **headers: str) -> bytes:
    """Return a response as bytes; header names are written with underscores, `content_length` replaces the true one."""
    fields = {"content_length": str(len(body))} | headers
    if status in {204, 304}:
        del fields["content_length"]
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        *(f"{k.replace('_', '-')}: {v}" for k, v in fields.items()),
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


@dataclass(slots=True)
class ScriptedServer:
    base: str = ""
    requests: list[ReceivedRequest] = field(default_factory=list)
    connections: int = 0
    """So many connections have been accepted so far."""
    _scripts: dict[str, list[bytes | Cut | Handler]] = field(default_factory=dict)

    def script(self, target: str, *answers: bytes | Cut | Handler) -> str:
        """Answer the requests for `target` with these in turn, the last of them for ever; return the URL."""
        self._scripts[target] = list(answers)
        return self.base + target

    def asked(self, target: str) -> int:
        return sum(request.target == target for request in self.requests)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._answer_one(reader, writer):
                pass
        except ConnectionError:
            pass  # The client may hang up whenever it likes.
        finally:
            writer.close()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return False
        first, *lines = head.decode("latin-1").strip().split("\r\n")
        pairs = (line.split(": ", 1) for line in lines)
        request = ReceivedRequest(first.split(" ")[1], {name.lower(): value for name, value in pairs})
        self.requests.append(request)
        script = self._scripts.get(request.target, [answer(404)])
        step = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(step, Cut):
            writer.write(step.data)
            await writer.drain()
            return False
        writer.write(step if isinstance(step, bytes) else await step(request))
        await writer.drain()
        return True


@asynccontextmanager
async def scripted_server() -> AsyncIterator[ScriptedServer]:
    scripted = ScriptedServer()
    connections: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        scripted.connections += 1
        connections.add(asyncio.create_task(scripted.serve(reader, writer), name="connection"))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    scripted.base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield scripted
    finally:
        await closed_to_new_ones(server)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await server.wait_closed()
