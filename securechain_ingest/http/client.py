"""The one HTTP pool of the process: polite, bounded, and exact about what went wrong (registries.md, section 1)."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import BinaryIO, Self, TypeVar

import anyio
import httpx

from securechain_ingest import __version__
from securechain_ingest.errors import Malformed, NoRoom, NotFound, RateLimited, Unavailable, Unreachable, UpstreamError
from securechain_ingest.http.answers import (
    bounded_body,
    bounded_document,
    conditional_headers,
    pause_asked_for_s,
    raise_for_status,
    range_of,
    read_to_end,
    require_document,
    validator_of,
    wait_before_retry_s,
)
from securechain_ingest.http.budget import Budget, NoRoomInTime
from securechain_ingest.http.digests import Digests
from securechain_ingest.http.endpoints import SLOW_DOWN
from securechain_ingest.http.flights import Flights
from securechain_ingest.http.freshness import cache_headers, is_uncached
from securechain_ingest.http.metering import current_meter
from securechain_ingest.http.pace import Pace, SharedTurns
from securechain_ingest.http.routes import Address, Routes, redirect_target, refuse_plain_text, shown
from securechain_ingest.metrics import RECEIVED_BYTES, request_to
from securechain_ingest.progress import step
from securechain_ingest.settings import ConnectionSettings, EndpointSettings, HttpSettings, RateSettings

T = TypeVar("T")
E = TypeVar("E", bound=UpstreamError)

_MAX_REDIRECTS = 5
_REMEMBERED_NOT_FOUND = 50_000
_UNLISTED_RATE = 5.0
_UNLISTED_CONNECTIONS = 4
"""For the hosts of `[http] allowed_hosts`, which have no keys of their own."""

_IDENTITY = {"Accept-Encoding": "identity"}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Response:
    """A document. As long as it is held, it has its share of `[http] max_in_flight_bytes`."""

    body: bytes
    """Decompressed; empty when `not_modified`."""
    validator: str | None
    """To be sent with the next request for the same document."""
    not_modified: bool
    headers: Mapping[str, str]
    """Keys in lower case."""
    url: str
    """After redirects."""


@dataclass(frozen=True, slots=True)
class Range:
    """A part of an artifact: `data` from offset `first`, of `size` bytes in all."""

    data: bytes
    first: int
    size: int
    headers: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Keys in lower case."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What went to one endpoint: requests sent and bytes of bodies received, compressed as they came."""

    requests: int
    received_bytes: int


@dataclass(slots=True)
class _OpenEndpoint:
    pace: Pace
    client: httpx.AsyncClient
    """Its own, because with each request a client looks whether any of its idle connections has been closed."""
    slow_down: frozenset[int]
    requests: int = 0
    received_bytes: int = 0


