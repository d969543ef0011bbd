"""Keeps in Redis how far each feed has been followed. Losing a cursor costs work, not correctness (rule 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
from redis.asyncio import Redis

from securechain_ingest.queue.keys import Keys
from securechain_ingest.redis_errors import store_errors


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position in one feed; everything before it is queued for good."""

    value: str
    """The position in the feed's own words."""
    moved_at: str
    """ISO 8601, UTC."""
    run: str
    """The run that moved it."""
    reconciled_at: str | None
    """When all names were last compared with the graph (ISO 8601, UTC); None: never since the cursor was lost."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Fields of another release, which this one only keeps."""

    def reconciled_before(self, moment: datetime) -> bool:
        """Whether all names were last compared before that moment, or never."""
        return self.reconciled_at is None or datetime.fromisoformat(self.reconciled_at) < moment


class Cursors:
    """A cursor has the name of its ecosystem (`pypi`), or another one if it has none. Methods raise StoreError."""

    def __init__(self, redis: Redis, stream: str) -> None:
        self._redis = redis
        self._key = Keys(stream).cursors

    async def get(self, name: str) -> Cursor | None:
        """Give a cursor. None: there is none, or one that this release cannot read; then everything is compared."""
        with store_errors():
            raw: Any = await self._redis.hget(self._key, name)
        return _cursor(raw)

    async def all(self) -> dict[str, Cursor]:
        """Give all cursors, sorted by name."""
        with store_errors():
            held: Any = await self._redis.hgetall(self._key)
        found = {name.decode(): _cursor(raw) for name, raw in held.items()}
        return {name: cursor for name, cursor in sorted(found.items()) if cursor is not None}

    async def move(self, name: str, value: str, run: str, *, reconciled: bool = False) -> None:
        """Note that everything up to `value` is queued, and whether that was found by comparing all names."""
        held = await self.get(name)
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        reconciled_at = now if reconciled else held.reconciled_at if held else None
        with store_errors():
            fields = {**(held.more if held else {}), "value": value, "moved_at": now, "run": run}
            await self._redis.hset(self._key, name, orjson.dumps({**fields, "reconciled_at": reconciled_at}).decode())

    async def reset(self, name: str) -> bool:
        """Forget a cursor, and say whether there was one."""
        with store_errors():
            return bool(await self._redis.hdel(self._key, name))


def _cursor(raw: bytes | None) -> Cursor | None:
    try:
        document = orjson.loads(raw or b"null")
    except orjson.JSONDecodeError:
        return None
    match document:
        case {"value": str(value), "moved_at": str(moved_at), "run": str(run), "reconciled_at": reconciled, **more}:
            return Cursor(value, moved_at, run, _moment(reconciled), {str(name): kept for name, kept in more.items()})
    return None


def _moment(text: Any) -> str | None:
    """A time that can be compared; None for anything else, after which all names are compared."""
    try:
        return text if datetime.fromisoformat(text).tzinfo else None
    except (TypeError, ValueError):
        return None
