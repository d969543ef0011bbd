"""This speaks HTTP/1.1 on an asyncio transport; it is small enough never to be what a benchmark measures.

A request that needs no waiting is answered in the call that delivered its bytes: no task, no framework. Requests of one
connection are answered in turn, as the protocol demands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

from tests.registry_server.faults import Fault, FaultKind, Faults, spoil, without_range
from tests.registry_server.resources import IncomingRequest, MadeResponse, Resource, answer

HEAD_LIMIT_BYTES = 65_536
PIECES_OF_SLOW_BODY = 10

REASONS = {status.value: status.phrase for status in HTTPStatus}


class Host(Protocol):
    """This is what a connection needs of the server that it belongs to."""

    faults: Faults
    latency_s: float
    connections: set[ServerConnection]

    def find(self, request: IncomingRequest) -> Resource: ...

    def record(self, request: IncomingRequest, resource: Resource, status: int, bytes_sent: int) -> None: ...


@dataclass(slots=True)
class _Delivery:
    """This is a response on its way out."""

    head: bytes
    body: bytes
    fault: Fault | None
    close: bool


class ServerConnection(asyncio.Protocol):
    """This is one client's connection to one endpoint."""

    def __init__(self, host: Host, endpoint: str) -> None:
        self._host = host
        self._endpoint = endpoint
        self._received = bytearray()
        self._waiting = False
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._host.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._host.connections.discard(self)

    def abort(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._serve_next()

    def _serve_next(self) -> None:
        if self._waiting or self._transport.is_closing():
            return
        request = self._read_request()
        if request is None:
            return
        self._waiting = True
        if self._host.latency_s:
            self._loop.call_later(self._host.latency_s, self._respond, request)
        else:
            self._respond(request)

    def _read_request(self) -> IncomingRequest | None:
        """Return the next whole request of the bytes received, taken out of them; None while it is incomplete."""
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            if len(self._received) > HEAD_LIMIT_BYTES:
                self._transport.abort()
            return None
        first, *lines = self._received[:end].decode("latin-1").split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        after_body = end + 4 + int(headers.get("content-length", "0"))
        if len(self._received) < after_body:
            return None
        del self._received[:after_body]
        method, target, _version = first.split(" ")
        return IncomingRequest(self._endpoint, method, target, headers)

    def _respond(self, request: IncomingRequest) -> None:
        if self._transport.is_closing():
            return
        resource = self._host.find(request)
        fault = self._host.faults.take(request)
        response = answer(resource, without_range(fault, request))
        if fault is not None:
            response = spoil(fault, response)
        close = request.headers.get("connection", "").lower() == "close"
        body = b"" if request.method == "HEAD" else response.body
        # Recorded before it is sent: whoever has the answer finds the request in the records.
        self._host.record(request, resource, response.status, _bytes_sent(body, fault))
        self._deliver(_Delivery(_head(response, close=close), body, fault, close))

    def _deliver(self, delivery: _Delivery) -> None:
        fault = delivery.fault
        if fault is not None and fault.kind in {FaultKind.DROP, FaultKind.STALL}:
            self._break_off(delivery, fault)
        elif fault is not None and fault.kind is FaultKind.SLOW:
            self._transport.write(delivery.head)
            size = max(1, -(-len(delivery.body) // PIECES_OF_SLOW_BODY))
            pieces = [delivery.body[start : start + size] for start in range(0, len(delivery.body), size)]
            self._deliver_slowly(pieces, fault.pause_s, lambda: self._finish(close=delivery.close))
        else:
            self._transport.writelines((delivery.head, delivery.body))
            self._finish(close=delivery.close)

    def _break_off(self, delivery: _Delivery, fault: Fault) -> None:
        """It stays "waiting" when stalled, so that nothing else is answered on this connection."""
        if fault.after_bytes is not None:
            self._transport.write(delivery.head + delivery.body[: fault.after_bytes])
            if fault.kind is FaultKind.DROP:
                self._transport.close()
        elif fault.kind is FaultKind.DROP:
            self._transport.abort()

    def _deliver_slowly(self, pieces: list[bytes], pause_s: float, finish: Callable[[], None]) -> None:
        if self._transport.is_closing():
            return
        if not pieces:
            finish()
            return

        def write_and_go_on() -> None:
            self._transport.write(pieces[0])
            self._deliver_slowly(pieces[1:], pause_s, finish)

        self._loop.call_later(pause_s, write_and_go_on)

    def _finish(self, *, close: bool) -> None:
        self._waiting = False
        if close:
            self._transport.close()
        elif self._received:
            self._loop.call_soon(self._serve_next)


def _bytes_sent(body: bytes, fault: Fault | None) -> int:
    if fault is None or fault.kind not in {FaultKind.DROP, FaultKind.STALL}:
        return len(body)
    return min(len(body), fault.after_bytes or 0)


def _head(response: MadeResponse, *, close: bool) -> bytes:
    lines = [f"HTTP/1.1 {response.status} {REASONS.get(response.status, 'Unknown')}"]
    lines.extend(f"{name}: {value}" for name, value in response.headers)
    if response.status != 304:
        lines.append(f"Content-Length: {len(response.body)}")
    if close:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
