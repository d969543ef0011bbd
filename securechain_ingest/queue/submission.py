"""This module adds messages to the queue.

The messages of other programs go to the stream of submissions, and the daemon's own messages go to the lanes.

One package waits only once. If the package already waits in the same or a more urgent lane, the producer's message is
merged into that entry. If the package waits in a less urgent lane, the message is added to the producer's lane and the
other entry is removed; the new entry keeps the run and the announcements of the removed one. A message with a parent
asks for an edge and is never merged. The data of a message from another program is never changed: what the daemon's own
message adds to it stands in another field of its entry (`Entry.also`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import anyio
from redis.asyncio import Redis

from securechain_ingest.drivers.redis_errors import store_errors
from securechain_ingest.errors import PoisonMessage
from securechain_ingest.model import newest_announcement
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import COMPLETED_MAX, LANES, Lane
from securechain_ingest.queue.messages import Message, encode, merged, package_key, parse_data
from securechain_ingest.queue.script import Script
from securechain_ingest.settings import QueueSettings
from securechain_ingest.waits import Waits

_BATCH: Final = 500
_FULL_LANE: Final = Waits(first_s=0.02, longest_s=1.0)

# Each message is answered on its own. The script checks again which entry the producer saw waiting (`seen`). If this
# has changed since, the answer is 0 and the producer looks again. Otherwise the answer is 1 (added), 2 (merged) or,
# when the lane is full, -1.
_ENQUEUE: Final = Script(
    """
