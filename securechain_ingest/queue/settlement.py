"""This module does the last step of each delivery.

The entry is settled for good, postponed for another attempt, or handed back without an attempt.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import structlog
from redis.asyncio import Redis

from securechain_ingest.bounds import sentence
from securechain_ingest.errors import ConfigError, IngestError, RateLimited
from securechain_ingest.queue.dead_letters import OPERATORS_KINDS
from securechain_ingest.queue.entries import Entry, History
from securechain_ingest.queue.follow_ups import FOLLOW_UP, LESS_URGENT
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.messages import Message, encode, package_key, package_of
from securechain_ingest.queue.script import NOW_MS, Script
from securechain_ingest.times import now_iso
from securechain_ingest.together import Together

logger = structlog.get_logger(__name__)

VALIDATION_KINDS: Final = frozenset({"missing_data", "bad_json", "bad_schema", "invalid_name"})
TYPE_KINDS: Final = frozenset({"unknown_node_type", "unsupported_type"})

_MOST_AT_ONCE: Final = 50
"""One command completes at most this many entries. Each may have thousands of follow-ups, and Redis does nothing else
meanwhile."""

HANDED_BACK_IDLE_MS: Final = 30 * 86_400_000
"""This is longer than any sensible lease, so that the next claim of any daemon takes the entry."""

OWNED: Final = """
-- The pending record {id, consumer, idle, deliveries} of an entry if it is this consumer's, else nil: a daemon that was
-- paused for longer than its lease changes nothing about an entry that another one has claimed meanwhile.
local function owned(stream, id)
    local pending = redis.pcall('XPENDING', stream, group, id, id, 1)
    if pending.err or #pending == 0 or pending[1][2] ~= consumer then return nil end
    return pending[1]
end
"""

COUNT: Final = """
-- Count what became of a message, for the queue and for its run; tell whoever waits for the run.
local function count(run, outcomes, data, word, kind, reason)
    redis.call('HINCRBY', counters, 'total_processed', 1)
    redis.call('HINCRBY', counters, word, 1)
    if run ~= '' then
        redis.call('HINCRBY', run_counts, run .. ':' .. (word == 'successful' and 'succeeded' or 'failed'), 1)
        redis.call('HINCRBY', run_counts, run .. ':open', -1)
        if redis.call('EXISTS', outcomes) == 1 then
            redis.call('XADD', outcomes, '*', 'data', data, 'kind', kind, 'reason', reason)
        end
    end
end
"""

# The consumer that has committed the effects runs this, even if an entry is no longer its own. The follow-ups are
# queued in any case: the graph already counts them as queued, and a repeated message changes nothing. The consumer that
# removes an entry counts it: after a failover, or when the group was lost, Redis may no longer know who had it.
_COMPLETE: Final = Script(
    COUNT
    + FOLLOW_UP
    + """
local next_follow_up = 1
for i, id in ipairs(ids) do
    for _ = 1, follow_up_counts[i] do
        follow_up(lane_prefixes[i], waiting[i], merge_keys[next_follow_up], follow_ups[next_follow_up])
        next_follow_up = next_follow_up + 1
    end
    redis.call('XACK', streams[i], group, id)
    if redis.call('XDEL', streams[i], id) == 1 then
        count(runs[i], outcomes[i], data[i], 'successful', '', '')
        if runs[i] ~= '' then redis.call('HINCRBY', run_counts, runs[i] .. ':versions', versions[i]) end
    end
end
return #ids
""",
    keys="streams* lane_prefixes* waiting* outcomes* counters run_counts",
    arguments="group ids* runs* versions* data* less_urgent* follow_up_counts* follow_ups* merge_keys*",
)

_DEAD_LETTER: Final = Script(
    OWNED
    + COUNT
    + """
if not owned(stream, id) then return 0 end
redis.call('XADD', dead_letters, 'MAXLEN', '~', max_length, '*', unpack(fields))
redis.call('XACK', stream, group, id)
redis.call('XDEL', stream, id)
count(run, outcomes, data, counter, kind, reason)
return 1
""",
    keys="stream dead_letters counters run_counts outcomes",
    arguments="group consumer id run data max_length counter kind reason fields*",
)

_POSTPONE: Final = Script(
    OWNED
    + NOW_MS
    + """