class HttpClient:
    """A context manager. All methods raise UpstreamError only; no error becomes an empty result.

    `sleep` and `clock` are the time; tests hand in another one. `slow_down` has the statuses by which an endpoint asks
    for fewer requests, where they are not the usual ones. `shared` gives an endpoint's turns where other processes ask
    it, too.
    """

    def __init__(
        self,
        http: HttpSettings,
        endpoints: EndpointSettings,
        rates: RateSettings,
        connections: ConnectionSettings,
        *,
        sleep: Callable[[float], Awaitable[object]] = anyio.sleep,
        clock: Callable[[], float] = time.monotonic,
        slow_down: Mapping[str, frozenset[int]] | None = None,
        shared: Callable[[str], SharedTurns] | None = None,
    ) -> None:
        self._settings = http
        self._slow_down = slow_down or {}
        self._shared = shared
        self._sleep = sleep
        self._clock = clock
        self._bases = endpoints.bases()
        self._own = endpoints.own()
        self._routes = Routes(self._own, http.allowed_hosts)
        self._ssl_context = httpx.create_ssl_context()
        self._endpoints = {name: self._make_endpoint(name, rates[name], connections[name]) for name in self._own}
        self._flights: Flights[Response] = Flights()
        # Half of a request's time, so that who waits in vain is not taken for one whose server was too slow.
        self._budget = Budget(http.max_in_flight_bytes, http.max_document_bytes, http.total_timeout_s / 2)
        self._not_found: OrderedDict[str, float] = OrderedDict()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for endpoint in self._endpoints.values():
            await endpoint.client.aclose()

    def apply(self, rates: RateSettings, connections: ConnectionSettings) -> None:
        """Take new limits for the requests to come."""
        for name in self._own:
            self._endpoints[name].pace.apply(rates[name], self._connections(connections[name]))

    def traffic(self) -> dict[str, Traffic]:
        """What went where so far, by endpoint; endpoints that were not asked are left out."""
        return {
            name: Traffic(endpoint.requests, endpoint.received_bytes)
            for name, endpoint in self._endpoints.items()
            if endpoint.requests
        }

    def url(self, endpoint: str, path: str) -> str:
        """The URL of `path` (encoded as it is to be sent) below an endpoint's base URL."""
        return f"{self._bases[endpoint]}/{path.lstrip('/')}"

    async def get(
        self, url: str, *, accept: str | None = None, validator: str | None = None, limit_bytes: int | None = None
    ) -> Response:
        """A document, whole. Concurrent calls for the same one share a request.

        With a `validator` of an earlier Response the answer may be `not_modified`. A URL that was not found is not
        asked again for `[http] not_found_ttl_s`, unless the work under way is `uncached`. A body that is not what the
        server's own digest says is Unavailable.
        """
        limit = min(limit_bytes or self._settings.max_document_bytes, self._budget.largest_bytes)

        async def fetch() -> Response:
            return await self._retrying(url, lambda: self._document(url, accept, validator, limit))

        return await self._flights.join((url, accept, validator, limit, is_uncached()), fetch)

    async def get_range(self, url: str, first: int, last: int) -> Range | None:
        """The bytes `first` to `last` inclusive, fewer if the artifact ends before; None: the server ignores ranges."""
        headers = _IDENTITY | {"Range": f"bytes={first}-{last}"}
        return await self._retrying(url, lambda: self._part(url, headers, first, last))

    async def download(self, url: str, file: BinaryIO, *, limit_bytes: int | None = None) -> int:
        """Stream an artifact as it is into `file`, from its beginning; returns its bytes."""
        limit = self._settings.max_artifact_bytes if limit_bytes is None else limit_bytes

        async def copy() -> int:
            file.seek(0)
            file.truncate()
            async with self._open(url, _IDENTITY) as (response, _):
                require_document(response, shown(url))
                async for piece in bounded_body(response, shown(url), limit):
                    file.write(piece)
            return file.tell()

        return await self._retrying(url, copy)

    async def _document(self, url: str, accept: str | None, validator: str | None, limit: int) -> Response:
        headers = conditional_headers(validator)
        if accept is not None:
            headers["Accept"] = accept
        async with self._open(url, headers) as (response, final_url):
            if response.status_code == 304 and validator is not None:
                return Response(b"", validator_of(response) or validator, True, response.headers, final_url)
            require_document(response, shown(url))
            lease = self._budget.lease()
            digests = Digests(response.headers)
            try:
                body = await bounded_document(response, shown(url), limit, lease, digests.watch)
                digests.check(body, shown(url))
                document = Response(body, validator_of(response), False, response.headers, final_url)
                weakref.finalize(document, lease.release)
            except NoRoomInTime as error:
                lease.release()
                raise NoRoom(f"{shown(url)} found no room among the documents in flight", url=shown(url)) from error
            except BaseException:
                lease.release()
                raise
            lease.arrived()
            return document

    async def _part(self, url: str, headers: dict[str, str], first: int, last: int) -> Range | None:
        async with self._open(url, headers) as (response, _):
            if response.status_code != 206:
                require_document(response, shown(url))
                return None
            if "content-encoding" in response.headers:
                return None
            _, got_last, size = range_of(response, shown(url), first, last)
            wanted = got_last - first + 1
            data = b"".join([piece async for piece in bounded_body(response, shown(url), wanted)])
            if len(data) != wanted:
                raise Unavailable(f"{shown(url)} broke off within a range", url=shown(url))
            return Range(data, first, size, response.headers)

    async def _retrying(self, url: str, request: Callable[[], Awaitable[T]]) -> T:
        """Try again after what another try can help. A long Retry-After is the queue's to wait for, not ours."""
        self._refuse_remembered(url)
        attempt = 0
        while True:
            try:
                answer = await request()
            except NotFound:
                self._remember_not_found(url)
                raise
            except (Unavailable, RateLimited) as error:
                wait_s = wait_before_retry_s(attempt, error, self._settings.max_retry_after_s)
                if attempt >= self._settings.retries or wait_s is None:
                    raise
                attempt += 1
            else:
                self._not_found.pop(url, None)
                return answer
            await self._sleep(wait_s)

    @asynccontextmanager
    async def _open(self, url: str, headers: dict[str, str]) -> AsyncIterator[tuple[httpx.Response, str]]:
        """The answer to one request, redirects followed; its body is still to be read."""
        address = self._routes.address(url)
        url = address.url
        try:
            for _ in range(_MAX_REDIRECTS + 1):
                async with self._send(address, headers) as response:
                    if response.status_code not in _REDIRECTS:
                        yield response, url
                        return
                    address = self._routes.address(redirect_target(url, response.headers.get("location")))
                    refuse_plain_text(url, address.url)
                    url = address.url
            raise Unavailable(f"{shown(url)} redirects more than {_MAX_REDIRECTS} times", url=shown(url))
        except TimeoutError as error:
            limit_s = self._settings.total_timeout_s
            message = f"{shown(url)} took longer than {limit_s:g} s in all"
            raise _of(address.endpoint, Unreachable(message, url=shown(url))) from error
        except (httpx.TransportError, httpx.StreamError) as error:
            reason = str(error) or type(error).__name__
            message = f"{shown(url)} could not be read ({reason})"
            raise _of(address.endpoint, Unreachable(message, url=shown(url))) from error
        except httpx.InvalidURL as error:
            raise Malformed(f"{shown(url)} is no URL that can be asked for ({error})", url=shown(url)) from error

    @asynccontextmanager
    async def _send(self, address: Address, headers: dict[str, str]) -> AsyncIterator[httpx.Response]:
        """The answer of one server, bounded in time as a whole; what has no document in it is read to its end."""
        step()
        endpoint, url = self._endpoint(address.endpoint), address.url
        longest_pause_s = self._settings.max_pause_s
        await self._turn(address.endpoint, endpoint.pace, url)
        # Only now, so that nobody holds a connection's place while waiting for a turn. And only then runs the time:
        # who stands in a long queue of our own making has not been failed by the server.
        async with endpoint.pace.connections, asyncio.timeout(self._settings.total_timeout_s):
            meter = current_meter()
            endpoint.requests += 1
            if meter is not None:
                meter.requests += 1
            async with (
                request_to(address.endpoint) as answered,
                endpoint.client.stream("GET", url, headers=headers | cache_headers()) as response,
            ):
                answered(response.status_code)
                try:
                    if response.status_code in endpoint.slow_down:
                        endpoint.pace.overloaded(pause_asked_for_s(response, longest_pause_s))
                    if response.status_code >= 300:
                        await read_to_end(response)
                    try:
                        raise_for_status(response, shown(url), longest_pause_s)
                    except UpstreamError as error:
                        error.is_about_package &= response.status_code not in endpoint.slow_down
                        raise _of(address.endpoint, error) from None
                    yield response
                    endpoint.pace.succeeded()
                finally:
                    step()
                    endpoint.received_bytes += response.num_bytes_downloaded
                    RECEIVED_BYTES.labels(address.endpoint).inc(response.num_bytes_downloaded)
                    if meter is not None:
                        meter.received_bytes += response.num_bytes_downloaded

    async def _turn(self, name: str, pace: Pace, url: str) -> None:
        pause_s = pace.pause_s()
        if pause_s > self._settings.max_retry_after_s:
            message = f"{shown(url)} is not asked for {pause_s:.0f} s, as its registry wishes"
            raise _of(name, RateLimited(message, url=shown(url), delay_s=pause_s))
        if pause_s > 0:
            await self._sleep(pause_s)
        wait_s = pace.wait_s()
        if wait_s > self._settings.total_timeout_s:
            raise RateLimited(f"the turn of {shown(url)} comes in {wait_s:.0f} s", url=shown(url), delay_s=wait_s)
        async with pace.line:
            step()
            if (wait_s := await pace.turn()) > 0:
                await self._sleep(wait_s)

    def _endpoint(self, name: str) -> _OpenEndpoint:
        if name not in self._endpoints:
            self._endpoints[name] = self._make_endpoint(name, _UNLISTED_RATE, _UNLISTED_CONNECTIONS)
        return self._endpoints[name]

    def _make_endpoint(self, name: str, rate: float, connections: float) -> _OpenEndpoint:
        settings = self._settings
        limit = settings.max_connections
        client = httpx.AsyncClient(
            http2=True,
            verify=self._ssl_context,
            headers={
                "User-Agent": f"securechain-ingest/{__version__} (+{settings.contact})",
                "Accept-Encoding": "gzip",
            },
            timeout=httpx.Timeout(settings.timeout_s),
            limits=httpx.Limits(max_connections=limit, max_keepalive_connections=limit),
            follow_redirects=False,
            # Registries need none, and one that is kept costs time with every request.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        )
        turns = self._shared(name) if self._shared is not None else None
        pace = Pace(rate, self._connections(connections), self._clock, turns)
        return _OpenEndpoint(pace, client, self._slow_down.get(name, SLOW_DOWN))

    def _connections(self, configured: float) -> int:
        """Requests at once: never more than connections, for those would wait where nobody counts them."""
        return int(min(configured, self._settings.max_connections))

    def _refuse_remembered(self, url: str) -> None:
        if not is_uncached() and self._not_found.get(url, float("-inf")) > self._clock():
            raise NotFound(f"{shown(url)} does not exist (asked before)", url=shown(url))

    def _remember_not_found(self, url: str) -> None:
        if is_uncached():
            return  # What is asked for in this way was there a moment ago, or is not there for all to know.
        self._not_found[url] = self._clock() + self._settings.not_found_ttl_s
        self._not_found.move_to_end(url)
        if len(self._not_found) > _REMEMBERED_NOT_FOUND:
            self._not_found.popitem(last=False)


def _of(endpoint: str, error: E) -> E:
    """The error, which says whose answer it is."""
    error.endpoint = endpoint
    return error
