"""The queue's steps that must happen as a whole or not at all, as Lua that Redis runs atomically.

Times come from Redis, so that daemons whose clocks differ agree. Where an entry is checked to be `owned`, a daemon that
was paused for longer than its lease changes nothing about an entry that another one has claimed meanwhile.
"""

from __future__ import annotations

_OWNED = """
-- The pending record {id, consumer, idle, deliveries} of an entry if it is this consumer's, else nil.
local function owned(stream, group, consumer, id)
    local pending = redis.pcall('XPENDING', stream, group, id, id, 1)
    if pending.err or #pending == 0 or pending[1][2] ~= consumer then return nil end
    return pending[1]
end
"""

_NOW_MS = """
local function now_ms()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end
"""

# Done by whoever has committed the effect, owner or not. The follow-ups are queued in any case: the graph already
# counts them as queued, and a repeated message changes nothing.
COMPLETE = """
local stream, bulk, counters = KEYS[1], KEYS[2], KEYS[3]
local group, id = ARGV[1], ARGV[2]
for i = 3, #ARGV do redis.call('XADD', bulk, '*', 'data', ARGV[i]) end
local acknowledged = redis.call('XACK', stream, group, id)
redis.call('XDEL', stream, id)
if acknowledged == 1 then
    redis.call('HINCRBY', counters, 'total_processed', 1)
    redis.call('HINCRBY', counters, 'successful', 1)
end
return acknowledged
"""

DEAD_LETTER = (
    _OWNED
    + """
local stream, dead_letters, counters = KEYS[1], KEYS[2], KEYS[3]
local group, consumer, id, max_length, counter = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
if not owned(stream, group, consumer, id) then return 0 end
redis.call('XADD', dead_letters, 'MAXLEN', '~', max_length, '*', unpack(ARGV, 6))
redis.call('XACK', stream, group, id)
redis.call('XDEL', stream, id)
redis.call('HINCRBY', counters, 'total_processed', 1)
redis.call('HINCRBY', counters, counter, 1)
return 1
"""
)

POSTPONE = (
    _OWNED
    + _NOW_MS
    + """
local stream, retries, payloads = KEYS[1], KEYS[2], KEYS[3]
local group, consumer, id, token, delay_ms, payload = unpack(ARGV)
if not owned(stream, group, consumer, id) then return 0 end
redis.call('ZADD', retries, now_ms() + delay_ms, token)
redis.call('HSET', payloads, token, payload)
redis.call('XACK', stream, group, id)
redis.call('XDEL', stream, id)
return 1
"""
)

RETURN_DUE = (
    _NOW_MS
    + """
local retries, payloads, on_demand, bulk = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local limit, history_field = ARGV[1], ARGV[2]
local due = redis.call('ZRANGEBYSCORE', retries, '-inf', now_ms(), 'LIMIT', 0, limit)
for _, token in ipairs(due) do
    local payload = redis.call('HGET', payloads, token)
    if payload then
        local waiting = cjson.decode(payload)
        local stream = waiting.bulk and bulk or on_demand
        redis.call('XADD', stream, '*', 'data', waiting.data, history_field, waiting.history)
    end
    redis.call('ZREM', retries, token)
    redis.call('HDEL', payloads, token)
end
return #due
"""
)

# XAUTOCLAIM does not tell how often an entry was delivered.
CLAIM = """
local stream = KEYS[1]
local group, consumer, min_idle_ms, cursor, count = unpack(ARGV)
local answer = redis.call('XAUTOCLAIM', stream, group, consumer, min_idle_ms, cursor, 'COUNT', count)
local entries = {}
for i, entry in ipairs(answer[2]) do
    local pending = redis.call('XPENDING', stream, group, entry[1], entry[1], 1)
    entries[i] = {entry[1], entry[2], pending[1][4]}
end
return {answer[1], entries}
"""

# JUSTID leaves the delivery count as it is and sets the idle time to zero.
RENEW = (
    _OWNED
    + """
local stream = KEYS[1]
local group, consumer = ARGV[1], ARGV[2]
for i = 3, #ARGV do
    if owned(stream, group, consumer, ARGV[i]) then
        redis.call('XCLAIM', stream, group, consumer, 0, ARGV[i], 'JUSTID')
    end
end
return 1
"""
)

# An idle time beyond any lease lets the next claim take the entry; the delivery that ends here is taken off the count.
HAND_BACK = (
    _OWNED
    + """
local stream = KEYS[1]
local group, consumer, idle_ms = ARGV[1], ARGV[2], ARGV[3]
local handed_back = 0
for i = 4, #ARGV do
    local pending = owned(stream, group, consumer, ARGV[i])
    if pending then
        local earlier = math.max(pending[4] - 1, 0)
        redis.call('XCLAIM', stream, group, consumer, 0, ARGV[i], 'IDLE', idle_ms, 'RETRYCOUNT', earlier, 'JUSTID')
        handed_back = handed_back + 1
    end
end
return handed_back
"""
)

# Deleting a consumer drops its pending entries for good, hence the check within the same step.
REMOVE_CONSUMERS = """
local stream = KEYS[1]
local group, min_idle_ms, only = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local removed = 0
for _, pairs_of in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do
    local consumer = {}
    for i = 1, #pairs_of, 2 do consumer[pairs_of[i]] = pairs_of[i + 1] end
    if consumer.pending == 0 and consumer.idle >= min_idle_ms and (only == '' or consumer.name == only) then
        redis.call('XGROUP', 'DELCONSUMER', stream, group, consumer.name)
        removed = removed + 1
    end
end
return removed
"""

REPLAY = """
local dead_letters, on_demand = KEYS[1], KEYS[2]
local replayed = 0
for _, id in ipairs(ARGV) do
    local found = redis.call('XRANGE', dead_letters, id, id)
    if #found == 1 then
        local data = ''
        local fields = found[1][2]
        for i = 1, #fields, 2 do
            if fields[i] == 'data' then data = fields[i + 1] end
        end
        redis.call('XADD', on_demand, '*', 'data', data)
        redis.call('XDEL', dead_letters, id)
        replayed = replayed + 1
    end
end
return replayed
"""
