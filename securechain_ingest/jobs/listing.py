"""This module reads a registry's whole list into Redis, page by page, and once for all jobs that want it within an
hour.

An interrupted reading continues after its last page if the registry allows that. Two jobs never read the same list at
the same time: the second one waits for the first.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import anyio
import structlog
from redis.asyncio import Redis
from redis.asyncio.lock import Lock
from redis.exceptions import LockError, RedisError

from securechain_ingest.errors import StoreError
from securechain_ingest.model import Ecosystem
from securechain_ingest.redis_errors import store_errors
from securechain_ingest.registries.feed import Feed, Listed, unpack
from securechain_ingest.runs import Run
from securechain_ingest.times import now_iso, seconds_since

_KEPT_WHILE_USED_S: Final = 7 * 86_400
_LOOK_EVERY_S: Final = 0.5

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Listing:
    """This is a list that has been read to its end."""

    id: str
    """Each reading of a list has an id of its own."""
    head: str
    """This is the feed's cursor at the moment before the reading began."""
    pages: int
    names: int
    key: str
    """This is the key of the Redis list of its pages. A job continues with the pages of its own reading while
    another job reads the list again."""

    async def page(self, redis: Redis, number: int) -> list[Listed]:
        """Return one page, counted from 0. Raise StoreError, also if Redis no longer has it."""
        with store_errors():
            raw: Any = await redis.lindex(self.key, number)
            # A job may take longer than the list is kept, and still needs it if it is interrupted.
            await redis.expire(self.key, _KEPT_WHILE_USED_S)
        if raw is None:
            raise StoreError(f"Redis no longer has page {number} of {self.key}; the next run reads the list again")
        return unpack(raw)


async def whole_listing(
    redis: Redis,
    key: str,
    feed: Feed,
    ecosystem: Ecosystem,
    run: Run,
    *,
    ttl_s: float,
    lease_s: float,
    reuse: str | None,
) -> Listing:
    """Return the list, which Redis keeps at `key`. It is read now unless there is one that is younger than `ttl_s`
    seconds or has the id `reuse`.

    It raises UpstreamError or StoreError; the pages that had been read by then are kept for the next attempt.
    """
    # This hash says which reading of the list is the newest and how far it is. Its pages are in lists of their own.
    async with _only_reader(redis, key, lease_s):
        held: dict[Any, Any] = await _meta(redis, key)
        is_there = bool(held) and await _has_pages(redis, key, held)
        if held.get("complete") and is_there and (held["id"] == reuse or seconds_since(held["complete"]) < ttl_s):
            return _listing(key, held)
        if held.get("complete") or not held.get("position") or not is_there:
            held = {"id": secrets.token_hex(8), "head": await feed.head(), "position": "", "pages": "0", "names": "0"}
            with store_errors():
                async with redis.pipeline() as pipeline:
                    pipeline.delete(key)
                    pipeline.hset(key, mapping=held)
                    await pipeline.execute()
        else:
            logger.info("listing_resumed", ecosystem=ecosystem.name, pages=int(held["pages"]))
        pages, names = int(held["pages"]), int(held["names"])
        async for page in feed.listing(held["position"]):
            pages, names = pages + 1, names + page.names
            held |= {"position": page.position, "pages": str(pages), "names": str(names)}
            await _add(redis, key, page.packed, held)
            run.metrics["names_listed"] = names
        held["complete"] = now_iso()
        with store_errors():
            await redis.hset(key, mapping=held)
        logger.info("listing_read", ecosystem=ecosystem.name, names=names)
        return _listing(key, held)


async def let_expire(redis: Redis, listing: Listing, ttl_s: float) -> None:
    """Let Redis delete the list after `ttl_s` seconds; until then other jobs may use it. It raises StoreError."""
    with store_errors():
        await redis.expire(listing.key, max(1, int(ttl_s)))


async def _has_pages(redis: Redis, key: str, held: dict[Any, Any]) -> bool:
    """Return whether all pages are still there. An empty list has none."""
    with store_errors():
        return bool(await redis.llen(_pages_key(key, held)) == int(held["pages"]))


async def _add(redis: Redis, key: str, packed: bytes, held: dict[Any, Any]) -> None:
    """Add a page and the position after it, both or neither."""
    with store_errors():
        async with redis.pipeline() as pipeline:
            pipeline.rpush(_pages_key(key, held), packed)
            pipeline.expire(_pages_key(key, held), _KEPT_WHILE_USED_S)
            pipeline.hset(key, mapping=held)
            await pipeline.execute()


@asynccontextmanager
async def _only_reader(redis: Redis, key: str, lease_s: float) -> AsyncIterator[None]:
    """Wait until no other job in any daemon reads this list, and let none begin to read it within the block."""
    lock = redis.lock(f"{key}:reader", timeout=lease_s, sleep=_LOOK_EVERY_S)
    with store_errors():
        await lock.acquire()
    renewal = asyncio.create_task(_renew(lock, lease_s), name=f"lease of {key}")
    try:
        yield
    finally:
        renewal.cancel()
        # A lock that expired while Redis was away may belong to another job by now: both write the same list.
        with anyio.CancelScope(shield=True), store_errors(), suppress(LockError):
            await lock.release()


async def _renew(lock: Lock, lease_s: float) -> None:
    while True:
        await anyio.sleep(lease_s / 3)
        try:
            await lock.reacquire()
        except RedisError as error:
            logger.warning("listing_lease_not_renewed", reason=f"{type(error).__name__}: {error}")


async def _meta(redis: Redis, key: str) -> dict[Any, Any]:
    with store_errors():
        held: Any = await redis.hgetall(key)
    return {field.decode(): value.decode() for field, value in held.items()}


def _listing(key: str, held: dict[Any, Any]) -> Listing:
    return Listing(held["id"], held["head"], int(held["pages"]), int(held["names"]), _pages_key(key, held))


def _pages_key(key: str, held: dict[Any, Any]) -> str:
    return f"{key}:{held['id']}"
