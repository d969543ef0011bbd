"""This module has the steps by which daemons agree which of them runs a job. They are Lua scripts, which Redis runs
atomically.

A run under way has a lease (a key that expires unless it is renewed) and an entry in the hash `under_way` (its record
as it began). An entry without a lease belongs to a run whose daemon has gone. The hash `latest` has by job the latest
start or end that a record of the job tells (ISO 8601, UTC, milliseconds). Daemons read their clocks before a script
runs, and their clocks differ; `latest` keeps the records of a job in one order all the same.
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

# Redis may have lost the start of a run, with all its data or in a failover; then `latest` is from before that start.
_ENDED = """
local function has_ended()
    return id_under_way() ~= run and (redis.call('HGET', latest, job) or '') >= started_at
end
"""

# The first who comes with a newer time of a tick or look claims it.
_NEWER = """
local function claim_newer(hash, field, time)
    local last = redis.call('HGET', hash, field)
    if last and tonumber(last) >= tonumber(time) then return false end
    redis.call('HSET', hash, field, time)
    return true
end
"""

START = Script(
    _ID
    + _NEWER
    + """
-- The driver asks again if the answer was lost. The id of a run that was asked for is no sign: all daemons have it.
if redis.call('HGET', starts, job) == start and redis.call('GET', lease) == run then return {'started'} end
local at = redis.call('HGET', latest, job)
if at and at > started_at then return {'early', at} end
-- One daemon alone has a claim: a newer time of a tick or look, a request, or the id of the run that is resumed.
if how == 'ticks' or how == 'looks' then
    -- It has claimed it whether a run can begin or not.
    if not claim_newer(claimed, field, claim) then return {'taken'} end
elseif how == 'requests' then
    if redis.call('HGET', claimed, field) ~= claim then return {'taken'} end
elseif id_under_way() ~= claim then
    return {'taken'}
end
if redis.call('EXISTS', lease) == 1 then return {'busy'} end
-- A request waits until the run under way has ended.
if how == 'requests' then redis.call('HDEL', claimed, field) end
if gone ~= '' and id_under_way() == gone then redis.call('HSET', unsaved, gone, gone_record) end
redis.call('SET', lease, run, 'PX', lease_ms)
redis.call('HSET', under_way, job, record)
redis.call('HSET', latest, job, started_at)
redis.call('HSET', starts, job, start)
return {'started'}
""",
    keys="claimed under_way lease latest unsaved starts",
    arguments="job run started_at record start lease_ms how field claim gone gone_record",
)

# The daemon that runs a job goes on when Redis has lost the run. An entry that another release has written anew stays
# as it is.
RENEW = Script(
    _ID
    + _ENDED
    + """
local holder, held = redis.call('GET', lease), redis.call('HGET', under_way, job)
if (holder and holder ~= run) or (held and id_under_way() ~= run) or has_ended() then return 0 end
redis.call('SET', lease, run, 'PX', lease_ms)
if not held or held == written then redis.call('HSET', under_way, job, record) end
return 1
""",
    keys="under_way lease latest",
    arguments="job run started_at record lease_ms written",
)

# The end is kept until it is stored in MongoDB; of a look that found nothing only the number and the time are kept. A
# run that can be resumed stays under way, without a lease. Where another run has taken its place, the end has been
# written with the start of that one.
END = Script(
    _ID
    + _ENDED
    + """
if has_ended() then return 0 end
if is_given_up == '1' and redis.call('EXISTS', lease) == 1 then return 0 end
if redis.call('GET', lease) == run then redis.call('DEL', lease) end
if is_kept == '1' then
    redis.call('HSET', unsaved, run, record)
elseif is_resumable == '0' then
    redis.call('HINCRBY', empty_looks, job, 1)
    redis.call('HSET', empty_looks_at, job, ended_at)
end
if id_under_way() ~= run then return 0 end
redis.call('HSET', latest, job, latest_at)
if is_resumable == '1' then redis.call('HSET', under_way, job, record) else redis.call('HDEL', under_way, job) end
return 1
""",
    keys="under_way lease latest unsaved empty_looks empty_looks_at",
    arguments="job run started_at record is_kept is_resumable is_given_up ended_at latest_at",
)

# Another daemon may have claimed a later tick meanwhile, which must not come again.
PASS_OVER = Script(
    _NEWER
    + """
claim_newer(ticks, job, tick)
""",
    keys="ticks",
    arguments="job tick",
)

# A field of a hash is changed only if it is still as it was seen: another command or a daemon may have changed it.
REPLACE = Script(
    """
if (redis.call('HGET', hash, field) or '') ~= seen then return 0 end
if value == '' then redis.call('HDEL', hash, field) else redis.call('HSET', hash, field, value) end
return 1
""",
    keys="hash",
    arguments="field seen value",
)
