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

# A mark counts only while its entry stands in the stream behind the last delivered one, so a stale one does no harm;
# taking it off keeps the hash small.
_UNMARK = """
local function unmark(waiting, package, id)
    if package ~= '' and redis.call('HGET', waiting, package) == id then redis.call('HDEL', waiting, package) end
end
"""

# Adds bulk messages as far as there is room; answers how many of them are dealt with, and how many were added.
# A package whose entry is still to be delivered gets no second one. If there is news, the entry is replaced by one that
# says both; it goes on counting for its own run.
ENQUEUE = """
local bulk, waiting = KEYS[1], KEYS[2]
local group, max_length, mark_field = ARGV[1], tonumber(ARGV[2]), ARGV[3]

local function parts(id)
    local dash = string.find(id, '-', 1, true)
    return tonumber(string.sub(id, 1, dash - 1)), tonumber(string.sub(id, dash + 1))
end

local delivered_ms, delivered_number = 0, 0
if redis.call('EXISTS', bulk) == 1 then
    for _, pairs_of in ipairs(redis.call('XINFO', 'GROUPS', bulk)) do
        local found = {}
        for i = 1, #pairs_of, 2 do found[pairs_of[i]] = pairs_of[i + 1] end
        if found.name == group then delivered_ms, delivered_number = parts(found['last-delivered-id']) end
    end
end

local function undelivered(package)
    local id = redis.call('HGET', waiting, package)
    if not id then return nil end
    local ms, number = parts(id)
    if ms < delivered_ms or (ms == delivered_ms and number <= delivered_number) then return nil end
    local found = redis.call('XRANGE', bulk, id, id)
    if #found == 0 then return nil end
    for i = 1, #found[1][2], 2 do
        if found[1][2][i] == 'data' then return id, found[1][2][i + 1] end
    end
end

local function given(value) return value ~= nil and value ~= cjson.null and value or nil end

local function both(earlier, later)
    later.refresh = earlier.refresh or later.refresh
    later.removed = given(earlier.removed) or given(later.removed)
    local before, after = given(earlier.at_least), given(later.at_least)
    -- Maven's announcements are versions, each of which counts.
    if later.node_type == 'MavenPackage' and before and after and before ~= after then
        after = before .. ' ' .. after
    end
    later.at_least = after or before
    local depth = given(earlier.depth)
    later.depth = depth and given(later.depth) and math.max(depth, later.depth)
    later.run = given(earlier.run) or given(later.run)
    later.listed = given(later.listed) or given(earlier.listed)
    return later
end

local function same(one, other)
    for _, key in ipairs({'refresh', 'removed', 'at_least', 'depth', 'run', 'listed'}) do
        if given(one[key]) ~= given(other[key]) then return false end
    end
    return true
end

local length, added = redis.call('XLEN', bulk), 0
for i = 4, #ARGV, 2 do
    local package, data = ARGV[i], ARGV[i + 1]
    local id, held
    if package ~= '' then id, held = undelivered(package) end
    if id then
        local earlier, later = cjson.decode(held), cjson.decode(data)
        local merged = both(earlier, later)
        if not same(earlier, merged) then
            if not given(earlier.run) and given(merged.run) then added = added + 1 end
            redis.call('XDEL', bulk, id)
            local new = redis.call('XADD', bulk, '*', 'data', cjson.encode(merged), mark_field, package)
            redis.call('HSET', waiting, package, new)
        end
    else
        if length >= max_length then return {(i - 4) / 2, added} end
        if package == '' then
            redis.call('XADD', bulk, '*', 'data', data)
        else
            local new = redis.call('XADD', bulk, '*', 'data', data, mark_field, package)
            redis.call('HSET', waiting, package, new)
        end
        length, added = length + 1, added + 1
    end
end
return {(#ARGV - 3) / 2, added}
"""

# Done by whoever has committed the effect, owner or not. The follow-ups are queued in any case: the graph already
# counts them as queued, and a repeated message changes nothing.
COMPLETE = (
    _UNMARK
    + """
local stream, bulk, counters, waiting, run_counts = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local group, id, package, run, versions = unpack(ARGV, 1, 5)
for i = 6, #ARGV do redis.call('XADD', bulk, '*', 'data', ARGV[i]) end
local acknowledged = redis.call('XACK', stream, group, id)
redis.call('XDEL', stream, id)
if acknowledged == 1 then
    redis.call('HINCRBY', counters, 'total_processed', 1)
    redis.call('HINCRBY', counters, 'successful', 1)
    if run ~= '' then
        redis.call('HINCRBY', run_counts, run .. ':succeeded', 1)
        redis.call('HINCRBY', run_counts, run .. ':versions', versions)
    end
end
unmark(waiting, package, id)
return acknowledged
"""
)

DEAD_LETTER = (
    _OWNED
    + _UNMARK
    + """
local stream, dead_letters, counters, waiting, run_counts = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local group, consumer, id, max_length, counter, package, run = unpack(ARGV, 1, 7)
if not owned(stream, group, consumer, id) then return 0 end
redis.call('XADD', dead_letters, 'MAXLEN', '~', max_length, '*', unpack(ARGV, 8))
redis.call('XACK', stream, group, id)
redis.call('XDEL', stream, id)
redis.call('HINCRBY', counters, 'total_processed', 1)
redis.call('HINCRBY', counters, counter, 1)
if run ~= '' then redis.call('HINCRBY', run_counts, run .. ':failed', 1) end
unmark(waiting, package, id)
return 1
"""
)

POSTPONE = (
    _OWNED
    + _UNMARK
    + _NOW_MS
    + """
local stream, retries, payloads, waiting = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local group, consumer, id, token, delay_ms, payload, package = unpack(ARGV)
if not owned(stream, group, consumer, id) then return 0 end
redis.call('ZADD', retries, now_ms() + delay_ms, token)
redis.call('HSET', payloads, token, payload)
redis.call('XACK', stream, group, id)
redis.call('XDEL', stream, id)
unmark(waiting, package, id)
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
