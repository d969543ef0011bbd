"""This is what one URL holds, and the HTTP answer to one request for it: conditional, compressed, ranged."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import orjson

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class IncomingRequest:
    """This is one request as it arrived; header names are lower-case."""

    endpoint: str
    method: str
    target: str
    headers: Mapping[str, str]

    @property
    def path(self) -> str:
        """Return the path as sent, still percent-encoded, without the query."""
        return self.target.partition("?")[0]

    @property
    def accept(self) -> str:
        return self.headers.get("accept", "*/*")


@dataclass(frozen=True, slots=True)
class Resource:
    """This is everything that is known about a URL before anybody asks for it, so that a request costs next to
    nothing.
    """

    body: bytes
    content_type: str
    status: int = 200
    headers: Headers = ()
    etag: str | None = None
    gzipped: bytes | None = None
    ranges: bool = False
    defect: str | None = None
    """This says why a client that asks for this does not do as the registry wishes."""


@dataclass(frozen=True, slots=True)
class MadeResponse:
    status: int
    headers: Headers
    body: bytes


Site = Callable[[IncomingRequest], Resource]
"""This is one endpoint: every path has an answer, if only `missing`."""


def document(body: bytes, content_type: str = "application/json", headers: Headers = ()) -> Resource:
    """Return a text that is offered compressed."""
    return Resource(
        body,
        content_type,
        headers=(*headers, ("Vary", "Accept, Accept-Encoding"), ("Cache-Control", "max-age=600, public")),
        etag=_etag(body),
        gzipped=gzip.compress(body, 1, mtime=0),
    )


def json_document(value: object, content_type: str = "application/json", headers: Headers = ()) -> Resource:
    return document(orjson.dumps(value), content_type, headers)


def archive(body: bytes, content_type: str = "application/octet-stream") -> Resource:
    """Return a file that never changes and can be read in parts."""
    return Resource(
        body,
        content_type,
        headers=(("Accept-Ranges", "bytes"), ("Cache-Control", "max-age=365000000, immutable, public")),
        etag=_etag(body),
        ranges=True,
    )


def missing(defect: str | None = None) -> Resource:
    return Resource(b'{"message": "Not Found"}', "application/json", 404, defect=defect)


def redirect(location: str, defect: str | None = None) -> Resource:
    return Resource(b"", "text/html", 301, headers=(("Location", location),), defect=defect)


def answer(resource: Resource, request: IncomingRequest) -> MadeResponse:
    """Return the response of a well-behaved server; suffix and multiple ranges get the 501 that PyPI's file host
    gave.
    """
    if request.method not in {"GET", "HEAD"}:
        return MadeResponse(405, (("Allow", "GET, HEAD"),), b"")
    content_type = ("Content-Type", resource.content_type)
    if resource.status != 200 or resource.etag is None:
        return MadeResponse(resource.status, (content_type, *resource.headers), resource.body)
    headers = (content_type, ("ETag", resource.etag), *resource.headers)
    if resource.etag in request.headers.get("if-none-match", ""):
        return MadeResponse(304, headers[1:], b"")
    wanted_range = request.headers.get("range")
    if wanted_range is not None and resource.ranges:
        return _part(resource, wanted_range, headers)
    if resource.gzipped is not None and "gzip" in request.headers.get("accept-encoding", ""):
        return MadeResponse(200, (*headers, ("Content-Encoding", "gzip")), resource.gzipped)
    return MadeResponse(200, headers, resource.body)


def _part(resource: Resource, wanted_range: str, headers: Headers) -> MadeResponse:
    absolute = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted_range)
    if absolute is None:
        return MadeResponse(501, (("Content-Type", "text/plain"),), b"Unsupported client Range")
    size = len(resource.body)
    first = int(absolute[1])
    last = min(int(absolute[2] or size - 1), size - 1)
    if first > last:
        return MadeResponse(416, (("Content-Range", f"bytes */{size}"),), b"")
    return MadeResponse(
        206, (*headers, ("Content-Range", f"bytes {first}-{last}/{size}")), resource.body[first : last + 1]
    )


def _etag(body: bytes) -> str:
    return f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
