"""This module reads a registry's whole list into Redis, page by page, and once for all jobs that want it within an
hour.

An interrupted reading continues after its last page if the registry allows that. Two jobs never read the same list at
the same time: the second one waits for the first. A reading that needs files in its daemon's state directory is left to
the daemons that have these files, for an hour; then it begins anew, in whichever daemon.
"""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import anyio
import anyio.to_thread
import structlog
from redis.asyncio import Redis
from redis.asyncio.lock import Lock
from redis.exceptions import LockError, RedisError

from securechain_ingest.drivers.redis_errors import store_errors
from securechain_ingest.errors import StoreError
from securechain_ingest.model import Ecosystem
from securechain_ingest.queue.script import Script
from securechain_ingest.registries.feed import Feed, FolderFeed, Listed, unpack
from securechain_ingest.runs import Run, utc_now
from securechain_ingest.times import iso

_KEPT_WHILE_USED_S: Final = 7 * 86_400
_LOOK_EVERY_S: Final = 0.5

LEFT_TO_ITS_FOLDER_S: Final = 3600.0
"""A reading that was interrupted is left to the daemons that have its files for so many seconds."""

_OUTLIVED_KEPT_S: Final = 86_400.0
"""A list from before everything that the feed still tells is read again after so many seconds, whatever its registry
wishes: until then no change can be followed."""

_WORTH_WAITING_S: Final = 300.0
"""A list that becomes too old within so many seconds is waited for: a weekly job never comes at the same instant of
each week."""

_WRITE: Final = Script(
    """
if redis.call('HGET', meta, 'reader') ~= reader then return 0 end
if page ~= '' then
    -- The driver sends a page again if its answer was lost.
    if redis.call('LLEN', pages) < tonumber(number) then redis.call('RPUSH', pages, page) end
    redis.call('EXPIRE', pages, kept_s)
end
for i, name in ipairs(names) do redis.call('HSET', meta, name, values[i]) end
return 1
""",
    keys="meta pages",
    arguments="reader page number kept_s names* values*",
)
"""This writes how far a reading is, and a page if there is one. A reader whose lock ran out, so that another one has
taken its place since, writes nothing."""

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
    now: Callable[[], datetime] = utc_now,
) -> Listing:
    """Return the list, which Redis keeps at `key`. It is read now unless there is one that has the id `reuse`, was
    completed less than `ttl_s` seconds ago, or is so young that the registry wishes no other reading
    (`Ecosystem.listing_kept_s`, but a day at most for a list that is outlived).

    It raises UpstreamError or StoreError; the pages that had been read by then are kept for the next attempt. While an
    interrupted reading is left to other daemons it waits, for LEFT_TO_ITS_FOLDER_S at most.
    """
    # This hash says which reading of the list is the newest and how far it is. Its pages are in lists of their own.
    folder = await _folder(feed)
    while True:
        async with _only_reader(redis, key, lease_s, now):
            held = await _meta(redis, key)
            is_there = "id" in held and await _has_pages(redis, key, held)
            if _is_left_to_others(held, folder, now()):
                wait_s = _LOOK_EVERY_S
            else:
                wait_s = 0.0
                if held.get("complete") and is_there:
                    wait_s = _wait_s(held, ecosystem, now())
                    is_good = held["id"] == reuse or _is_good(held, ttl_s, now())
                    if is_good or wait_s > _WORTH_WAITING_S:
                        return _listing(key, held)
                if wait_s <= 0:
                    held = await _taken_over(redis, key)
                    if not is_there or not _goes_on(held, folder, now()):
                        held = await _begun(redis, key, feed, folder, held["reader"], now)
                    else:
                        logger.info("listing_resumed", ecosystem=ecosystem.name, pages=int(held["pages"]))
                    listing = await _read_on(redis, key, feed, run, held, now)
                    logger.info("listing_read", ecosystem=ecosystem.name, names=listing.names)
                    return listing
        await anyio.sleep(wait_s)


async def is_left_to_others(redis: Redis, key: str, feed: Feed, now: datetime) -> bool:
    """Return whether a reading of the list at `key` is left to daemons with another folder: it is under way there, or
    was interrupted less than LEFT_TO_ITS_FOLDER_S ago. It raises StoreError."""
    return _is_left_to_others(await _meta(redis, key), await _folder(feed), now)


async def _folder(feed: Feed) -> str:
    """Return the id of the folder that the feed's listing depends on, or "" if it goes on anywhere."""
    return await anyio.to_thread.run_sync(feed.folder_id) if isinstance(feed, FolderFeed) else ""


def _is_left_to_others(held: dict[Any, Any], folder: str, now: datetime) -> bool:
    if not held.get("folder") or held["folder"] == folder or held.get("complete"):
        return False
    return _age_s(held.get("alive"), now) < LEFT_TO_ITS_FOLDER_S


def _goes_on(held: dict[Any, Any], folder: str, now: datetime) -> bool:
    """Return whether a reading that was interrupted can go on behind its last page."""
    if held.get("complete") or not held.get("position") or held.get("folder", "") != folder:
        return False
    return not folder or _age_s(held.get("alive"), now) < LEFT_TO_ITS_FOLDER_S


async def _taken_over(redis: Redis, key: str) -> dict[Any, Any]:
    """Take the place of whoever has read the list before, and return how far that one is."""
    reader = secrets.token_hex(8)
    with store_errors():
        await redis.hset(key, "reader", reader)
    return await _meta(redis, key) | {"reader": reader}