local function rank_of(held)
    local name = string.match(held, '^(%a+):')
    for rank, lane in ipairs(lanes) do
        if lane == name then return rank, string.sub(held, #name + 2) end
    end
end
local function opened(run, by)
    if run ~= '' then redis.call('HINCRBY', run_counts, run .. ':open', by) end
end

local here
for rank, lane in ipairs(lanes) do
    if lane == own_lane then here = rank end
end
local length = redis.call('XLEN', streams[here]) + redis.call('ZCARD', retries)
local answers = {}
for i, merge_key in ipairs(merge_keys) do
    local fields, held = {'data', data[i]}, false
    if also[i] ~= '' then fields[3], fields[4] = 'also', also[i] end
    if merge_key ~= '' then held = redis.call('HGET', waiting, merge_key) end
    if (held or '') ~= seen[i] then
        answers[i] = 0
    elseif held and data[i] == '' then
        -- It says nothing that the waiting one does not say.
        if runs[i] ~= '' then redis.call('HINCRBY', run_counts, runs[i] .. ':merged', 1) end
        answers[i] = 2
    else
        local there, id = here, nil
        if held then there, id = rank_of(held) end
        local into = math.min(here, there)
        if not held and length >= tonumber(max_length) then
            answers[i] = -1
        else
            if id then redis.call('XDEL', streams[there], id) end
            if merge_key ~= '' then fields[#fields + 1] = 'mark'; fields[#fields + 1] = merge_key end
            local run = kept_runs[i] ~= '' and kept_runs[i] or runs[i]
            if run ~= '' then fields[#fields + 1] = 'run'; fields[#fields + 1] = run end
            if histories[i] ~= '' then fields[#fields + 1] = 'history'; fields[#fields + 1] = histories[i] end
            local added = redis.call('XADD', streams[into], '*', unpack(fields))
            if merge_key ~= '' then redis.call('HSET', waiting, merge_key, lanes[into] .. ':' .. added) end
            if kept_runs[i] == '' then
                opened(runs[i], 1)
            elseif runs[i] ~= '' then
                redis.call('HINCRBY', run_counts, runs[i] .. ':merged', 1)
            end
            if into == here and there ~= here or not held then length = length + 1 end
            answers[i] = held and 2 or 1
        end
    end
end
return answers
""",
    keys="streams* retries waiting run_counts",
    arguments="lanes* own_lane max_length merge_keys* data* also* runs* kept_runs* histories* seen*",
)

# Another producer may have put its own entry there meanwhile.
_FORGET: Final = Script(
    "if redis.call('HGET', waiting, merge_key) == location then redis.call('HDEL', waiting, merge_key) end",
    keys="waiting",
    arguments="merge_key location",
)

_ADDED, _MERGED, _FULL, _CHANGED = 1, 2, -1, 0


@dataclass(frozen=True, slots=True)
class Added:
    """This says how many messages were added and how many were merged."""

    added: int
    merged: int


async def submit(redis: Redis, queue: QueueSettings, messages: Sequence[Message]) -> int:
    """Add messages, in their order, to the stream that other programs write to, and return their number.

    A message with a run counts as open for this run from now on. This raises StoreError. Some of the messages may have
    been added then, and it is safe to add all of them again.
    """
    keys = Keys(queue.stream)
    with store_errors():
        for start in range(0, len(messages), _BATCH):
            async with redis.pipeline(transaction=True) as pipeline:
                for message in messages[start : start + _BATCH]:
                    pipeline.xadd(keys.submissions, {"data": encode(message)})
                    if message.run is not None:
                        pipeline.hincrby(keys.run_counts, f"{message.run}:open", 1)
                await pipeline.execute()
    return len(messages)


def nobody_is_told() -> None:
    """Do nothing. A producer at which nobody looks waits for room without a word."""


async def enqueue(
    redis: Redis,
    queue: QueueSettings,
    ecosystem: str,
    lane: Lane,
    messages: Sequence[Message],
    *,
    announcements: Callable[[str, str], str] = newest_announcement,
    on_full: Callable[[], None] = nobody_is_told,
) -> Added:
    """Add the daemon's own messages on one ecosystem to a lane, and wait as long as the lane is full.

    `on_full` is called each time that a wait for room begins.

    This raises StoreError. Some of the messages may have been added then, and it is safe to add all of them again.
    """
    added = merges = 0
    for start in range(0, len(messages), _BATCH):
        rest = list(messages[start : start + _BATCH])
        rounds_in_vain = 0
        while rest:
            with store_errors():
                answers = await _offer(redis, queue, ecosystem, lane, rest, announcements)
            added += answers.count(_ADDED)
            merges += answers.count(_MERGED)
            left = [message for message, answer in zip(rest, answers, strict=True) if answer in {_FULL, _CHANGED}]
            if _FULL in answers:
                if rounds_in_vain == 0:
                    on_full()
                rounds_in_vain = 0 if len(left) < len(rest) else rounds_in_vain + 1
                await anyio.sleep(_FULL_LANE.after(rounds_in_vain + 1))
            rest = left
    return Added(added, merges)


async def _offer(
    redis: Redis,
    queue: QueueSettings,
    ecosystem: str,
    lane: Lane,
    messages: Sequence[Message],
    announcements: Callable[[str, str], str],
) -> list[int]:
    keys = Keys(queue.stream)
    # If a batch names a package twice, the second message would find the entry that the first one has just added. So
    # the second message waits for the next round.
    merge_keys, once = [], set()
    for message in messages:
        merge_key = merge_key_of(message)
        merge_keys.append(merge_key if merge_key not in once or not merge_key else None)
        once.add(merge_key)
    chosen = [
        (message, merge_key) for message, merge_key in zip(messages, merge_keys, strict=True) if merge_key is not None
    ]
    seen = await _waiting(redis, keys, ecosystem, [merge_key for _, merge_key in chosen])
    rows = [_row(message, lane, held, announcements) for (message, _), held in zip(chosen, seen, strict=True)]
    answers: list[int] = await _ENQUEUE.run(
        redis,
        streams=keys.lanes(ecosystem),
        retries=keys.retries(ecosystem, lane),
        waiting=keys.waiting(ecosystem),
        run_counts=keys.run_counts,
        lanes=list(LANES),
        own_lane=lane,
        max_length=lane_bound(queue, lane),
        merge_keys=[merge_key for _, merge_key in chosen],
        data=[row.data for row in rows],
        also=[row.also for row in rows],
        runs=[message.run or "" for message, _ in chosen],
        kept_runs=[row.kept_run for row in rows],
        histories=[row.history for row in rows],
        seen=[held.location if held else "" for held in seen],
    )
    given = iter(answers)
    return [next(given) if merge_key is not None else _CHANGED for merge_key in merge_keys]


@dataclass(frozen=True, slots=True)
class _Held:
    """This is an entry that already waits."""

    location: str
    """This has the form `lane:id`."""
    data: bytes
    asks: Message
    asks_also: Message | None
    """The daemon itself asks for this, too, if the entry is a submission (`Entry.also`)."""
    run: str
    history: bytes

    @property
    def lane(self) -> Lane:
        return Lane(self.location.partition(":")[0])


@dataclass(frozen=True, slots=True)
class _Row:
    data: bytes | str
    """This is empty if the waiting entry already says everything."""
    kept_run: str = ""
    history: bytes = b""
    also: bytes | str = b""


async def _waiting(redis: Redis, keys: Keys, ecosystem: str, merge_keys: Sequence[str]) -> list[_Held | None]:
    """Return the waiting entry of each merge key, or None if the merge key is empty or its entry has gone or cannot be
    read."""
    if not any(merge_keys):
        return [None] * len(merge_keys)
    locations: Any = await redis.hmget(keys.waiting(ecosystem), [merge_key or " " for merge_key in merge_keys])
    found: list[_Held | None] = [None] * len(merge_keys)
    async with redis.pipeline(transaction=False) as pipeline:
        asked = []
        for number, location in enumerate(locations):
            if location is not None:
                lane, _, entry_id = location.decode().partition(":")
                pipeline.xrange(keys.lane(ecosystem, Lane(lane)), entry_id, entry_id)
                asked.append((number, location.decode()))
        rows: Any = await pipeline.execute() if asked else []
    for (number, location), row in zip(asked, rows, strict=True):
        held = _held(location, row[0][1]) if row else None
        if held is None:
            # The entry was taken a moment ago, was lost with its stream, or cannot be read, which is told when it is
            # taken. It stands for no package.
            await _FORGET.run(redis, waiting=keys.waiting(ecosystem), merge_key=merge_keys[number], location=location)
        found[number] = held
    return found


def _held(location: str, fields: Mapping[bytes, bytes]) -> _Held | None:
    """Return the waiting entry that has these fields, or None if it cannot be read."""
    data, also = fields.get(b"data", b""), fields.get(b"also", b"")
    try:
        asks, asks_also = parse_data(data), parse_data(also) if also else None
    except PoisonMessage:
        return None
    return _Held(location, data, asks, asks_also, fields.get(b"run", b"").decode(), fields.get(b"history", b""))


def _row(message: Message, lane: Lane, held: _Held | None, announcements: Callable[[str, str], str]) -> _Row:
    if held is None:
        return _Row(encode(message))
    if held.lane is Lane.ASKED:
        return _row_of_submission(message, held, announcements)
    # The entry keeps the spelling that it has.
    both = merged(held.asks, replace(message, package=held.asks.package), announcements)
    says_it_all = both == held.asks and held.lane.rank <= lane.rank
    return _Row("" if says_it_all else encode(both), held.run, held.history)


def _row_of_submission(message: Message, held: _Held, announcements: Callable[[str, str], str]) -> _Row:
    """Return the row of a package that a program has asked for. The data of its entry stays as it came, so the entry
    gets the daemon's message in another field if it says more."""
    submission, own = held.asks, message
    asked = submission
    if held.asks_also is not None:
        own, asked = merged(held.asks_also, message, announcements), merged(held.asks_also, submission)
    if merged(own, submission) == asked:
        return _Row("", held.run, held.history)
    return _Row(held.data, held.run, held.history, encode(own))


def merge_key_of(message: Message) -> str:
    """Return the merge key, which is the package however it is spelled: messages with the same merge key are merged.

    It is empty for a message that asks for an edge or that does not come from the daemon; those are never merged.
    """
    return package_key(message) if message.internal and message.parent_id is None else ""


async def room_in(redis: Redis, queue: QueueSettings, ecosystem: str, lane: Lane) -> int:
    """Return how many more entries a bounded lane can take. This raises RedisError."""
    keys = Keys(queue.stream)
    async with redis.pipeline(transaction=False) as pipeline:
        pipeline.xlen(keys.lane(ecosystem, lane))
        pipeline.zcard(keys.retries(ecosystem, lane))
        length, waiting = await pipeline.execute()
    return max(0, lane_bound(queue, lane) - int(length) - int(waiting))


def lane_bound(queue: QueueSettings, lane: Lane) -> int:
    """Return how many entries a bounded lane holds at most. Entries that wait for another attempt count, too."""
    return COMPLETED_MAX if lane is Lane.COMPLETED else queue.lane_max_length
