"""This counts from outside what a daemon does to the world, and cuts the daemon off from it behind the n-th effect.

Relays on loopback read along what goes to Redis and to the graph and what comes back. An effect counts once its store
has answered; the answer to the last one is withheld and nothing is let through any more. To the stores that is a daemon
that was killed at this instant.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

import hiredis

from securechain_ingest.queue.leases import _RENEW
from securechain_ingest.queue.script import Script
from securechain_ingest.queue.taking import _TAKE
from tests.waiting import closed_to_new_ones

READS = frozenset(
    b"CLIENT CONFIG EXISTS GET HELLO HGET HGETALL HLEN HMGET INFO MGET PING SCRIPT SELECT TIME XINFO XLEN XPENDING"
    b" XRANGE XREAD ZCARD ZMSCORE ZRANGE".split()
)
"""These are commands that change nothing."""


class Effects:
    """These are the effects of one daemon, in their order.

    Behind the one with number `limit` it is cut off for good (None: never).
    """

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._transports: set[asyncio.WriteTransport] = set()
        self.names: list[str] = []
        self._counts = False
        self.is_cut_off = False
        self.cut_off = asyncio.Event()

    def begin(self) -> None:
        """Count from now on; what came before is the daemon's own start."""
        self._counts = True

    def happened(self, name: str) -> None:
        """This may be called from any thread."""
        if not self._counts or self.is_cut_off:
            return
        self.names.append(name)
        if len(self.names) == self._limit:
            self.is_cut_off = True
            self._loop.call_soon_threadsafe(self._abort)

    def _abort(self) -> None:
        for transport in self._transports:
            transport.abort()
        self.cut_off.set()

    @asynccontextmanager
    async def relays(self, *urls: str) -> AsyncIterator[list[str]]:
        """Yield the addresses by which a daemon reaches the same stores through a relay."""
        async with AsyncExitStack() as stack:
            through, servers = [], []
            for url in urls:
                server = await asyncio.start_server(_Relay(self, url).accept, "127.0.0.1", 0)
                servers.append(await stack.enter_async_context(server))
                parts = urlsplit(url)
                credentials, at, _ = parts.netloc.rpartition("@")
                port = server.sockets[0].getsockname()[1]
                through.append(urlunsplit(parts._replace(netloc=f"{credentials}{at}127.0.0.1:{port}")))
            try:
                yield through
            finally:
                self.is_cut_off = True
                for server in servers:
                    await closed_to_new_ones(server)
                self._abort()
                # Python 3.12 waits for every connection when the server is left, and those end a moment later.
                await asyncio.sleep(0)


class _Protocol(Protocol):
    def asked(self, data: bytes) -> None:
        """Take what the daemon says."""
        ...

    def answered(self, data: bytes) -> Sequence[str]:
        """Take what the store says; return the effects that it confirms."""
        ...


class _Relay:
    """This is one store, over any number of connections."""

    def __init__(self, effects: Effects, url: str) -> None:
        self._effects = effects
        self._url = urlsplit(url)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._effects.is_cut_off:
            writer.transport.abort()
            return
        onward_reader, onward = await asyncio.open_connection(self._url.hostname, self._url.port)
        ends = {writer.transport, onward.transport}
        self._effects._transports |= ends
        protocol: _Protocol = _Redis() if self._url.scheme.startswith("redis") else _Bolt()
        try:
            with suppress(OSError):
                await asyncio.gather(self._ask(reader, onward, protocol), self._answer(onward_reader, writer, protocol))
        finally:
            self._effects._transports -= ends
            for end in ends:
                end.abort()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, protocol: _Protocol) -> None:
        while (data := await reader.read(262_144)) and not self._effects.is_cut_off:
            protocol.asked(data)
            writer.write(data)
            await writer.drain()
        writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, protocol: _Protocol) -> None:
        while data := await reader.read(262_144):
            for name in protocol.answered(data):
                self._effects.happened(name)
            if self._effects.is_cut_off:
                break
            writer.write(data)
            await writer.drain()
        writer.transport.abort()


