"""This module reads an HTTP answer: the error that its status stands for, its Retry-After, its validator, its range,
and its body, which it bounds in size."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
from isal import isal_zlib

from securechain_ingest.errors import Malformed, NotFound, RateLimited, TooLarge, Unavailable, UpstreamError
from securechain_ingest.http.budget import Lease
from securechain_ingest.waits import Waits

_WAITS = Waits(first_s=0.25, longest_s=8.0, jitter=1.0)
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19})")
_SECONDS = re.compile(r"[0-9]{1,9}")
_LENGTH = re.compile(r"[0-9]{1,19}")
_GZIP_WINDOW_BITS = 31
_PIECE_BYTES = 65_536
_WORTH_A_CONNECTION_BYTES = 65_536

_IsalError: type[Exception] = isal_zlib.error  # type: ignore[assignment]  # isal's stub takes the class for an instance


class Refused(Unavailable):
    """The server refuses the request, for example with status 403. All other code takes this for Unavailable. Only the
    client tells the two apart: it does not repeat a refused request at once."""


def raise_for_status(response: httpx.Response, url: str, longest_pause_s: float) -> None:
    """Raise the error that a status of 400 or more stands for (registries.md, section 1).

    A Retry-After counts for at most `longest_pause_s` seconds.
    """
    status = response.status_code
    if status < 400:
        return
    if status in {404, 410, 451}:
        raise NotFound(f"{url} does not exist (status {status})", url=url)
    delay_s = _retry_after_s(response, longest_pause_s)
    if status == 429 or (status == 503 and delay_s is not None):
        raise RateLimited(f"{url} asks for fewer requests (status {status})", url=url, delay_s=delay_s)
    if status == 416:
        asked = response.request.headers.get("range", "no range")
        raise Malformed(f"{url} does not have the range asked for, {asked} (status 416)", url=url)
    error = Unavailable if status >= 500 or status == 408 else Refused
    raise error(f"{url} could not be read (status {status})", url=url)


def pause_asked_for_s(response: httpx.Response, longest_pause_s: float) -> float:
    """Return for how many seconds the server wants no further request: at most `longest_pause_s`, and 0 if it does not
    say."""
    return _retry_after_s(response, longest_pause_s) or 0.0


def _retry_after_s(response: httpx.Response, longest_pause_s: float) -> float | None:
    asked_s = retry_after_s(response.headers.get("retry-after"), response.headers.get("date"))
    return None if asked_s is None else min(asked_s, longest_pause_s)


def require_document(response: httpx.Response, url: str) -> None:
    """Raise Malformed if the answer is a success that has no whole document in it. Such an answer would pass for an
    empty or a short document."""
    if response.status_code not in {200, 203}:
        raise Malformed(f"{url} answered with status {response.status_code} instead of a document", url=url)


def retry_after_s(value: str | None, sent_at: str | None = None) -> float | None:
    """Return the value of a Retry-After header in seconds. It may be a number of seconds or a date. Return None if it
    is absent or neither of them.

    A date counts from `sent_at`, which is the answer's own Date header, so that the two clocks need not agree. Without
    `sent_at` it counts from now.
    """
    if value is None:
        return None
    if _SECONDS.fullmatch(value.strip()):
        return float(value)
    moment = _moment(value)
    if moment is None:
        return None
    return max(0.0, (moment - (_moment(sent_at or "") or datetime.now(UTC))).total_seconds())


def _moment(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError, TypeError):  # A date of 5,000 digits or without a day raises one of these.
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def wait_before_retry_s(attempt: int, error: UpstreamError, longest_asked_s: float) -> float | None:
    """Return how many seconds to wait before the next attempt: the wait of `waits` in addition to what the server asked
    for. `attempt` counts from 0.

    Return None if another attempt would be of no use now, or if the server asked for more than `longest_asked_s`
    seconds.
    """
    asked_s = error.delay_s or 0.0 if isinstance(error, RateLimited) else 0.0
    if isinstance(error, Refused) or asked_s > longest_asked_s:
        return None
    return asked_s + _WAITS.after(attempt + 1)


def validator_of(response: httpx.Response) -> str | None:
    """Return the validator that `conditional_headers` sends with the next request: the ETag, which begins with a quote
    or W/. Without an ETag it is the Last-Modified."""
    validator: str | None = response.headers.get("etag") or response.headers.get("last-modified")
    return validator


def conditional_headers(validator: str | None) -> dict[str, str]:
    """Return the header by which a server answers 304 if its document still has this validator, an ETag or a
    Last-Modified. Without a validator there is none."""
    if validator is None:
        return {}
    is_tag = validator.startswith(('"', "W/"))
    return {"If-None-Match" if is_tag else "If-Modified-Since": validator}


def range_of(response: httpx.Response, url: str, first: int, last: int) -> tuple[int, int, int]:
    """Return (first, last, size) of an answer with status 206, in bytes. Raise Malformed if the range is not the one
    that was asked for."""
    match = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
    if match is None:
        raise Malformed(f"{url} answered a range without saying which", url=url)
    got_first, got_last, size = (int(number) for number in match.groups())
    if got_first != first or got_last != min(last, size - 1):
        raise Malformed(f"{url} answered bytes {got_first}-{got_last} when asked for {first}-{last}", url=url)
    return got_first, got_last, size


async def bounded_body(response: httpx.Response, url: str, limit_bytes: int) -> AsyncIterator[bytes]:
    """Yield the body as it arrives, in pieces of at most 64 KiB.

    Raise TooLarge before anything is read if the server declares more than `limit_bytes`; otherwise raise it as soon as
    more than `limit_bytes` have arrived.
    """
    declared = response.headers.get("content-length", "")
    if _LENGTH.fullmatch(declared) and int(declared) > limit_bytes:
        raise TooLarge(f"{url} has {declared} bytes; at most {limit_bytes} are read", url=url)
    received = 0
    async for piece in response.aiter_raw(_PIECE_BYTES):
        received += len(piece)
        if received > limit_bytes:
            raise TooLarge(f"{url} has more than {limit_bytes} bytes", url=url)
        yield piece


async def read_to_end(response: httpx.Response) -> None:
    """Read a body that nobody needs, because the connection of an answer that is not read to its end cannot be used
    again.

    At most 64 KiB are read, since a connection is worth no more. A failure meanwhile is ignored, because it does not
    change what the status said.
    """
    received = 0
    with suppress(httpx.TransportError):
        async for piece in response.aiter_raw():
            received += len(piece)
            if received > _WORTH_A_CONNECTION_BYTES:
                return


async def bounded_document(
    response: httpx.Response,
    url: str,
    limit_bytes: int,
    lease: Lease,
    watch: Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]],
) -> bytes:
    """Return the decompressed body. `limit_bytes` bounds the bytes that arrive as well as the bytes that they expand
    to. `lease` takes room for the document from the budget of all documents.

    `watch` is given the pieces as they arrive. This function decompresses and httpx does not, so that a decompression
    bomb is cut off within one piece. It raises TooLarge and NoRoomInTime; Malformed for a compression that was not
    asked for; and Unavailable if the stream is damaged, because that says nothing about the document: another attempt
    may bring it whole.
    """
    pieces = watch(bounded_body(response, url, limit_bytes))
    encoding = response.headers.get("content-encoding", "identity").lower()
    if encoding == "identity":
        received: list[bytes] = []
        size = 0
        async for piece in pieces:
            size += len(piece)
            await lease.grow_to(size)
            received.append(piece)
        return b"".join(received)
    if encoding not in {"gzip", "x-gzip"}:
        raise Malformed(f"{url} is compressed with {encoding}, which was not asked for", url=url)
    unpack = isal_zlib.decompressobj(_GZIP_WINDOW_BITS)
    expanded: list[bytes] = []
    left = limit_bytes
    async for piece in pieces:
        try:
            data = unpack.decompress(piece, left + 1)
        except _IsalError as error:
            raise Unavailable(f"{url} is damaged: its gzip stream does not decompress", url=url) from error
        left -= len(data)
        if left < 0:
            raise TooLarge(f"{url} expands to more than {limit_bytes} bytes", url=url)
        await lease.grow_to(limit_bytes - left)
        if unpack.unused_data:
            raise Unavailable(f"{url} is damaged: something follows its gzip stream", url=url)
        expanded.append(data)
    if not unpack.eof:
        raise Unavailable(f"{url} is damaged: its gzip stream ends too early", url=url)
    return b"".join(expanded)
