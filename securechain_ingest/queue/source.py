"""Taking entries from the two streams: new ones, and those that other consumers left behind."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis

from securechain_ingest.queue import scripts
from securechain_ingest.queue.entries import Entry, entry
from securechain_ingest.queue.keys import Keys

_START = "0-0"
_BLOCK_MS = 250


class Source:
    """Reads as one consumer of the group. Every call raises RedisError, NOGROUP among them."""

    def __init__(self, redis: Redis, keys: Keys, group: str, consumer: str, lease_s: float) -> None:
        self._redis = redis
        self._keys = keys
        self._group = group
        self._consumer = consumer
        self._lease_ms = int(lease_s * 1000)
        self._claim = redis.register_script(scripts.CLAIM)
        self._cursors = {False: _START, True: _START}
        timeout_s = redis.connection_pool.connection_kwargs.get("socket_timeout")
        # A read that waits longer than the socket's timeout would look like an outage.
        self._block_ms = _BLOCK_MS if timeout_s is None else max(1, min(_BLOCK_MS, int(timeout_s * 500)))

    async def read(self, *, bulk: bool, count: int) -> list[Entry]:
        """At most `count` new entries of one stream, without waiting."""
        return self._entries(
            await self._redis.xreadgroup(self._group, self._consumer, {self._keys.source(bulk=bulk): ">"}, count=count)
        )

    async def wait(self) -> list[Entry]:
        """The next new entry of either stream, one of each at most; none if none comes for a while."""
        return self._entries(
            await self._redis.xreadgroup(
                self._group,
                self._consumer,
                {self._keys.on_demand: ">", self._keys.bulk: ">"},
                count=1,
                block=self._block_ms,
            )
        )

    async def claim(self, *, bulk: bool, count: int) -> tuple[list[Entry], bool]:
        """At most `count` entries whose lease has run out, and whether there is more to look through."""
        cursor, rows = await self._claim(
            keys=[self._keys.source(bulk=bulk)],
            args=[self._group, self._consumer, self._lease_ms, self._cursors[bulk], count],
        )
        self._cursors[bulk] = cursor.decode()
        entries = [
            entry(
                bulk=bulk,
                entry_id=entry_id,
                fields=dict(zip(fields[::2], fields[1::2], strict=True)),
                deliveries=deliveries,
                claimed=True,
            )
            for entry_id, fields, deliveries in rows
        ]
        return entries, self._cursors[bulk] != _START

    def _entries(self, answer: Any) -> list[Entry]:
        return [
            entry(bulk=stream.decode() == self._keys.bulk, entry_id=entry_id, fields=fields)
            for stream, rows in answer or ()
            for entry_id, fields in rows
        ]
