"""What an HTTP answer means: the errors that statuses stand for, waits, validators, ranges, bounded bodies."""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from securechain_ingest.errors import Malformed, NotFound, RateLimited, TooLarge, Unavailable, UpstreamError

_FIRST_WAIT_S = 0.25
_LONGEST_WAIT_S = 8.0
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


def raise_for_status(response: httpx.Response, url: str) -> None:
    """Raise the error that a status of 400 and above stands for (registries.md, section 1)."""
    status = response.status_code
    if status in {404, 410, 451}:
        raise NotFound(f"{url} does not exist (status {status})", url=url)
    delay_s = retry_after_s(response.headers.get("retry-after"))
    if status == 429 or (status == 503 and delay_s is not None):
        raise RateLimited(f"{url} asks for fewer requests (status {status})", url=url, delay_s=delay_s)
    if status == 416:
        raise Malformed(f"{url} does not have the range asked for (status 416)", url=url)
    if status >= 400:
        raise Unavailable(f"{url} could not be read (status {status})", url=url)


def retry_after_s(value: str | None) -> float | None:
    """Retry-After in seconds, whether it is written as seconds or as a date; None if absent or neither."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (moment.astimezone(UTC) - datetime.now(UTC)).total_seconds())


def wait_before_retry_s(attempt: int, error: UpstreamError) -> float:
    """Full jitter over a doubling wait, on top of what the server asked for; `attempt` counts from 0."""
    asked_s = error.delay_s or 0.0 if isinstance(error, RateLimited) else 0.0
    return asked_s + random.uniform(0, min(_FIRST_WAIT_S * 2**attempt, _LONGEST_WAIT_S))


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
    """The body, decompressed. Raises TooLarge as soon as more than `limit_bytes` were read or come out of it.

    Decompression is done here and not by httpx, so that a bomb is cut off within one piece of 64 KiB.
    """
    declared = response.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit_bytes:
        raise TooLarge(f"{url} has {declared} bytes; at most {limit_bytes} are read", url=url)
    encoding = response.headers.get("content-encoding", "identity").lower()
    if encoding not in {"identity", "gzip", "x-gzip"}:
        raise Malformed(f"{url} is compressed with {encoding}, which was not asked for", url=url)
    unpack = zlib.decompressobj(wbits=31) if encoding != "identity" else None
    received = expanded = 0
    async for piece in response.aiter_raw(65_536):
        received += len(piece)
        if received > limit_bytes:
            raise TooLarge(f"{url} has more than {limit_bytes} bytes", url=url)
        if unpack is None:
            yield piece
            continue
        try:
            data = unpack.decompress(piece, limit_bytes - expanded + 1)
        except zlib.error as error:
            raise Malformed(f"{url} is damaged: its gzip stream does not decompress", url=url) from error
        expanded += len(data)
        if expanded > limit_bytes:
            raise TooLarge(f"{url} expands to more than {limit_bytes} bytes", url=url)
        yield data
    if unpack is not None and received and not unpack.eof:
        raise Malformed(f"{url} is damaged: its gzip stream ends too early", url=url)
