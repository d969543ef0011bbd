"""What an HTTP answer means: the errors that statuses stand for, waits, validators, ranges, bounded bodies."""

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
    """403 and its like: to everyone else Unavailable; the client alone tells it apart, not to insist at once."""


def raise_for_status(response: httpx.Response, url: str, longest_pause_s: float) -> None:
    """Raise the error that a status of 400 and above stands for (registries.md, section 1).

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
    """Seconds in which the server wants no further request, at most `longest_pause_s`; 0 if it does not say."""
    return _retry_after_s(response, longest_pause_s) or 0.0


def _retry_after_s(response: httpx.Response, longest_pause_s: float) -> float | None:
    asked_s = retry_after_s(response.headers.get("retry-after"), response.headers.get("date"))
    return None if asked_s is None else min(asked_s, longest_pause_s)


def require_document(response: httpx.Response, url: str) -> None:
    """Raise Malformed for a success without a whole document in it, which would pass for an empty or short one."""
    if response.status_code not in {200, 203}:
        raise Malformed(f"{url} answered with status {response.status_code} instead of a document", url=url)


def retry_after_s(value: str | None, sent_at: str | None = None) -> float | None:
    """Retry-After in seconds, whether it is written as seconds or as a date; None if absent or neither.

    A date counts from `sent_at`, the answer's own Date, so that two clocks need not agree; else from now.
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
    except (ValueError, OverflowError, TypeError):  # whatever a date of 5,000 digits or without a day makes of it
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def wait_before_retry_s(attempt: int, error: UpstreamError, longest_asked_s: float) -> float | None:
    """The wait of `waits` on top of what the server asked for, in seconds; `attempt` counts from 0.

    None: another try would be of no use now, or the server asked for more than `longest_asked_s`.
    """
    asked_s = error.delay_s or 0.0 if isinstance(error, RateLimited) else 0.0
    if isinstance(error, Refused) or asked_s > longest_asked_s:
        return None
    return asked_s + _WAITS.after(attempt + 1)


def validator_of(response: httpx.Response) -> str | None:
    """What `conditional_headers` sends next time: the ETag (which begins with a quote or W/), else Last-Modified."""
    validator: str | None = response.headers.get("etag") or response.headers.get("last-modified")
    return validator


def conditional_headers(validator: str | None) -> dict[str, str]:
    if validator is None:
        return {}
    is_tag = validator.startswith(('"', "W/"))
    return {"If-None-Match" if is_tag else "If-Modified-Since": validator}


def range_of(response: httpx.Response, url: str, first: int, last: int) -> tuple[int, int, int]:
    """(first, last, size) of a 206. Raises Malformed if it is not what was asked for."""
    match = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
    if match is None:
        raise Malformed(f"{url} answered a range without saying which", url=url)
    got_first, got_last, size = (int(number) for number in match.groups())
    if got_first != first or got_last != min(last, size - 1):
        raise Malformed(f"{url} answered bytes {got_first}-{got_last} when asked for {first}-{last}", url=url)
    return got_first, got_last, size


async def bounded_body(response: httpx.Response, url: str, limit_bytes: int) -> AsyncIterator[bytes]:
    """The body as it comes, in pieces of at most 64 KiB. Raises TooLarge before anything is read if that much is
    declared, else as soon as more than `limit_bytes` came."""
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
    """Read what nobody wants: the connection of an answer that is not read to its end cannot be used again.

    That is worth no more than 64 KiB, and a failure on the way changes nothing about what the status said.
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
    """The body, decompressed; `limit_bytes` bounds what comes as well as what it expands to, `lease` all documents.

    `watch` sees the pieces as they come. Decompression is done here and not by httpx, so that a bomb is cut off within
    one piece. Raises TooLarge; Malformed for a damaged stream; NoRoomInTime.
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
            raise Malformed(f"{url} is damaged: its gzip stream does not decompress", url=url) from error
        left -= len(data)
        if left < 0:
            raise TooLarge(f"{url} expands to more than {limit_bytes} bytes", url=url)
        await lease.grow_to(limit_bytes - left)
        if unpack.unused_data:
            raise Malformed(f"{url} is damaged: something follows its gzip stream", url=url)
        expanded.append(data)
    if not unpack.eof:
        raise Malformed(f"{url} is damaged: its gzip stream ends too early", url=url)
    return b"".join(expanded)
