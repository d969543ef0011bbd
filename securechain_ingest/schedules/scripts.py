"""The steps by which daemons agree who runs what, as Lua that Redis runs atomically.

A run under way has a lease (a key that expires unless it is renewed) and a mark (its record as it began, in the hash of
marks). A mark without a lease is a run whose daemon has gone.
"""

from __future__ import annotations

# What tells one run from another, whichever release has written its mark: the id, and nothing for what is unreadable.
_ID_OF = """
local function id_of(mark)
    local readable, record = pcall(cjson.decode, mark or '')
    return readable and type(record) == 'table' and record.id or false
end
"""

_START = """
-- Begin a run unless one is under way. What is left of a run whose daemon has gone is returned, for it must be closed.
local function start(marks, lease, job, run, mark, lease_ms)
    local abandoned = redis.call('HGET', marks, job)
    redis.call('SET', lease, run, 'PX', lease_ms)
    redis.call('HSET', marks, job, mark)
    return {'started', abandoned or ''}
end
"""

# A tick is claimed by the first who comes with one that is newer than the last, whether a run can begin or not.
START_TICK = (
    _START
    + """
local ticks, marks, lease = KEYS[1], KEYS[2], KEYS[3]
local job, run, mark, lease_ms, tick = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local last = redis.call('HGET', ticks, job)
if not last or tonumber(last) >= tonumber(tick) then return {'taken'} end
redis.call('HSET', ticks, job, tick)
if redis.call('EXISTS', lease) == 1 then return {'busy'} end
return start(marks, lease, job, run, mark, lease_ms)
"""
)

# A request waits until the run under way has ended.
START_REQUEST = (
    _START
    + """
local requests, marks, lease = KEYS[1], KEYS[2], KEYS[3]
local job, run, mark, lease_ms, request = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
if redis.call('HGET', requests, job) ~= request then return {'taken'} end
if redis.call('EXISTS', lease) == 1 then return {'busy'} end
redis.call('HDEL', requests, job)
return start(marks, lease, job, run, mark, lease_ms)
"""
)

RESUME = (
    _ID_OF
    + _START
    + """
local marks, lease = KEYS[1], KEYS[2]
local job, run, mark, lease_ms, abandoned = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
if redis.call('EXISTS', lease) == 1 then return {'busy'} end
if id_of(redis.call('HGET', marks, job)) ~= abandoned then return {'taken'} end
return start(marks, lease, job, run, mark, lease_ms)
"""
)

GIVE_UP = (
    _ID_OF
    + """
local marks, lease = KEYS[1], KEYS[2]
local job, abandoned = ARGV[1], ARGV[2]
if redis.call('EXISTS', lease) == 1 or id_of(redis.call('HGET', marks, job)) ~= abandoned then return 0 end
return redis.call('HDEL', marks, job)
"""
)

# If neither lease nor mark is there, Redis has lost its data: whoever runs goes on. (A run that was resumed and has
# ended elsewhere looks the same, but by then its first owner has stopped by its own clock.)
RENEW = (
    _ID_OF
    + """
local marks, lease = KEYS[1], KEYS[2]
local job, run, mark, lease_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local holder, held = redis.call('GET', lease), redis.call('HGET', marks, job)
if (holder and holder ~= run) or (held and id_of(held) ~= run) then return 0 end
redis.call('SET', lease, run, 'PX', lease_ms)
redis.call('HSETNX', marks, job, mark)
return 1
"""
)

# Without a new mark the run is over, with one it waits to be resumed.
END = (
    _ID_OF
    + """
local marks, lease = KEYS[1], KEYS[2]
local job, run, new_mark = ARGV[1], ARGV[2], ARGV[3]
if redis.call('GET', lease) == run then redis.call('DEL', lease) end
if id_of(redis.call('HGET', marks, job)) ~= run then return 0 end
if new_mark == '' then redis.call('HDEL', marks, job) else redis.call('HSET', marks, job, new_mark) end
return 1
"""
)

# Only as it was seen: another command may have asked meanwhile, or a daemon have begun.
REPLACE_REQUEST = """
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
"""

# Only as it was seen: a command may have said the opposite meanwhile.
DROP_OVERRIDE = """
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
return redis.call('HDEL', KEYS[1], ARGV[1])
"""
