"""This module decides when an endpoint is not asked: by its breaker, and by pauses of registries and operators.

A breaker opens after failures of several different packages without a success in between, or at once when the registry
asks for a pause. While it is open, no message of the ecosystems that need the endpoint is taken, and no attempt of a
message is counted. When its time is over, one message is let through as a probe: a success closes the breaker, and
another failure doubles the wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import structlog
from redis.asyncio import Redis

from securechain_ingest.drivers.redis_errors import store_errors
from securechain_ingest.metrics import ENDPOINT_PAUSES
from securechain_ingest.model import Ecosystem
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.script import NOW_MS, Script
from securechain_ingest.times import iso, now_iso

FAILURES: Final = 5
FIRST_WAIT_S: Final = 5.0
LONGEST_WAIT_S: Final = 900.0
PROBE_MS: Final = 60_000
"""A probe whose result is not reported for this many milliseconds has died with its daemon, so another one is sent."""

logger = structlog.get_logger(__name__)

_FAILED: Final = Script(
    NOW_MS
    + """
local now = now_ms()
redis.call('HSET', breaker, 'package:' .. package, 1)
redis.call('HSET', breaker, 'reason', reason)
local different = 0
for _, field in ipairs(redis.call('HKEYS', breaker)) do
    if string.sub(field, 1, 8) == 'package:' then different = different + 1 end
end
local open_until = tonumber(redis.call('HGET', breaker, 'open_until') or 0)
local is_open = open_until > 0
-- Whatever was in flight when it opened tells nothing new, but for a longer pause.
if is_open and is_probe ~= '1' then
    if now + tonumber(pause_ms) > open_until and tonumber(pause_ms) > 0 then
        redis.call('HSET', breaker, 'open_until', now + pause_ms)
    end
    return {'open', tonumber(redis.call('HGET', breaker, 'open_until')) - now}
end
if not is_open and is_pause ~= '1' and different < tonumber(failures) then return {'closed', different} end
local wait_ms = tonumber(redis.call('HGET', breaker, 'wait_ms') or 0)
wait_ms = wait_ms == 0 and tonumber(first_ms) or math.min(wait_ms * 2, tonumber(longest_ms))
redis.call('HSET', breaker, 'wait_ms', wait_ms)
local pause = math.max(wait_ms, tonumber(pause_ms))
redis.call('HSET', breaker, 'open_until', now + pause)
return {is_open and 'still open' or 'opened', pause}
""",
    keys="breaker",
    arguments="package reason is_pause is_probe pause_ms failures first_ms longest_ms",
)

_SUCCEEDED: Final = Script(
    """
local was_open = redis.call('HGET', breaker, 'open_until')
-- An answer to what was asked before it opened is no sign that the endpoint is well again.
if was_open and is_probe ~= '1' then return 0 end
redis.call('DEL', breaker)
return was_open and 1 or 0
""",
    keys="breaker",
    arguments="is_probe",
)

_UNASKED: Final = Script(
    """
if redis.call('HEXISTS', breaker, 'open_until') == 1 then redis.call('HSET', breaker, 'open_until', 1) end
""",
    keys="breaker",
)

# When the time is over, the first caller gets the probe. No other caller may ask until its result is known.
_PERMIT: Final = Script(
    NOW_MS
    + """
