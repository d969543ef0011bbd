"""This module has the steps by which daemons agree which of them runs a job. They are Lua scripts, which Redis runs
atomically.

A run under way has a lease (a key that expires unless it is renewed) and an entry in the hash `under_way` (its record
as it began). An entry without a lease belongs to a run whose daemon has gone.
"""

from __future__ import annotations

from securechain_ingest.queue.script import Script

# The id distinguishes runs, whichever release has written the entry; an unreadable entry has no id.
_ID = """
local function id_under_way()
    local readable, record = pcall(cjson.decode, redis.call('HGET', under_way, job) or '')
    return readable and type(record) == 'table' and record.id or false
end
"""

START = Script(
    _ID
    + """
-- A claim is a tick, a look ("name tick"), a request or the id of the run that is resumed; one daemon alone has it.
if how == 'tick' then
    -- The first who comes with a newer tick has claimed it, whether a run can begin or not.
    local last = redis.call('HGET', ticks, job)
    if not last or tonumber(last) >= tonumber(claim) then return {'taken'} end
    redis.call('HSET', ticks, job, claim)
elseif how == 'look' then
    local look, time = string.match(claim, '^(.*) (%d+)$')
    local last = redis.call('HGET', looks, look)
    if last and tonumber(last) >= tonumber(time) then return {'taken'} end
    redis.call('HSET', looks, look, time)
elseif how == 'request' then
    if redis.call('HGET', requests, job) ~= claim then return {'taken'} end
elseif id_under_way() ~= claim then
    return {'taken'}
end
if redis.call('EXISTS', lease) == 1 then return {'busy'} end
-- A request waits until the run under way has ended.
if how == 'request' then redis.call('HDEL', requests, job) end
local left = redis.call('HGET', under_way, job)
redis.call('SET', lease, run, 'PX', lease_ms)
redis.call('HSET', under_way, job, record)
return {'started', left or ''}
""",
    keys="ticks looks requests under_way lease",
    arguments="job run record lease_ms how claim",
)

# If neither lease nor entry is there, Redis has lost its data: the daemon that runs the job goes on. (A run that was
# resumed and has ended elsewhere looks the same, but by then its first owner has stopped by its own clock.)
RENEW = Script(
    _ID
    + """
local holder, id = redis.call('GET', lease), id_under_way()
local is_there = redis.call('HEXISTS', under_way, job) == 1
if (holder and holder ~= run) or (is_there and id ~= run) then return 0 end
redis.call('SET', lease, run, 'PX', lease_ms)
redis.call('HSETNX', under_way, job, record)
return 1
""",
    keys="under_way lease",
    arguments="job run record lease_ms",
)

# Without a record the run is over; with one it waits until it is resumed.
END = Script(
    _ID
    + """
if only_if_gone == '1' and redis.call('EXISTS', lease) == 1 then return 0 end
if redis.call('GET', lease) == run then redis.call('DEL', lease) end
if id_under_way() ~= run then return 0 end
if record == '' then redis.call('HDEL', under_way, job) else redis.call('HSET', under_way, job, record) end
return 1
""",
    keys="under_way lease",
    arguments="job run record only_if_gone",
)

# An entry of a hash is changed only if it is still as it was seen: another command or a daemon may have changed it.
REPLACE = Script(
    """
if (redis.call('HGET', hash, entry) or '') ~= seen then return 0 end
if value == '' then redis.call('HDEL', hash, entry) else redis.call('HSET', hash, entry, value) end
return 1
""",
    keys="hash",
    arguments="entry seen value",
)
