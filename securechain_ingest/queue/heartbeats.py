"""This module shows which daemons are up.

Each daemon writes a heartbeat to Redis every few seconds, which also says when the daemon last settled a message. So an
idle daemon can be distinguished from one that does not run. The times of the heartbeats come from Redis's clock, so the
clocks of the hosts need not agree.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import anyio
import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from securechain_ingest import __version__
from securechain_ingest.queue.backoff import Outage
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.script import NOW_MS, Script
from securechain_ingest.times import iso, now_iso

EVERY_S = 5.0
SILENT_AFTER_S = 3 * EVERY_S
"""A daemon that has written no heartbeat for this many seconds has gone, or hangs."""
FORGOTTEN_AFTER_S = 3600.0

_BEAT: Final = Script(
    NOW_MS
    + """
local now = now_ms()
redis.call('HSET', daemons, name, now .. ' ' .. fields)
local held = redis.call('HGETALL', daemons)
for i = 1, #held, 2 do
    local seen = tonumber(string.match(held[i + 1], '^%d+') or 0)
    if now - seen > tonumber(forgotten_ms) then redis.call('HDEL', daemons, held[i]) end
end
return now
""",
    keys="daemons",
    arguments="name fields forgotten_ms",
)


@dataclass(frozen=True, slots=True)
class DaemonStatus:
    """This is the state of one daemon by its last heartbeat."""

    name: str
    """This is the name of the daemon's consumer."""
    host: str
    pid: int
    version: str
    started_at: str
    """This time is written in ISO 8601, UTC."""
    in_flight: int
    """The daemon was working on this many messages."""
    last_progress_at: str | None
    """The daemon last settled a message at this time (ISO 8601, UTC). It is None if it has settled none yet."""
    seen_s: float
    """The last heartbeat is this many seconds old."""
    stuck: str | None = None
    """This sentence says what hangs in the daemon. It is None if nothing hangs, and if a daemon of an
    earlier release does not say."""

    @property
    def is_up(self) -> bool:
        return self.seen_s <= SILENT_AFTER_S


class Heartbeat:
    """This writes the heartbeats of this process until it is cancelled; then it takes the process out of the list."""

    def __init__(
        self,
        redis: Redis,
        stream: str,
        name: str,
        *,
        in_flight: Callable[[], int],
        last_progress_at: Callable[[], datetime | None],
        stuck: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._redis = redis
        self._key = Keys(stream).daemons
        self._name = name
        self._in_flight = in_flight
        self._last_progress_at = last_progress_at
        self._stuck = stuck
        self._started_at = now_iso()

    async def run(self) -> None:
        """Write a heartbeat every EVERY_S seconds. During an outage of Redis this keeps trying."""
        outage = Outage("redis")
        try:
            while True:
                await outage.insist(self.beat)
                await anyio.sleep(EVERY_S)
        finally:
            await self.leave()

    async def leave(self) -> None:
        """Take the daemon out of the list. One that cannot leave it is recognized by its silence."""
        with anyio.move_on_after(1.0, shield=True), suppress(RedisError):
            await self._redis.hdel(self._key, self._name)

    async def beat(self) -> None:
        """Write one heartbeat. This raises RedisError."""
        progress_at = self._last_progress_at()
        fields = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "version": __version__,
            "started_at": self._started_at,
            "in_flight": self._in_flight(),
            "last_progress_at": iso(progress_at) if progress_at else None,
            "stuck": self._stuck(),
        }
        await _BEAT.run(
            self._redis,
            daemons=self._key,
            name=self._name,
            fields=orjson.dumps(fields),
            forgotten_ms=int(FORGOTTEN_AFTER_S * 1000),
        )


async def daemons_seen(redis: Redis, stream: str) -> list[DaemonStatus]:
    """Return the daemons with a heartbeat within the last FORGOTTEN_AFTER_S seconds, sorted by name.

    A heartbeat that another release has written in a different form is left out. This raises RedisError.
    """
    held: Any = await redis.hgetall(Keys(stream).daemons)
    seconds, microseconds = await redis.time()
    now_ms = seconds * 1000 + microseconds // 1000
    found = (_status(name.decode(errors="replace"), text, now_ms) for name, text in sorted(held.items()))
    return [status for status in found if status is not None]


def _status(name: str, text: bytes, now_ms: int) -> DaemonStatus | None:
    seen, _, fields = text.partition(b" ")
    try:
        document = orjson.loads(fields)
        seen_s = max(0.0, (now_ms - int(seen)) / 1000)
    except ValueError:
        return None
    match document:
        case {
            "host": str(host),
            "pid": int(pid),
            "version": str(version),
            "started_at": str(started_at),
            "in_flight": int(in_flight),
            "last_progress_at": str() | None as progress_at,
        }:
            stuck = str(document["stuck"]) if document.get("stuck") else None
            return DaemonStatus(name, host, pid, version, started_at, in_flight, progress_at, round(seen_s, 1), stuck)
    return None