async def _begun(
    redis: Redis, key: str, feed: Feed, folder: str, reader: str, now: Callable[[], datetime]
) -> dict[Any, Any]:
    """Begin a new reading, which is the newest from now on."""
    moment = iso(now(), "milliseconds")
    held: dict[Any, Any] = {"id": secrets.token_hex(8), "begun": moment, "folder": folder, "alive": moment}
    held["reader"] = reader
    held |= {"head": await feed.head(), "position": "", "pages": "0", "names": "0"}
    with store_errors():
        async with redis.pipeline() as pipeline:
            pipeline.delete(key)
            pipeline.hset(key, mapping=held)
            await pipeline.execute()
    return held


async def _read_on(
    redis: Redis, key: str, feed: Feed, run: Run, held: dict[Any, Any], now: Callable[[], datetime]
) -> Listing:
    pages, names = int(held["pages"]), int(held["names"])
    async for page in feed.listing(held["position"]):
        pages, names = pages + 1, names + page.names
        held |= {
            "position": page.position,
            "pages": str(pages),
            "names": str(names),
            "alive": iso(now(), "milliseconds"),
        }
        await _write(redis, key, held, page.packed)
        run.metrics["names_listed"] = names
    held["complete"] = iso(now(), "milliseconds")
    await _write(redis, key, held)
    return _listing(key, held)


async def note_outlived(
    redis: Redis, key: str, listing: Listing, ecosystem: Ecosystem, *, ttl_s: float, now: datetime
) -> bool:
    """Note that the feed does not know any more what has changed since the list was read. Return whether that is so
    long ago that `whole_listing` reads it again. It raises StoreError."""
    with store_errors():
        await redis.hset(key, "outlived", listing.id)
    held = await _meta(redis, key)
    return held.get("id") == listing.id and not _is_good(held, ttl_s, now) and _wait_s(held, ecosystem, now) <= 0


async def let_expire(redis: Redis, listing: Listing, ttl_s: float) -> None:
    """Let Redis delete the list after `ttl_s` seconds; until then other jobs may use it. It raises StoreError."""
    with store_errors():
        await redis.expire(listing.key, max(1, int(ttl_s)))


async def _has_pages(redis: Redis, key: str, held: dict[Any, Any]) -> bool:
    """Return whether all pages are still there. An empty list has none."""
    with store_errors():
        return bool(await redis.llen(_pages_key(key, held)) == int(held["pages"]))


async def _write(redis: Redis, key: str, held: dict[Any, Any], page: bytes = b"") -> None:
    """Add a page and the position after it, both or neither. Raise StoreError if another job reads the list now."""
    with store_errors():
        is_written = await _WRITE.run(
            redis,
            meta=key,
            pages=_pages_key(key, held),
            reader=held["reader"],
            page=page,
            number=held["pages"],
            kept_s=_KEPT_WHILE_USED_S,
            names=list(held),
            values=list(held.values()),
        )
    if not is_written:
        raise StoreError(f"another job has begun to read {key}, because Redis was away for too long")


@asynccontextmanager
async def _only_reader(redis: Redis, key: str, lease_s: float, now: Callable[[], datetime]) -> AsyncIterator[None]:
    """Wait until no other job in any daemon reads this list, and let none begin to read it within the block.

    Whoever finds the reading interrupted can tell when that was.
    """
    lock = redis.lock(f"{key}:reader", timeout=lease_s, sleep=_LOOK_EVERY_S)
    with store_errors():
        await lock.acquire()
    renewal = asyncio.create_task(_renew(redis, key, lock, lease_s, now), name=f"lease of {key}")
    try:
        yield
    finally:
        renewal.cancel()
        # A lock that expired while Redis was away may belong to another job by now, which alone writes then.
        with anyio.CancelScope(shield=True), store_errors(), suppress(LockError):
            await lock.release()


async def _renew(redis: Redis, key: str, lock: Lock, lease_s: float, now: Callable[[], datetime]) -> None:
    while True:
        await anyio.sleep(lease_s / 3)
        try:
            await lock.reacquire()
            # A download may take long before there is a first page.
            await redis.hset(key, "alive", iso(now(), "milliseconds"))
        except RedisError as error:
            logger.warning("listing_lease_not_renewed", reason=f"{type(error).__name__}: {error}")


async def _meta(redis: Redis, key: str) -> dict[Any, Any]:
    with store_errors():
        held: Any = await redis.hgetall(key)
    return {field.decode(): value.decode() for field, value in held.items()}


def _is_good(held: dict[Any, Any], ttl_s: float, now: datetime) -> bool:
    """Return whether a list that has been read to its end is young enough for every job."""
    return _age_s(held["complete"], now) < ttl_s


def _wait_s(held: dict[Any, Any], ecosystem: Ecosystem, now: datetime) -> float:
    """Return for how many seconds more the registry wishes no other reading of its list."""
    kept_s = ecosystem.listing_kept_s
    if held.get("outlived") == held["id"]:
        kept_s = min(kept_s, _OUTLIVED_KEPT_S)
    return kept_s - _age_s(held.get("begun", held["complete"]), now)


def _listing(key: str, held: dict[Any, Any]) -> Listing:
    return Listing(held["id"], held["head"], int(held["pages"]), int(held["names"]), _pages_key(key, held))


def _pages_key(key: str, held: dict[Any, Any]) -> str:
    return f"{key}:{held['id']}"


def _age_s(moment: str | None, now: datetime) -> float:
    return math.inf if moment is None else (now - datetime.fromisoformat(moment)).total_seconds()
