"""This module sends httpx's requests to one origin over httpcore's connections.

httpx's own pool serves any number of origins, and lets requests wait for a connection. So it looks, at the beginning
and at the end of each request, at all the connections and requests that it has, and asks the system whether any idle
connection has been closed. Here the caller bounds how many requests run at once, none waits, and each looks at the one
connection that it takes.
"""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final
from urllib.request import getproxies

import httpcore
import httpx

from securechain_ingest.http.sockets import Sockets

_KEPT_FOR_S: Final = 5.0
"""An idle connection is used again within this time, which is also httpx's."""


class Transport(httpx.AsyncBaseTransport):
    """It keeps connections for further requests, and speaks HTTP/2 where the server offers it. Over HTTP/1.1 it has as
    many connections as requests run at once, and over HTTP/2 one. It knows no proxies."""

    def __init__(self, ssl_context: ssl.SSLContext) -> None:
        self._ssl_context = ssl_context
        self._sockets = Sockets()
        self._open: set[httpcore.AsyncConnectionInterface] = set()
        self._idle: deque[httpcore.AsyncConnectionInterface] = deque()
        """These connections have no request under way. The last one was used last."""
        self._shared: httpcore.AsyncConnectionInterface | None = None
        """Several requests at once take this connection: it speaks HTTP/2, or it is new and may come to speak it."""
        self._may_share = True

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and return its answer, whose body is still to be read. It raises httpx's TransportError."""
        sent = httpcore.Request(
            request.method,
            httpcore.URL(
                scheme=request.url.raw_scheme,
                host=request.url.raw_host,
                port=request.url.port,
                target=request.url.raw_path,
            ),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _as_httpx():
            connection, answer = await self._send(sent)
        if self._may_share and answer.extensions["http_version"] != b"HTTP/2":
            self._may_share, self._shared = False, None
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_Body(self, connection, answer),
            extensions={"http_version": answer.extensions["http_version"]},
        )

    async def aclose(self) -> None:
        while self._open:
            await self._open.pop().aclose()

    async def release(self, connection: httpcore.AsyncConnectionInterface) -> None:
        """Take back a connection whose request has ended. One that has served its time is closed."""
        if connection.is_closed():
            self._open.discard(connection)
        elif connection is not self._shared and connection.is_idle():
            self._idle.append(connection)
        while self._idle and self._idle[0].has_expired():
            await self._close(self._idle.popleft())

    async def _send(self, request: httpcore.Request) -> tuple[httpcore.AsyncConnectionInterface, httpcore.Response]:
        while True:
            connection = await self._take(request.url.origin)
            try:
                return connection, await connection.handle_async_request(request)
            except httpcore.ConnectionNotAvailable:
                pass  # It speaks HTTP/1.1 after all, and another request was first, or the server takes no more on it.
            except BaseException:
                await self.release(connection)
                raise

    async def _take(self, origin: httpcore.Origin) -> httpcore.AsyncConnectionInterface:
        if self._shared is not None:
            if self._shared.is_available() and not self._shared.has_expired():
                return self._shared
            shared, self._shared = self._shared, None
            if shared.is_idle():
                await self._close(shared)
        while self._idle:
            connection = self._idle.pop()
            if not connection.has_expired():
                return connection
            await self._close(connection)
        connection = httpcore.AsyncHTTPConnection(
            origin,
            self._ssl_context,
            keepalive_expiry=_KEPT_FOR_S,
            http2=True,
            network_backend=self._sockets,
        )
        self._open.add(connection)
        if self._may_share and origin.scheme == b"https":
            self._shared = connection
        return connection

    async def _close(self, connection: httpcore.AsyncConnectionInterface) -> None:
        self._open.discard(connection)
        await connection.aclose()


class _Body(httpx.AsyncByteStream):
    def __init__(
        self, transport: Transport, connection: httpcore.AsyncConnectionInterface, answer: httpcore.Response
    ) -> None:
        self._transport = transport
        self._connection = connection
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx():
            async for piece in self._answer.aiter_stream():
                yield piece

    async def aclose(self) -> None:
        try:
            with _as_httpx():
                await self._answer.aclose()
        finally:
            await self._transport.release(self._connection)


@contextmanager
def _as_httpx() -> Iterator[None]:
    """Raise httpx's error for one of httpcore, which has the same name."""
    try:
        yield
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
        kind: type[httpx.TransportError] = getattr(httpx, type(error).__name__)
        raise kind(str(error) or type(error).__name__) from error


class _Proxied(httpx.AsyncBaseTransport):
    """It sends requests by the proxies that the environment names, as httpx does."""

    def __init__(self, ssl_context: ssl.SSLContext, max_connections: int) -> None:
        limits = httpx.Limits(max_connections=max_connections, max_keepalive_connections=max_connections)
        self._client = httpx.AsyncClient(http2=True, verify=ssl_context, limits=limits, cookies=_no_cookies())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._client.send(request, stream=True)

    async def aclose(self) -> None:
        await self._client.aclose()


def transport_of_the_environment(ssl_context: ssl.SSLContext, max_connections: int) -> httpx.AsyncBaseTransport:
    """Return a transport that obeys the variables for proxies (`HTTPS_PROXY` and the like)."""
    if getproxies().keys() & {"http", "https", "all"}:
        return _Proxied(ssl_context, max_connections)
    return Transport(ssl_context)


def _no_cookies() -> CookieJar:
    # Registries need no cookies, and each cookie that is kept costs time with every request.
    return CookieJar(DefaultCookiePolicy(allowed_domains=()))
