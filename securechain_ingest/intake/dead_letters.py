"""Looking at the messages that could not be served; sending them again or dropping them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from securechain_ingest.errors import StoreError
from securechain_ingest.intake import scripts
from securechain_ingest.intake.keys import Keys
from securechain_ingest.settings import QueueSettings

_PAGE = 500
_COUNT = re.compile(r"[0-9]{1,9}")
_ENTRY_ID = re.compile(r"[0-9]{1,19}-[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message that was put aside. One that another program put there has no more than `data` and `error`."""

    entry_id: str
    data: str
    """As received; bytes that are not UTF-8 are shown as replacement characters, but kept for a replay."""
    error: str
    kind: str
    attempts: int
    first_failed_at: str
    last_failed_at: str
    origin_id: str


async def list_dead_letters(
    redis: Redis, queue: QueueSettings, *, limit: int, after: str | None = None, kind: str | None = None
) -> list[DeadLetter]:
    """At most `limit` dead letters behind the id `after`, oldest first. Raises StoreError."""
    letters: list[DeadLetter] = []
    async for page in _pages(redis, queue, after):
        letters.extend(islice((letter for letter in page if kind in (None, letter.kind)), limit - len(letters)))
        if len(letters) >= limit:
            break
    return letters


async def show_dead_letter(redis: Redis, queue: QueueSettings, entry_id: str) -> DeadLetter | None:
    """One dead letter; None if there is none of this id. Raises StoreError."""
    if not _ENTRY_ID.fullmatch(entry_id):
        return None
    try:
        rows: Any = await redis.xrange(Keys(queue.stream).dead_letters, entry_id, entry_id)
    except RedisError as error:
        raise _store_error(error) from error
    return _letter(*rows[0]) if rows else None


async def replay_dead_letters(
    redis: Redis, queue: QueueSettings, *, ids: Iterable[str] | None = None, kind: str | None = None
) -> int:
    """Move dead letters to the on-demand stream as if their raw text had just been sent; how many. Raises StoreError.

    Without `ids`: all that there are now, or all of `kind`. Each is moved whole or not at all.
    """
    keys = Keys(queue.stream)
    script = redis.register_script(scripts.REPLAY)

    async def replay(chosen: list[str]) -> int:
        replayed: int = await script(keys=[keys.dead_letters, keys.on_demand], args=chosen)
        return replayed

    return await _each_page(redis, queue, ids, kind, replay)


async def drop_dead_letters(
    redis: Redis, queue: QueueSettings, *, ids: Iterable[str] | None = None, kind: str | None = None
) -> int:
    """Delete dead letters, chosen as for a replay; how many. Raises StoreError."""
    stream = Keys(queue.stream).dead_letters

    async def drop(chosen: list[str]) -> int:
        return await redis.xdel(stream, *chosen)

    return await _each_page(redis, queue, ids, kind, drop)


async def _each_page(
    redis: Redis,
    queue: QueueSettings,
    ids: Iterable[str] | None,
    kind: str | None,
    act: Callable[[list[str]], Awaitable[int]],
) -> int:
    done = 0
    try:
        if ids is not None:
            named = [entry_id for entry_id in ids if _ENTRY_ID.fullmatch(entry_id)]
            for start in range(0, len(named), _PAGE):
                done += await act(named[start : start + _PAGE])
            return done
        async for page in _pages(redis, queue, after=None):
            if chosen := [letter.entry_id for letter in page if kind in (None, letter.kind)]:
                done += await act(chosen)
    except RedisError as error:
        raise _store_error(error) from error
    return done


async def _pages(redis: Redis, queue: QueueSettings, after: str | None) -> AsyncIterator[list[DeadLetter]]:
    """What is there now, page by page; what is added meanwhile (a replayed message that failed again) is not."""
    stream = Keys(queue.stream).dead_letters
    start = f"({after}" if after and _ENTRY_ID.fullmatch(after) else "-"
    try:
        newest: Any = await redis.xrevrange(stream, count=1)
        while newest:
            rows: Any = await redis.xrange(stream, start, newest[0][0], count=_PAGE)
            if not rows:
                break
            yield [_letter(entry_id, fields) for entry_id, fields in rows]
            start = f"({rows[-1][0].decode()}"
    except RedisError as error:
        raise _store_error(error) from error


def _letter(entry_id: bytes, fields: Mapping[bytes, bytes]) -> DeadLetter:
    text = {key.decode(errors="replace"): value.decode(errors="replace") for key, value in fields.items()}
    attempts = text.get("attempts", "")
    return DeadLetter(
        entry_id=entry_id.decode(),
        data=text.get("data", ""),
        error=text.get("error", ""),
        kind=text.get("kind", "unknown"),
        attempts=int(attempts) if _COUNT.fullmatch(attempts) else 0,
        first_failed_at=text.get("first_failed_at", ""),
        last_failed_at=text.get("last_failed_at", ""),
        origin_id=text.get("origin_id", ""),
    )


def _store_error(error: RedisError) -> StoreError:
    return StoreError(f"the dead letters could not be reached in Redis ({type(error).__name__}: {error})")
