"""This module adds the packages that a package requires to the lane `required`.

They are added in the step that acknowledges the message of that package, so this is Lua. A package that waits already
is not added a second time (`submission`): its entry stays if it waits in the same or a more urgent lane, and moves to
`required` otherwise. Its run, its history and what a feed has announced go along, since a follow-up announces nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from redis.asyncio import Redis

from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import LANES, Lane
from securechain_ingest.queue.messages import Message, encode, package_key
from securechain_ingest.queue.script import Script

LESS_URGENT: Final = [lane for lane in LANES if lane.rank > Lane.REQUIRED.rank]

# `lane_prefix` with the name of a lane is the lane's stream. One entry asks for what both ask for: the greater depth
# (none is the greatest), and a whole reading if one of the two wants that.
FOLLOW_UP: Final = """
local function says_both(earlier, later)
    local ok, kept = pcall(cjson.decode, earlier)
    if not ok or type(kept) ~= 'table' then return nil end
    local added = cjson.decode(later)
    local depth = nil
    if kept.depth and added.depth then depth = math.max(kept.depth, added.depth) end
    local first = (kept.first == true and added.first == true) or nil
    if kept.depth == depth and (kept.first or nil) == first then return earlier end
    kept.depth, kept.first = depth, first
    return cjson.encode(kept)
end
local function follow_up(lane_prefix, waiting, merge_key, data)
    local lane, id = string.match(redis.call('HGET', waiting, merge_key) or '', '^(%a+):(.+)$')
    local entry = lane and redis.call('XRANGE', lane_prefix .. lane, id, id)[1]
    -- The data of a submission stays as it came; the entry has the daemon's own message in another field.
    local own, at, both = lane == 'asked' and 'also' or 'data', 2, data
    if entry then
        while at <= #entry[2] and entry[2][at - 1] ~= own do at = at + 2 end
        if entry[2][at] then both = says_both(entry[2][at], data) end
    end
    local fields = {'data', data, 'mark', merge_key}
    local into = 'required'
    -- What cannot be read is left as it is to whoever takes it, so that it is told there.
    if entry and both then
        fields = entry[2]
        local is_same = both == fields[at]
        fields[at - 1], fields[at] = own, both
        local moves = false
        for _, name in ipairs(less_urgent) do moves = moves or name == lane end
        if is_same and not moves then return end
        redis.call('XDEL', lane_prefix .. lane, id)
        into = moves and 'required' or lane
    end
    local added = redis.call('XADD', lane_prefix .. into, '*', unpack(fields))
    redis.call('HSET', waiting, merge_key, into .. ':' .. added)
end
"""
"""The script that uses this takes the argument `less_urgent*` (LESS_URGENT)."""

_ADD: Final = Script(
    FOLLOW_UP
    + """
for i, data in ipairs(follow_ups) do follow_up(lane_prefixes[i], waiting[i], merge_keys[i], data) end
""",
    keys="lane_prefixes* waiting*",
    arguments="less_urgent* follow_ups* merge_keys*",
)


async def add_follow_ups(redis: Redis, keys: Keys, follow_ups: Sequence[tuple[str, Message]]) -> None:
    """Add follow-ups, each with its ecosystem, in one step. This raises RedisError."""
    if follow_ups:
        await _ADD.run(
            redis,
            lane_prefixes=[keys.lane_prefix(ecosystem) for ecosystem, _ in follow_ups],
            waiting=[keys.waiting(ecosystem) for ecosystem, _ in follow_ups],
            less_urgent=LESS_URGENT,
            follow_ups=[encode(message) for _, message in follow_ups],
            merge_keys=[package_key(message) for _, message in follow_ups],
        )