class _Redis:
    """This reads commands and their answers, in one order."""

    def __init__(self) -> None:
        self._commands = hiredis.Reader()
        self._answers = hiredis.Reader()
        self._open: deque[list[bytes]] = deque()

    def asked(self, data: bytes) -> None:
        self._commands.feed(data)
        while (command := self._commands.gets()) is not False:
            self._open.append(command)

    def answered(self, data: bytes) -> Sequence[str]:
        self._answers.feed(data)
        names = []
        while (answer := self._answers.gets()) is not False:
            if (name := _effect_of(self._open.popleft(), answer)) is not None:
                names.append(name)
        return names


def _effect_of(command: Sequence[bytes], answer: Any) -> str | None:
    """Return the effect of a command; None means that nothing has changed.

    To look for work in vain and to renew a lease are no effects of a message.
    """
    word = command[0].upper()
    if word in READS or isinstance(answer, hiredis.HiredisError) or answer == b"QUEUED":
        return None
    if word == b"EVALSHA":
        name, script = scripts_by_digest()[command[1]]
        if script is _RENEW or (script is _TAKE and not answer[2]) or answer == []:
            return None
        return name
    if word == b"XREADGROUP" and answer is None:
        return None
    return word.decode()


def scripts_by_digest() -> dict[bytes, tuple[str, Script]]:
    """Return the product's scripts by the digest that Redis knows them by."""
    if not _KNOWN:
        for module in list(sys.modules.values()):
            if getattr(module, "__name__", "").startswith("securechain_ingest."):
                for name, script in vars(module).items():
                    if isinstance(script, Script):
                        digest = hashlib.sha1(script._text.encode()).hexdigest().encode()
                        _KNOWN[digest] = name.strip("_").lower(), script
    return _KNOWN


_KNOWN: dict[bytes, tuple[str, Script]] = {}

_HANDSHAKE_BYTES = 20
_AGREED_BYTES = 4
"""This is so for the plain handshake, which is all that the embedded server knows."""
_GOODBYE, _RUN, _BEGIN, _COMMIT, _ROLLBACK, _PULL = 0x02, 0x10, 0x11, 0x12, 0x13, 0x3F
_SUCCESS, _RECORD = 0x70, 0x71


class _Bolt:
    """This reads messages, each answered by one summary behind any number of records, in one order."""

    def __init__(self) -> None:
        self._asks = _Chunks(_HANDSHAKE_BYTES)
        self._answers = _Chunks(_AGREED_BYTES)
        self._open: deque[int] = deque()
        self._in_transaction = False

    def asked(self, data: bytes) -> None:
        self._open.extend(kind for kind in self._asks.kinds(data) if kind != _GOODBYE)

    def answered(self, data: bytes) -> Sequence[str]:
        names = []
        for kind in self._answers.kinds(data):
            if kind == _RECORD:
                continue
            ask = self._open.popleft()
            if ask in {_BEGIN, _COMMIT, _ROLLBACK}:
                self._in_transaction = ask == _BEGIN
            # A statement without a transaction is committed when its rows have been taken.
            is_commit = ask == _COMMIT or (ask == _PULL and not self._in_transaction)
            if kind == _SUCCESS and (ask == _RUN or is_commit):
                names.append("commit" if is_commit else "run")
        return names


class _Chunks:
    """This reads Bolt's framing: chunks of a two-byte length each; one of length 0 ends a message."""

    def __init__(self, preface_bytes: int) -> None:
        self._skip = preface_bytes
        self._held = b""
        self._kind: int | None = None

    def kinds(self, data: bytes) -> list[int]:
        """Return the signatures of the messages that end in `data`."""
        self._held += data
        found: list[int] = []
        if self._skip:
            if len(self._held) < self._skip:
                return found
            self._held, self._skip = self._held[self._skip :], 0
        while len(self._held) >= 2 and len(self._held) >= 2 + (length := int.from_bytes(self._held[:2])):
            chunk, self._held = self._held[2 : 2 + length], self._held[2 + length :]
            if chunk and self._kind is None:
                self._kind = chunk[1]
            elif not chunk and self._kind is not None:
                found.append(self._kind)
                self._kind = None
        return found
