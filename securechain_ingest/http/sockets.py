"""This module gives httpcore its sockets directly from asyncio. httpcore's own way to them leads through anyio, which
makes a scope and several checkpoints for each read and each write; that costs as much as parsing the answer."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterable
from typing import Any, Final

import httpcore

_MOST_UNREAD_BYTES: Final = 256 * 1024
"""The server is told to wait while more than this has arrived that nobody has read."""
_NEXT_ADDRESS_AFTER_S: Final = 2.0
"""If a host has several addresses, the next one is tried after this time. They are tried one after the other, because
asyncio's way to try them side by side leaves sockets open when it is cancelled (Python 3.11)."""


class Sockets(httpcore.AsyncNetworkBackend):
    """It opens TCP connections in the running event loop."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Return a connection, made within `timeout` seconds. It raises httpcore's ConnectError or ConnectTimeout.
        `local_address` and `socket_options` cannot be given."""
        if local_address is not None or socket_options:
            raise NotImplementedError("only a plain connection can be opened")
        try:
            async with asyncio.timeout(timeout):
                return _SocketStream(await _connected(host, port))
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"no connection within {timeout:g} s") from error
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Connected(asyncio.Protocol):
    """It keeps what has arrived until it is read."""

    def __init__(self) -> None:
        self.transport: Any
        """This is an asyncio.Transport: that of TCP at first, then that of TLS."""
        self.unread = bytearray()
        self.has_ended = False
        self._error: Exception | None = None
        self._is_paused = False
        self._is_full = False
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Future[None] | None = None
        self._writing: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.unread += data
        if len(self.unread) > _MOST_UNREAD_BYTES and not self._is_paused:
            self._is_paused = True
            self.transport.pause_reading()
        _wake(self._waiting)

    def eof_received(self) -> bool:
        self.has_ended = True
        _wake(self._waiting)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.has_ended = True
        self._error = exc
        _wake(self._waiting)
        _wake(self._writing)

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        _wake(self._writing)

    async def read(self, max_bytes: int, timeout_s: float | None) -> bytes:
        """Return what has arrived, or b"" at the end. It raises TimeoutError or OSError."""
        if not self.unread and not self.has_ended:
            self._waiting = self._loop.create_future()
            await _within(timeout_s, self._waiting, self._loop)
        if not self.unread:
            if self._error is not None:
                raise self._error
            return b""
        data = bytes(self.unread[:max_bytes])
        del self.unread[:max_bytes]
        if self._is_paused and len(self.unread) <= _MOST_UNREAD_BYTES:
            self._is_paused = False
            self.transport.resume_reading()
        return data

    async def write(self, data: bytes, timeout_s: float | None) -> None:
        """Send the data. Return once the server has taken most of it. It raises TimeoutError or OSError."""
        if self._error is not None:
            raise self._error
        if self.transport.is_closing():
            raise ConnectionResetError("the connection is closed")
        self.transport.write(data)
        if self._is_full:
            self._writing = self._loop.create_future()
            await _within(timeout_s, self._writing, self._loop)


class _SocketStream(httpcore.AsyncNetworkStream):
    def __init__(self, protocol: _Connected) -> None:
        self._protocol = protocol

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            return await self._protocol.read(max_bytes, timeout)
        except TimeoutError as error:
            raise httpcore.ReadTimeout(f"nothing arrived within {timeout:g} s") from error
        except OSError as error:
            raise httpcore.ReadError(str(error)) from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        try:
            await self._protocol.write(buffer, timeout)
        except TimeoutError as error:
            raise httpcore.WriteTimeout(f"nothing could be sent within {timeout:g} s") from error
        except OSError as error:
            raise httpcore.WriteError(str(error)) from error

    async def aclose(self) -> None:
        self._protocol.transport.close()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        protocol = self._protocol
        try:
            async with asyncio.timeout(timeout):
                protocol.transport = await asyncio.get_running_loop().start_tls(
                    protocol.transport, protocol, ssl_context, server_hostname=server_hostname
                )
        except TimeoutError as error:
            protocol.transport.abort()
            raise httpcore.ConnectTimeout(f"no TLS within {timeout:g} s") from error
        except OSError as error:  # An SSLError is one.
            protocol.transport.abort()
            raise httpcore.ConnectError(str(error)) from error
        return self

    def get_extra_info(self, info: str) -> Any:
        """Return what httpcore asks for: the TLS object, and whether a read would return at once, which between two
        requests means that the server has closed the connection."""
        if info == "ssl_object":
            return self._protocol.transport.get_extra_info("ssl_object")
        if info == "is_readable":
            return bool(self._protocol.unread) or self._protocol.has_ended
        return None


async def _connected(host: str, port: int) -> _Connected:
    """Connect to the first address of a host that answers. It raises OSError."""
    loop = asyncio.get_running_loop()
    addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    *others, last = dict.fromkeys(str(address[0]) for *_, address in addresses)
    for address in others:
        with contextlib.suppress(OSError):  # A TimeoutError is one, too.
            async with asyncio.timeout(_NEXT_ADDRESS_AFTER_S):
                return (await loop.create_connection(_Connected, address, port))[1]
    return (await loop.create_connection(_Connected, last, port))[1]


def _wake(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)


async def _within(timeout_s: float | None, waiting: asyncio.Future[None], loop: asyncio.AbstractEventLoop) -> None:
    """Wait for something. It raises TimeoutError after `timeout_s` seconds. It costs less than asyncio.timeout."""
    if timeout_s is None:
        await waiting
        return
    timer = loop.call_later(timeout_s, _give_up, waiting)
    try:
        await waiting
    finally:
        timer.cancel()


def _give_up(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_exception(TimeoutError())