if not owned(stream, id) then return 0 end
redis.call('ZADD', retries, now_ms() + delay_ms, token)
redis.call('HSET', payloads, token, cmsgpack.pack(fields))
redis.call('XACK', stream, group, id)
redis.call('XDEL', stream, id)
return 1
""",
    keys="stream retries payloads",
    arguments="group consumer id token delay_ms fields*",
)

# An idle time beyond any lease lets the next claim take the entry. The delivery that ends here is no longer counted.
_HAND_BACK: Final = Script(
    OWNED
    + """
local handed_back = 0
for i, stream in ipairs(streams) do
    local pending = owned(stream, ids[i])
    if pending then
        local earlier = math.max(pending[4] - 1, 0)
        redis.call('XCLAIM', stream, group, consumer, 0, ids[i], 'IDLE', idle_ms, 'RETRYCOUNT', earlier, 'JUSTID')
        handed_back = handed_back + 1
    end
end
return handed_back
""",
    keys="streams*",
    arguments="group consumer idle_ms ids*",
)


@dataclass(frozen=True, slots=True)
class Failure:
    """This says why a delivery did not succeed, and whether another attempt can help."""

    kind: str
    reason: str
    """The reason is one sentence."""
    transient: bool
    at_least_s: float = 0.0
    """The registry asked for a pause of this many seconds."""

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """Return the failure that an exception stands for. One that is no IngestError counts as transient, because a
        fault of the program may be so."""
        if isinstance(error, IngestError):
            delay_s = error.delay_s if isinstance(error, RateLimited) else None
            # A store that refuses the credentials is for the operator to mend; the message is right.
            transient = error.transient or isinstance(error, ConfigError)
            return cls(error.kind, sentence(str(error)), transient, max(delay_s or 0.0, 0.0))
        # A fault of the program may be temporary; if it is not, the message becomes a dead letter at the cap.
        return cls("internal_error", sentence(" ".join(f"{type(error).__name__}: {error}".split())), transient=True)


@dataclass(frozen=True, slots=True)
class _Completion:
    """This is what `Settlement.complete` takes."""

    entry: Entry
    follow_ups: Sequence[Message]
    versions: int


class Settlement:
    """This settles deliveries as one consumer of the group.

    Every method raises RedisError, and its call may be repeated until Redis answers.
    """

    def __init__(self, redis: Redis, keys: Keys, group: str, consumer: str) -> None:
        self._redis = redis
        self._keys = keys
        self._group = group
        self._consumer = consumer
        self._completions = Together(self._complete, most=_MOST_AT_ONCE)

    async def complete(self, entry: Entry, follow_ups: Sequence[Message], versions: int) -> None:
        """Queue the follow-ups in the lane `required`, then acknowledge, delete and count the entry.

        Entries that are completed at the same time share one command.
        """
        await self._completions.add(_Completion(entry, follow_ups, versions))

    async def _complete(self, completions: Sequence[_Completion]) -> list[None]:
        keys = self._keys
        entries = [each.entry for each in completions]
        follow_ups = [message for each in completions for message in each.follow_ups]
        await _COMPLETE.run(
            self._redis,
            streams=[self._stream(entry) for entry in entries],
            lane_prefixes=[keys.lane_prefix(entry.ecosystem) for entry in entries],
            waiting=[keys.waiting(entry.ecosystem) for entry in entries],
            outcomes=[keys.outcomes(entry.run) for entry in entries],
            counters=keys.counters,
            run_counts=keys.run_counts,
            group=self._group,
            ids=[entry.entry_id for entry in entries],
            runs=[entry.run for entry in entries],
            versions=[each.versions for each in completions],
            data=[entry.data for entry in entries],
            less_urgent=LESS_URGENT,
            follow_up_counts=[len(each.follow_ups) for each in completions],
            follow_ups=[encode(message) for message in follow_ups],
            merge_keys=list(map(package_key, follow_ups)),
        )
        return [None] * len(completions)

    async def postpone(self, entry: Entry, failure: Failure, delay_s: float, *, is_attempt: bool) -> bool:
        """Move the message out of its lane for `delay_s` seconds; return False if another consumer has it by now.

        If `is_attempt` is False, the failure says nothing about the package and does not count as an attempt.
        """
        token = f"{entry.origin_id}:{entry.entry_id}"
        moved = await _POSTPONE.run(
            self._redis,
            stream=self._stream(entry),
            retries=self._keys.retries(entry.ecosystem, entry.lane),
            payloads=self._keys.payloads(entry.ecosystem, entry.lane),
            group=self._group,
            consumer=self._consumer,
            id=entry.entry_id,
            token=token,
            delay_ms=int(delay_s * 1000),
            fields=entry.fields(after_failure(entry, failure, is_attempt=is_attempt)),
        )
        return bool(moved)

    async def dead_letter(self, entry: Entry, failure: Failure, max_length: int) -> bool:
        """Put the raw text and the reason aside for good; return False if another consumer has the entry by now."""
        keys = self._keys
        moved = await _DEAD_LETTER.run(
            self._redis,
            stream=self._stream(entry),
            dead_letters=keys.dead_letters,
            counters=keys.counters,
            run_counts=keys.run_counts,
            outcomes=keys.outcomes(entry.run),
            group=self._group,
            consumer=self._consumer,
            id=entry.entry_id,
            run=entry.run,
            data=entry.data,
            max_length=max_length,
            counter=counter_of(failure.kind),
            kind=failure.kind,
            reason=failure.reason,
            fields=letter_fields(entry, failure),
        )
        return bool(moved)

    async def hand_back(self, entries: Iterable[tuple[str, Lane, str]]) -> int:
        """Let another consumer take the entries, which are given by their `Entry.key`, at once.

        Return how many of them still belonged to this consumer.
        """
        named = list(entries)
        if not named:
            return 0
        handed_back: int = await _HAND_BACK.run(
            self._redis,
            streams=[self._keys.lane(ecosystem, lane) for ecosystem, lane, _ in named],
            group=self._group,
            consumer=self._consumer,
            idle_ms=HANDED_BACK_IDLE_MS,
            ids=[entry_id for _, _, entry_id in named],
        )
        return handed_back

    def _stream(self, entry: Entry) -> str:
        return self._keys.lane(entry.ecosystem, entry.lane)


def after_failure(entry: Entry, failure: Failure, *, is_attempt: bool) -> History:
    """Return what the queue remembers about the message after this delivery has failed."""
    held = entry.history
    known = replace(held, origin_id=entry.origin_id, reason=failure.reason)
    if not is_attempt:
        return replace(known, attempts=entry.attempts, outages=held.outages + 1)
    return replace(
        known, attempts=entry.attempts + 1, first_failed_at=held.first_failed_at or now_iso("milliseconds"), outages=0
    )


def letter_fields(entry: Entry, failure: Failure) -> list[str | bytes | int]:
    """Return the fields of a dead letter, names and values in turn."""
    failed_at = now_iso("milliseconds")
    fields: dict[str, str | bytes | int] = {
        "data": entry.data,
        "error": failure.reason,
        "kind": failure.kind,
        # At the cap this delivery was no attempt.
        "attempts": entry.attempts + (failure.kind != "delivery_cap"),
        "first_failed_at": entry.history.first_failed_at or failed_at,
        "last_failed_at": failed_at,
        "origin_id": entry.origin_id,
        "lane": entry.lane,
    }
    if entry.also:
        fields["also"] = entry.also
    return [part for field in fields.items() for part in field]


def report_dead_letter(entry: Entry, failure: Failure) -> None:
    """Log that a message was put aside: as an error if only an operator can mend the cause."""
    log = logger.error if failure.kind in OPERATORS_KINDS else logger.warning
    log("message_dead_lettered", **named(entry), lane=entry.lane, kind=failure.kind, reason=failure.reason)


def named(entry: Entry) -> dict[str, object]:
    """Return the fields by which the log names a message."""
    return {
        "package": package_of(entry.asks),
        "entry_id": entry.entry_id,
        "origin_id": entry.origin_id,
        "attempts": entry.attempts + 1,
    }


def counter_of(kind: str) -> str:
    """Return the name of the counter that counts a dead letter of this kind.

    The three counters are disjoint, so that together with `successful` they add up to the total.
    """
    if kind in VALIDATION_KINDS:
        return "validation_errors"
    return "unsupported_types" if kind in TYPE_KINDS else "failed"
