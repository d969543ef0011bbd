"""This module limits the requests per second to an endpoint, for all daemons of an installation together.

Turns are kept in Redis and given out in blocks; a block has the turns of half a second, and at least one. A daemon
loses the turns of its block that it does not use. In any ten seconds all daemons together therefore make at most ten
times the rate, plus one block each.
"""

from __future__ import annotations

from typing import Final

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from securechain_ingest.http.pace import Block
from securechain_ingest.queue.heartbeats import SILENT_AFTER_S
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.script import NOW_MS, Script

_BLOCK_S: Final = 0.5
_SLOWEST: Final = 1 / 64
_RECOVERY: Final = 1 / 50
_ONE_INCIDENT_MS: Final = 1000
_KEPT_MS: Final = 3_600_000

logger = structlog.get_logger(__name__)

# Refusals close together answer requests that were sent at the same rate, so they halve it only once. Each success
# raises the rate a little again.
_NEXT_BLOCK: Final = Script(
    NOW_MS
    + """
local now = now_ms()
local factor = tonumber(redis.call('HGET', turns, 'factor') or 1)
factor = math.min(1, factor + successes * recovery)
if overloaded == '1' and now - tonumber(redis.call('HGET', turns, 'halved_at') or 0) >= tonumber(one_incident_ms) then
    factor = math.max(factor / 2, tonumber(slowest))
    redis.call('HSET', turns, 'halved_at', now)
end
local in_force = rate * factor
local count = math.max(1, math.floor(in_force * block_s))
local first = math.max(now, tonumber(redis.call('HGET', turns, 'next') or 0))
redis.call('HSET', turns, 'factor', factor, 'next', string.format('%.3f', first + count / in_force * 1000))
redis.call('PEXPIRE', turns, kept_ms)
local up = 0
for _, daemon in ipairs(redis.call('HVALS', daemons)) do
    if now - tonumber(string.match(daemon, '^%d+') or 0) <= tonumber(silent_ms) then up = up + 1 end
end
return {count, tostring(first - now), tostring(in_force), up}
""",
    keys="turns daemons",
    arguments="rate successes overloaded block_s slowest recovery one_incident_ms kept_ms silent_ms",
)


class EndpointTurns:
    """This implements `SharedTurns` for one endpoint."""

    def __init__(self, redis: Redis, stream: str, endpoint: str) -> None:
        self._redis = redis
        self._keys = Keys(stream)
        self._endpoint = endpoint
        self._daemons = 1
        self._is_away = False

    async def block(self, rate: float, *, successes: int, overloaded: bool) -> Block:
        """Return the next turns at `rate` requests per second.

        While Redis is away, the turns are those of this daemon's share of the rate.
        """
        try:
            count, delay_ms, in_force, daemons = await _NEXT_BLOCK.run(
                self._redis,
                turns=self._keys.rate(self._endpoint),
                daemons=self._keys.daemons,
                rate=rate,
                successes=successes,
                overloaded=int(overloaded),
                block_s=_BLOCK_S,
                slowest=_SLOWEST,
                recovery=_RECOVERY,
                one_incident_ms=_ONE_INCIDENT_MS,
                kept_ms=_KEPT_MS,
                silent_ms=int(SILENT_AFTER_S * 1000),
            )
        except RedisError as error:
            if not self._is_away:
                self._is_away = True
                reason = f"{type(error).__name__}: {error}"
                logger.warning("rate_not_shared", endpoint=self._endpoint, daemons=self._daemons, reason=reason)
            own = rate / self._daemons
            return Block(1, 1 / own, own, is_shared=False)
        self._is_away = False
        self._daemons = max(1, daemons)
        return Block(count, float(delay_ms) / 1000, float(in_force))
