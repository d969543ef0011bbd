"""This is the one HTTP client of the process. It keeps to the servers' limits, bounds all that it reads, and raises an
exact error for each failure (registries.md, section 1)."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
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
from securechain_ingest.http.endpoints import SLOW_DOWN, BaseUrls
from securechain_ingest.http.flights import Flights
from securechain_ingest.http.freshness import cache_headers, is_uncached
from securechain_ingest.http.metering import current_meter
from securechain_ingest.http.pace import Pace, SharedTurns
from securechain_ingest.http.routes import Address, Routes, redirect_target, refuse_plain_text, shown
from securechain_ingest.http.transport import transport_of_the_environment
from securechain_ingest.metrics import ENDPOINT_RATE, RECEIVED_BYTES, request_to
from securechain_ingest.progress import step
from securechain_ingest.settings import DerivedTable, HttpSettings

T = TypeVar("T")
E = TypeVar("E", bound=UpstreamError)

_MAX_REDIRECTS = 5
_REMEMBERED_NOT_FOUND = 50_000
_UNLISTED_RATE = 5.0
_UNLISTED_CONNECTIONS = 4
"""These two limits are for each of the hosts of `[http] allowed_hosts`, which have no settings of their own."""

_IDENTITY = {"Accept-Encoding": "identity"}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Response:
    """This is a document. As long as any code holds it, it takes its share of `[http] max_in_flight_bytes`."""

    body: bytes
    """The body is decompressed. It is empty when `not_modified` is true."""
    validator: str | None
    """The next request for the same document sends this."""
    not_modified: bool
    headers: Mapping[str, str]
    """The keys are in lower case."""
    url: str
    """This is the URL after all redirects."""


@dataclass(frozen=True, slots=True)
class Range:
    """This is a part of an artifact: `data` begins at offset `first`, and the whole artifact has `size` bytes."""

    data: bytes
    first: int
    size: int
    headers: Mapping[str, str] = field(default_factory=dict, compare=False)
    """The keys are in lower case."""


@dataclass(slots=True)
class _OpenEndpoint:
    pace: Pace
    transport: httpx.AsyncBaseTransport
    slow_down: frozenset[int]


class HttpClient:
    """The client is a context manager. Its methods that send requests raise UpstreamError only, and never return an
    empty result instead of an error.

    `sleep` waits and `clock` tells the time, both in seconds; tests pass in other ones. `slow_down` gives, by endpoint,
    the statuses by which an endpoint asks for fewer requests, where they are not the usual ones. `shared` returns the
    turns of an endpoint that other processes ask, too.
    """

    def __init__(
        self,
        http: HttpSettings,
        endpoints: BaseUrls,
        rates: DerivedTable[float],
        connections: DerivedTable[float],
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
        self._timeout = httpx.Timeout(http.timeout_s).as_dict()
        self._headers = {
            "User-Agent": f"securechain-ingest/{__version__} (+{http.contact})",
            "Accept": "*/*",
            "Accept-Encoding": "gzip",
        }
        self._endpoints = {name: self._make_endpoint(name, rates[name], connections[name]) for name in self._own}
        self._flights: Flights[Response] = Flights()
        # This is half of a request's time, so that NoRoom comes before the timeout that blames the server.
        self._budget = Budget(http.max_in_flight_bytes, http.max_document_bytes, http.total_timeout_s / 2)
        self._not_found: OrderedDict[str, float] = OrderedDict()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for endpoint in self._endpoints.values():
            await endpoint.transport.aclose()

    def apply(self, rates: DerivedTable[float], connections: DerivedTable[float]) -> None:
        """Apply new limits to the requests that are made from now on."""
        for name in self._own:
            self._endpoints[name].pace.apply(rates[name], self._connections(connections[name]))

    def url(self, endpoint: str, path: str) -> str:
        """Return the URL of `path` below an endpoint's base URL. `path` is already encoded as it is to be sent."""
        return f"{self._bases[endpoint]}/{path.lstrip('/')}"

    async def get(
        self, url: str, *, accept: str | None = None, validator: str | None = None, limit_bytes: int | None = None
    ) -> Response:
        """Return a whole document. Concurrent calls for the same document share one request.

        If `validator`, which an earlier Response had, still holds, the answer is `not_modified`. A URL that was not
        found is not asked again for `[http] not_found_ttl_s` seconds, unless the work under way is `uncached`. A body
        that does not have the digest that the server declares raises Unavailable.
        """
        limit = min(limit_bytes or self._settings.max_document_bytes, self._budget.largest_bytes)

        async def fetch() -> Response:
            return await self._retrying(url, lambda: self._document(url, accept, validator, limit))

        return await self._flights.join((url, accept, validator, limit, is_uncached()), fetch)

    async def get_range(self, url: str, first: int, last: int) -> Range | None:
        """Return the bytes from `first` to `last`, both included; they are fewer if the artifact ends before. Return
        None if the server ignores ranges."""
        headers = _IDENTITY | {"Range": f"bytes={first}-{last}"}
        return await self._retrying(url, lambda: self._part(url, headers, first, last))

    async def download(self, url: str, file: BinaryIO, *, limit_bytes: int | None = None) -> int:
        """Stream an artifact, as the server sends it, into `file` from the file's beginning. Return the number of its
        bytes."""
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
        """Make further attempts after errors that another attempt may mend. If a Retry-After is longer than
        `max_retry_after_s`, raise the error at once, because then the message waits in the queue."""
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
        """Yield the answer to one request after its redirects, and its URL. Its body is not read yet."""
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
        """Yield the answer of one server. The time for the whole of it is limited. The body of an answer without a
        document is read to its end."""
        step()
        endpoint, url = self._endpoint(address.endpoint), address.url
        longest_pause_s = self._settings.max_pause_s
        await self._turn(address.endpoint, endpoint.pace, url)
        # The connection is taken only now, so that no request holds one while it waits for its turn.
        # The time runs only from then on, because the server is not to blame for a long queue in this process.
        async with endpoint.pace.connections, asyncio.timeout(self._settings.total_timeout_s):
            meter = current_meter()
            if meter is not None:
                meter.requests += 1
            async with (
                request_to(address.endpoint) as answered,
                self._answer(endpoint.transport, url, headers | cache_headers()) as response,
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
                    RECEIVED_BYTES.labels(address.endpoint).inc(response.num_bytes_downloaded)
                    if meter is not None:
                        meter.received_bytes += response.num_bytes_downloaded

    @asynccontextmanager
    async def _answer(
        self, transport: httpx.AsyncBaseTransport, url: str, headers: dict[str, str]
    ) -> AsyncIterator[httpx.Response]:
        """Yield a server's answer. Its body is not read yet."""
        request = httpx.Request("GET", url, headers=self._headers | headers, extensions={"timeout": self._timeout})
        if request.url.userinfo:
            next(httpx.BasicAuth(request.url.username, request.url.password).auth_flow(request))
        response = await transport.handle_async_request(request)
        response.request = request
        try:
            yield response
        finally:
            await response.aclose()

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
        transport = transport_of_the_environment(self._ssl_context, self._settings.max_connections)
        turns = self._shared(name) if self._shared is not None else None
        pace = Pace(rate, self._connections(connections), self._clock, turns, endpoint=name)
        ENDPOINT_RATE.labels(name).set_function(lambda: pace.rate)
        return _OpenEndpoint(pace, transport, self._slow_down.get(name, SLOW_DOWN))

    def _connections(self, configured: float) -> int:
        """Return how many requests may run at once. They are never more than the connections, because further requests
        would wait inside httpx, where the pace does not count them."""
        return int(min(configured, self._settings.max_connections))

    def _refuse_remembered(self, url: str) -> None:
        if not is_uncached() and self._not_found.get(url, float("-inf")) > self._clock():
            raise NotFound(f"{shown(url)} does not exist (asked before)", url=shown(url))

    def _remember_not_found(self, url: str) -> None:
        if is_uncached():
            return  # The document was there a moment ago, so that this may not last, or its absence is known already.
        self._not_found[url] = self._clock() + self._settings.not_found_ttl_s
        self._not_found.move_to_end(url)
        if len(self._not_found) > _REMEMBERED_NOT_FOUND:
            self._not_found.popitem(last=False)


def _of(endpoint: str, error: E) -> E:
    """Return the error, with the endpoint set whose answer it is."""
    error.endpoint = endpoint
    return error
