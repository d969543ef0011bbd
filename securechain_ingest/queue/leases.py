"""This module keeps other consumers from claiming entries in work, even while the event loop is blocked."""

from __future__ import annotations

import threading
from typing import Final

import structlog
from redis import asyncio as aioredis
from redis.exceptions import RedisError

from securechain_ingest.drivers.redis_connection import blocking_twin
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.script import Script
from securechain_ingest.queue.settlement import HANDED_BACK_IDLE_MS, OWNED

logger = structlog.get_logger(__name__)

_RETRY_S = 0.5

# JUSTID leaves the delivery count as it is and sets the idle time to zero. What was handed back a moment ago stays so.
_RENEW: Final = Script(
    OWNED
    + """
for i, stream in ipairs(streams) do
    local pending = owned(stream, ids[i])
    if pending and pending[3] < tonumber(handed_back_ms) then
        redis.call('XCLAIM', stream, group, consumer, 0, ids[i], 'JUSTID')
    end
end
return 1
""",
    keys="streams*",
    arguments="group consumer handed_back_ms ids*",
)


class LeaseKeeper:
    """This renews the held entries every third of a lease (`lease_s` seconds), until `drop` or `close`.

    It uses a thread with a connection of its own. It renews only entries that still belong to this consumer. While
    Redis is away it keeps trying.
    """

    def __init__(self, client: aioredis.Redis, keys: Keys, group: str, consumer: str, lease_s: float) -> None:
        self._keys = keys
        self._group = group
        self._consumer = consumer
        self._period_s = lease_s / 3
        self._redis = blocking_twin(client)
        self._held: set[tuple[str, Lane, str]] = set()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def hold(self, entry: tuple[str, Lane, str]) -> None:
        """Begin to renew an entry, which is given by its `Entry.key`."""
        with self._lock:
            self._held.add(entry)

    def drop(self, entry: tuple[str, Lane, str]) -> None:
        with self._lock:
            self._held.discard(entry)

    def close(self) -> None:
        """End the thread, so that no entry is renewed any more. This blocks for at most the timeout of one command."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join()
        self._redis.close()

    def _run(self) -> None:
        wait_s = self._period_s
        away = False
        while not self._closed.wait(wait_s):
            try:
                self._renew_all()
            except RedisError as error:
                if not away:
                    logger.warning("leases_not_renewed", reason=f"{type(error).__name__}: {error}")
                away, wait_s = True, min(self._period_s, _RETRY_S)
            else:
                away, wait_s = False, self._period_s

    def _renew_all(self) -> None:
        with self._lock:
            held = sorted(self._held)
        if held:
            _RENEW.run_now(
                self._redis,
                streams=[self._keys.lane(ecosystem, lane) for ecosystem, lane, _ in held],
                group=self._group,
                consumer=self._consumer,
                handed_back_ms=HANDED_BACK_IDLE_MS,
                ids=[entry_id for _, _, entry_id in held],
            )
