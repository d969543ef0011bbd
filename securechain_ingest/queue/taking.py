"""This module takes messages from an ecosystem's lanes, in one step in Redis for all free places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis

from securechain_ingest.model import Ecosystem
from securechain_ingest.queue.breakers import PROBE_MS
from securechain_ingest.queue.entries import Entry, read_entry
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import COSTS, LANES
from securechain_ingest.queue.script import NOW_MS, Script

_DUE_AT_ONCE: Final = 20

# A stopped lane is not read, and its pending entries are not claimed. Otherwise the order is: messages that are due for
# their next attempt go back into their lanes; entries that silent consumers have left are claimed; `asked` is read;
# then the other lanes are read, each time the one that has used the least of its share. A lane that is empty does not
# save up its share meanwhile. A probe is taken in the other order: a message that has just failed says less about the
# endpoint than one that was not tried yet, and a few packages that always fail would otherwise keep the lanes stopped
# for all. `completed` needs the archives, so a pause of their endpoint stops this lane, too; when the pause is over,
# only one entry of the lane is taken at first.
_TAKE: Final = Script(
    NOW_MS
    + """
local now, any, others = now_ms(), tonumber(any_places), tonumber(other_places)
if redis.call('HEXISTS', pauses, ecosystem) == 1 then return {'paused', 0, {}} end
if any == 0 then return {'open', 0, {}} end
local is_probe = 0
local open_until = tonumber(redis.call('HGET', breaker, 'open_until') or 0)
if open_until > now then return {'breaker', open_until, {}} end
if open_until > 0 then
    is_probe, any, others = 1, 1, 1
end

local archives_until = tonumber(redis.call('HGET', archives_breaker, 'open_until') or 0)
local completing = archives_until > now and 0 or archives_until > 0 and 1 or any

local taken = {}
local function take(lane, id, fields, deliveries, claimed)
    for i = 1, #fields, 2 do
        if fields[i] == 'mark' and redis.call('HGET', waiting, fields[i + 1]) == lanes[lane] .. ':' .. id then
            redis.call('HDEL', waiting, fields[i + 1])
        end
    end
    taken[#taken + 1] = {lane - 1, id, fields, deliveries, claimed}
    any = any - 1
    others = others - 1
    if lane == #streams then completing = completing - 1 end
end
local function room(lane)
    if lane == 1 then return any end
    return lane == #streams and math.min(any, others, completing) or math.min(any, others)
end

local function wake(count)
    for lane, stream in ipairs(streams) do
        for _, token in ipairs(redis.call('ZRANGEBYSCORE', retries[lane], '-inf', now, 'LIMIT', 0, count)) do
            local payload = redis.call('HGET', payloads[lane], token)
            if payload then redis.call('XADD', stream, '*', unpack(cmsgpack.unpack(payload))) end
            redis.call('ZREM', retries[lane], token)
            redis.call('HDEL', payloads[lane], token)
        end
    end
end

local function claim()
    if claims ~= '1' then return end
    for lane, stream in ipairs(streams) do
        if room(lane) > 0 then
            local found = redis.call('XAUTOCLAIM', stream, group, consumer, lease_ms, '0-0', 'COUNT', room(lane))[2]
            for _, entry in ipairs(found) do
                local pending = redis.call('XPENDING', stream, group, entry[1], entry[1], 1)
                take(lane, entry[1], entry[2], pending[1][4], 1)
            end
        end
    end
end

local function read(lane, count)
    local answer = redis.call('XREADGROUP', 'GROUP', group, consumer, 'COUNT', count, 'STREAMS', streams[lane], '>')
    if not answer then return 0 end
    for _, entry in ipairs(answer[1][2]) do take(lane, entry[1], entry[2], 1, 0) end
    return #answer[1][2]
end

local function read_all()
    if room(1) > 0 then read(1, room(1)) end
    if room(2) <= 0 then return end
    local had, least = {}, tonumber(redis.call('HGET', shares, 'least') or 0)
    for lane = 2, #streams do
        had[lane] = math.max(tonumber(redis.call('HGET', shares, lanes[lane]) or 0), least)
    end
    local changed = false
    while room(2) > 0 and next(had) do
        local best
        for lane = 2, #streams do
            if had[lane] and (not best or had[lane] < had[best]) then best = lane end
        end
        if room(best) == 0 or read(best, 1) == 0 then
            had[best] = nil
        else
            least, changed = had[best], true
            had[best] = had[best] + tonumber(costs[best])
            redis.call('HSET', shares, lanes[best], had[best])
        end
    end
    if changed then redis.call('HSET', shares, 'least', least) end
end

if is_probe == 1 then
    read_all()
    if #taken == 0 then
        wake(1)
        read_all()
    end
    if #taken == 0 then claim() end
else
    wake(due_at_once)
    claim()
    read_all()
end
if is_probe == 1 and #taken > 0 then redis.call('HSET', breaker, 'open_until', now + tonumber(probe_ms)) end
return {'open', is_probe, taken, redis.call('HLEN', breaker)}
""",
    keys="streams* retries* payloads* waiting shares pauses breaker archives_breaker",
    arguments="group consumer ecosystem lanes* costs* lease_ms any_places other_places claims due_at_once probe_ms",
)


@dataclass(frozen=True, slots=True)
class Taken:
    """This is the result of one round."""

    entries: Sequence[Entry]
    stopped: str = ""
    """This is `paused` if an operator stopped the lanes, `breaker` if the breaker did, or empty if they are open."""
    has_failures: bool = False
    """This says whether the endpoint's breaker counts failures, which a success must reset."""


class Taker:
    """This takes entries as one consumer of the group.

    Every method raises RedisError, also if the group is missing (NOGROUP).
    """

    def __init__(self, redis: Redis, keys: Keys, ecosystem: Ecosystem, group: str, consumer: str) -> None:
        self._redis = redis
        self._keys = keys
        self._ecosystem = ecosystem
        self._group = group
        self._consumer = consumer

    async def take(self, *, any_places: int, other_places: int, claims: bool, lease_s: float) -> Taken:
        """Take at most `any_places` entries, of which at most `other_places` come from other lanes than `asked`.

        With no place at all, this only says whether an operator has paused the ecosystem.

        With `claims`, this also takes entries whose lease of `lease_s` seconds has run out.
        """
        keys, name = self._keys, self._ecosystem.name
        state, detail, rows, *more = await _TAKE.run(
            self._redis,
            streams=keys.lanes(name),
            retries=keys.all_retries(name),
            payloads=keys.all_payloads(name),
            waiting=keys.waiting(name),
            shares=keys.shares(name),
            pauses=keys.pauses,
            breaker=keys.breaker(self._ecosystem.endpoint),
            archives_breaker=keys.breaker(self._ecosystem.archives or self._ecosystem.endpoint),
            group=self._group,
            consumer=self._consumer,
            ecosystem=name,
            lanes=list(LANES),
            costs=[COSTS.get(lane, 0) for lane in LANES],
            lease_ms=int(lease_s * 1000),
            any_places=any_places,
            other_places=other_places,
            claims=int(claims),
            due_at_once=_DUE_AT_ONCE,
            probe_ms=PROBE_MS,
        )
        if state != b"open":
            return Taken((), state.decode())
        entries = [
            read_entry(
                name,
                LANES[lane],
                entry_id,
                dict(zip(fields[::2], fields[1::2], strict=True)),
                deliveries=deliveries,
                claimed=bool(claimed),
                is_probe=bool(detail),
            )
            for lane, entry_id, fields, deliveries, claimed in rows
        ]
        return Taken(entries, has_failures=bool(more and more[0]))
