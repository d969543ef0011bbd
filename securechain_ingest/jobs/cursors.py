"""This module keeps in Redis how far each feed has been followed. If a cursor is lost, that costs work but not
correctness (rule 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import orjson
from redis.asyncio import Redis

from securechain_ingest.drivers.redis_errors import store_errors
from securechain_ingest.queue.keys import Keys
from securechain_ingest.times import now_iso


@dataclass(frozen=True, slots=True)
class Cursor:
    """A cursor is a position in one feed; everything before it is durably queued."""

    value: str
    """This is the position, in the feed's own words."""
    moved_at: str
    """The cursor was moved at this time (ISO 8601, UTC)."""
    run: str
    """This is the id of the run that moved it."""
    reconciled_at: str | None
    """All names were last compared with the graph at this time (ISO 8601, UTC). None means that they have not been
    compared since the cursor was lost."""
    vouched_at: str | None = None
    """A comparison last vouched for every package of the graph at this time (ISO 8601, UTC): the registry's list had
    each in the same state, or it was queued. None means that the last comparison could not vouch for them, or that
    there was none."""
    followed_at: str | None = None
    """The feed was last followed to its end at this time (ISO 8601, UTC), whether anything had changed or not."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """These are fields of another release, which this one only keeps."""

    def reconciled_before(self, moment: datetime) -> bool:
        """Return whether all names were last compared before that moment, or never."""
        return _is_before(self.reconciled_at, moment)

    def vouches(self, now: datetime, *, reconcile_s: float, max_age_s: float) -> bool:
        """Return whether no package of the ecosystem has to be asked for only because its own last check is old.

        That is true as long as the feed is followed at least every `max_age_s` seconds and the next comparison, of
        which there is one every `reconcile_s` seconds, is not overdue by more than `max_age_s`.
        """
        is_followed = not _is_before(self.followed_at, now - timedelta(seconds=max_age_s))
        is_compared = not _is_before(self.vouched_at, now - timedelta(seconds=reconcile_s + max_age_s))
        return is_followed and is_compared


class Cursors:
    """A cursor has the name of its ecosystem (`pypi`), or another name if it belongs to none. Methods raise
    StoreError."""

    def __init__(self, redis: Redis, stream: str) -> None:
        self._redis = redis
        self._key = Keys(stream).cursors

    async def get(self, name: str) -> Cursor | None:
        """Return a cursor. It is None if there is none, or none that this release can read; then everything is
        compared."""
        with store_errors():
            raw: Any = await self._redis.hget(self._key, name)
        return _cursor(raw)

    async def all(self) -> dict[str, Cursor]:
        """Return all cursors, sorted by name."""
        with store_errors():
            held: Any = await self._redis.hgetall(self._key)
        found = {name.decode(): _cursor(raw) for name, raw in held.items()}
        return {name: cursor for name, cursor in sorted(found.items()) if cursor is not None}

    async def documents(self) -> dict[str, dict[str, Any]]:
        """Return all cursors as plain data, by name."""
        return {name: _document(cursor) for name, cursor in (await self.all()).items()}

    async def restore(self, documents: Mapping[str, Mapping[str, Any]]) -> None:
        """Set cursors from what `documents` of another installation has returned. A cursor that this release cannot
        read is left out, so that everything is compared."""
        for name, document in documents.items():
            if (cursor := _cursor(orjson.dumps(dict(document)))) is not None:
                await self._put(name, cursor)

    async def move(self, name: str, value: str, run: str, *, reconciled: bool = False, vouches: bool = False) -> None:
        """Note that everything up to `value` is queued.

        `reconciled` says that it was found by comparing all names; `vouches` says that the comparison vouches for every
        package.
        """
        held = await self.get(name) or Cursor(value, "", run, None)
        now = now_iso()
        moved = replace(held, value=value, moved_at=now, run=run)
        if reconciled:
            moved = replace(moved, reconciled_at=now, vouched_at=now if vouches else None)
        await self._put(name, moved)

    async def note_followed(self, name: str) -> None:
        """Note that the feed has been followed to its end. Nothing happens if there is no cursor."""
        if held := await self.get(name):
            await self._put(name, replace(held, followed_at=now_iso()))

    async def _put(self, name: str, cursor: Cursor) -> None:
        with store_errors():
            await self._redis.hset(self._key, name, orjson.dumps(_document(cursor)).decode())

    async def reset(self, name: str) -> bool:
        """Forget a cursor, and return whether there was one."""
        with store_errors():
            return bool(await self._redis.hdel(self._key, name))


def _document(cursor: Cursor) -> dict[str, Any]:
    document = asdict(cursor)
    return {**document.pop("more"), **document}


def _cursor(raw: bytes | None) -> Cursor | None:
    try:
        document = orjson.loads(raw or b"null")
    except orjson.JSONDecodeError:
        return None
    match document:
        case {"value": str(value), "moved_at": str(moved_at), "run": str(run), "reconciled_at": reconciled, **more}:
            vouched, followed = _moment(more.pop("vouched_at", None)), _moment(more.pop("followed_at", None))
            kept = {str(name): field for name, field in more.items()}
            return Cursor(value, moved_at, run, _moment(reconciled), vouched, followed, kept)
    return None


def _is_before(text: str | None, moment: datetime) -> bool:
    """Return whether a time is before a moment, or there is no time."""
    return text is None or datetime.fromisoformat(text) < moment


def _moment(text: Any) -> str | None:
    """Return a time that can be compared. It is None for anything else, after which all names are compared."""
    try:
        return text if datetime.fromisoformat(text).tzinfo else None
    except (TypeError, ValueError):
        return None