local now = now_ms()
local open_until = tonumber(redis.call('HGET', breaker, 'open_until') or 0)
if open_until == 0 then return {'well', redis.call('HLEN', breaker)} end
if open_until > now then return {'away', 0} end
if is_peek ~= '1' then redis.call('HSET', breaker, 'open_until', now + tonumber(probe_ms)) end
return {'probe', 0}
""",
    keys="breaker",
    arguments="is_peek probe_ms",
)


class Permit(StrEnum):
    """A permit says whether an endpoint may be asked."""

    WELL = "well"
    FAILING = "failing"
    """The endpoint may be asked. The caller must report a success, because failures are counted."""
    PROBE = "probe"
    """Only this caller may ask the endpoint, and it must report the result."""
    AWAY = "away"


@dataclass(frozen=True, slots=True)
class BreakerState:
    """This is the state of one endpoint that is not asked at the moment, or that has failed lately."""

    endpoint: str
    open_for_s: float
    """The endpoint is not asked for this many seconds; with 0 it is asked."""
    reason: str

    @property
    def until(self) -> str:
        """Return the time until which the endpoint is not asked (ISO 8601, UTC)."""
        return iso(datetime.now(UTC) + timedelta(seconds=self.open_for_s))


class Breakers:
    """These are the breakers of all endpoints. Every method raises RedisError."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    async def failed(
        self, endpoint: str, package: str, reason: str, *, is_probe: bool, pause_s: float | None = None
    ) -> bool:
        """Count a failure, and return True if the endpoint must not be asked now.

        With `pause_s` the registry has asked for that many seconds without a request; 0 means that it gave no number.
        """
        state, detail = await _FAILED.run(
            self._redis,
            breaker=self._keys.breaker(endpoint),
            package=package,
            reason=reason,
            is_pause=int(pause_s is not None),
            is_probe=int(is_probe),
            pause_ms=int((pause_s or 0.0) * 1000),
            failures=FAILURES,
            first_ms=int(FIRST_WAIT_S * 1000),
            longest_ms=int(LONGEST_WAIT_S * 1000),
        )
        if state == b"closed":
            return False
        if state in {b"opened", b"still open"}:
            ENDPOINT_PAUSES.labels(endpoint).inc()
            logger.warning("endpoint_paused", endpoint=endpoint, pause_s=round(detail / 1000, 1), reason=reason)
        return True

    async def succeeded(self, endpoint: str, *, is_probe: bool) -> None:
        """Forget the failures. An open breaker is closed only by the success of a probe."""
        if await _SUCCEEDED.run(self._redis, breaker=self._keys.breaker(endpoint), is_probe=int(is_probe)):
            logger.info("endpoint_resumed", endpoint=endpoint)

    async def unasked(self, endpoint: str) -> None:
        """Note that a probe has ended without asking the endpoint, so that another one is sent at once."""
        await _UNASKED.run(self._redis, breaker=self._keys.breaker(endpoint))

    async def permit(self, endpoint: str, *, is_peek: bool = False) -> Permit:
        """Return whether a caller without a lane of its own may ask the endpoint.

        With `is_peek`, the caller does not take the probe if one is due.
        """
        word, failures = await _PERMIT.run(
            self._redis, breaker=self._keys.breaker(endpoint), is_peek=int(is_peek), probe_ms=PROBE_MS
        )
        permit = Permit(word.decode())
        return Permit.FAILING if permit is Permit.WELL and failures else permit

    async def states(self, endpoints: Iterable[str]) -> dict[str, BreakerState]:
        """Return the breakers that are open, by endpoint."""
        names = list(endpoints)
        async with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.time()
            for endpoint in names:
                pipeline.hmget(self._keys.breaker(endpoint), ["open_until", "reason"])
            (seconds, microseconds), *held = await pipeline.execute()
        now_ms = seconds * 1000 + microseconds // 1000
        found = {}
        for endpoint, fields in zip(names, held, strict=True):
            if fields[0] is not None:
                reason = (fields[1] or b"").decode(errors="replace")
                found[endpoint] = BreakerState(endpoint, max(0.0, (int(fields[0]) - now_ms) / 1000), reason)
        return found


async def pause(redis: Redis, keys: Keys, ecosystem: str) -> bool:
    """Stop an ecosystem's lanes in every daemon until `resume`; return False if they were stopped already.

    This raises RedisError.
    """
    return bool(await redis.hsetnx(keys.pauses, ecosystem, now_iso()))


async def resume(redis: Redis, keys: Keys, ecosystem: str) -> bool:
    """Let an ecosystem's lanes go on; return False if they were not paused. This raises RedisError."""
    return bool(await redis.hdel(keys.pauses, ecosystem))


async def paused_since(redis: Redis, keys: Keys) -> Mapping[str, str]:
    """Return each ecosystem that operators have paused with the time of its pause (ISO 8601, UTC).

    This raises RedisError.
    """
    held: Any = await redis.hgetall(keys.pauses)
    return {name.decode(): since.decode() for name, since in sorted(held.items())}


async def endpoints_away(redis: Redis, keys: Keys, ecosystem: Ecosystem) -> Sequence[BreakerState]:
    """Return those of an ecosystem's endpoints for packages and archives that are not asked for a while, whatever an
    operator says. This raises RedisError."""
    states = await Breakers(redis, keys).states(dict.fromkeys(filter(None, (ecosystem.endpoint, ecosystem.archives))))
    return [state for state in states.values() if state.open_for_s > 0]


async def why_stopped(redis: Redis, keys: Keys, ecosystem: Ecosystem) -> str | None:
    """Return in a sentence why no package of an ecosystem may be asked for now, or None if one may.

    This raises StoreError.
    """
    name = ecosystem.name
    with store_errors():
        since = (await paused_since(redis, keys)).get(name)
        away = () if since else await endpoints_away(redis, keys, ecosystem)
    if since:
        return f"{name} has been paused since {since}: `securechain-ingest resume {name}` lets it go on"
    for state in away:
        if state.endpoint == ecosystem.endpoint:
            return f"{state.endpoint} is not asked until {state.until}: {state.reason}"
    return None
