"""These are failures on demand: rules that a test adds, and what each does to a response."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase

from tests.registry_server.resources import IncomingRequest, MadeResponse


class FaultKind(StrEnum):
    """This is what goes wrong."""

    STATUS = "status"
    """The answer is `status` instead of the document, with `retry_after` if given."""
    HTML = "html"
    """The answer is a page of a proxy, with status 200."""
    TRUNCATED = "truncated"
    """The answer is half of the body, as if that were all of it."""
    BODY = "body"
    """The answer is `body` with the headers of the right one, as if it were that; without its digest, unless
    `keeps_digest`.
    """
    NO_DIGEST = "no-digest"
    """The answer lacks the header that tells the digest."""
    CORRUPT_GZIP = "corrupt-gzip"
    """The answer is a body that claims to be gzip and breaks in the middle."""
    WRONG_CONTENT_RANGE = "wrong-content-range"
    """The answer is a 206 whose Content-Range and bytes are others than those asked for."""
    IGNORED_RANGE = "ignored-range"
    """The answer is the whole file with status 200 where a range was asked for."""
    DROP = "drop"
    """The connection closes before the response, or after `after_bytes` of the body."""
    STALL = "stall"
    """Nothing comes any more, before the response or after `after_bytes` of the body; the connection stays open."""
    SLOW = "slow"
    """The body comes in ten pieces, `pause_s` before each."""


@dataclass(frozen=True, slots=True)
class Fault:
    """This is one rule. `path` is a shell pattern for the percent-encoded path; `times` None means for ever."""

    path: str
    kind: FaultKind
    times: int | None = 1
    status: int = 503
    retry_after: str | None = None
    after_bytes: int | None = None
    body: bytes = b""
    keeps_digest: bool = False
    pause_s: float = 0.1
    endpoint: str | None = None
    """This is the only endpoint that it applies to; None means that it applies to all."""

    def meets(self, request: IncomingRequest) -> bool:
        return self.endpoint in (None, request.endpoint) and fnmatchcase(request.path, self.path)


class Faults:
    """These are the rules in force; the first that matches a request applies.

    They may be changed from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[tuple[Fault, int | None]] = []

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._rules.append((fault, fault.times))

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()

    def take(self, request: IncomingRequest) -> Fault | None:
        """Return the rule for this request, used up by one."""
        if not self._rules:
            return None
        with self._lock:
            for position, (fault, left) in enumerate(self._rules):
                if fault.meets(request):
                    if left == 1:
                        del self._rules[position]
                    elif left is not None:
                        self._rules[position] = (fault, left - 1)
                    return fault
        return None


def without_range(fault: Fault | None, request: IncomingRequest) -> IncomingRequest:
    """Return the request as a server sees it that ignores ranges."""
    if fault is None or fault.kind is not FaultKind.IGNORED_RANGE:
        return request
    return replace(request, headers={name: text for name, text in request.headers.items() if name != "range"})


def spoil(fault: Fault, response: MadeResponse) -> MadeResponse:
    """Return the response with what is wrong in its content; faults of the connection are the protocol's business."""
    match fault.kind:
        case FaultKind.STATUS:
            wait = () if fault.retry_after is None else (("Retry-After", fault.retry_after),)
            return MadeResponse(fault.status, (("Content-Type", "text/plain"), *wait), b"made to fail")
        case FaultKind.HTML:
            return MadeResponse(200, (("Content-Type", "text/html"),), b"<html><body>Please log in.</body></html>")
        case FaultKind.TRUNCATED:
            return replace(response, body=response.body[: len(response.body) // 2])
        case FaultKind.BODY:
            left_out = {"Content-Encoding"} | (set() if fault.keeps_digest else {"Repr-Digest"})
            headers = tuple(pair for pair in response.headers if pair[0] not in left_out)
            return MadeResponse(200, headers, fault.body)
        case FaultKind.NO_DIGEST:
            return replace(response, headers=tuple(pair for pair in response.headers if pair[0] != "Repr-Digest"))
        case FaultKind.CORRUPT_GZIP:
            headers = tuple(pair for pair in response.headers if pair[0] != "Content-Encoding")
            return MadeResponse(response.status, (*headers, ("Content-Encoding", "gzip")), _broken_gzip(response.body))
        case FaultKind.WRONG_CONTENT_RANGE:
            headers = tuple(pair for pair in response.headers if pair[0] != "Content-Range")
            return replace(response, headers=(*headers, ("Content-Range", f"bytes 0-0/{len(response.body) + 1}")))
        case _:
            return response


def _broken_gzip(body: bytes) -> bytes:
    """Return a right magic number and flags, then bytes that no inflater accepts (block type 3)."""
    return b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + b"\xff" * max(16, len(body) // 2)
