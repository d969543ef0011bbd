"""This module checks the messages in the stream that other programs write to, and moves them into the lanes.

One step moves a whole batch. A submission that asks for no edge stands for its package, as the daemon's own messages
do: what waits there for the same package goes along with it (`submission`), and its own data stays as it came.

A message that needs no registry does not wait for one: if the graph knows its package completely, the package is linked
at once. While the graph is away, all messages are moved without asking the graph.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
from redis.asyncio import Redis

from securechain_ingest.errors import ConfigError, PoisonMessage, StoreError
from securechain_ingest.model import Ecosystem
from securechain_ingest.queue.entries import Entry, History, entry_fields, read_submission
from securechain_ingest.queue.follow_ups import add_follow_ups
from securechain_ingest.queue.handling import Link
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.messages import Message, package_key
from securechain_ingest.queue.script import Script
from securechain_ingest.queue.settlement import COUNT, Failure, counter_of, letter_fields, report_dead_letter
from securechain_ingest.settings import QueueSettings

BATCH: Final = 500
_BLOCK_MS: Final = 250
_UNKNOWN_KEYS_TOLD: Final = 100
_UNKNOWN_KEY_CHARACTERS: Final = 60

logger = structlog.get_logger(__name__)

# An entry leaves the stream in the step that puts it elsewhere, or after its effect is committed. An entry that another
# consumer has claimed meanwhile is left to that consumer.
_FORWARD: Final = Script(
    COUNT
    + """
local first, next_field = {}, 1
for i, count in ipairs(field_counts) do
    first[i] = next_field
    next_field = next_field + count
end
local function fields_of(i)
    local found = {}
    for j = 0, field_counts[i] - 1 do found[j + 1] = fields[first[i] + j] end
    return found
end

-- A submission stands for its package in `waiting`, unless another one does. An entry of the daemon that waits there is
-- taken away, and its run and its message go along.
local function ask(number, fields, merge_key, run)
    local lane, id = string.match(redis.call('HGET', waiting[number], merge_key) or '', '^(%a+):(.+)$')
    local stands = merge_key ~= '' and lane ~= 'asked'
    local function also(name, value) fields[#fields + 1], fields[#fields + 2] = name, value end
    if stands then also('mark', merge_key) end
    local earlier = stands and lane and redis.call('XRANGE', lane_prefixes[number] .. lane, id, id)[1]
    if earlier then
        local held = {}
        for i = 1, #earlier[2], 2 do held[earlier[2][i]] = earlier[2][i + 1] end
        also('also', held.data)
        if held.run and run == '' then
            also('run', held.run)
        elseif held.run then
            redis.call('HINCRBY', run_counts, held.run .. ':merged', 1)
            redis.call('HINCRBY', run_counts, held.run .. ':open', -1)
        end
        redis.call('XDEL', lane_prefixes[number] .. lane, id)
    end
    local added = redis.call('XADD', streams[number], '*', unpack(fields))
    if stands then redis.call('HSET', waiting[number], merge_key, 'asked:' .. added) end
end

local forwarded = 0
for i, id in ipairs(ids) do
    local pending = redis.pcall('XPENDING', submissions, group, id, id, 1)
    if not pending.err and #pending > 0 and pending[1][2] == consumer then
        if fates[i] == 'served' then
            count(runs[i], outcomes[i], data[i], 'successful', '', '')
        elseif fates[i] == 'dead' then
            redis.call('XADD', dead_letters, 'MAXLEN', '~', max_length, '*', unpack(fields_of(i)))
            count(runs[i], outcomes[i], data[i], words[i], kinds[i], reasons[i])
        else
            ask(tonumber(fates[i]), fields_of(i), merge_keys[i], runs[i])
        end
        redis.call('XACK', submissions, group, id)
        redis.call('XDEL', submissions, id)
        forwarded = forwarded + 1
    end
end
return forwarded
""",
    keys="submissions streams* lane_prefixes* waiting* dead_letters counters run_counts outcomes*",
    arguments=(
        "group consumer max_length ids* fates* words* runs* data* merge_keys* kinds* reasons* field_counts* fields*"
    ),
)

# XAUTOCLAIM does not tell how often an entry was delivered.
_CLAIM: Final = Script(
    """
local answer = redis.call('XAUTOCLAIM', submissions, group, consumer, lease_ms, '0-0', 'COUNT', count)
local entries = {}
for i, entry in ipairs(answer[2]) do
    local pending = redis.call('XPENDING', submissions, group, entry[1], entry[1], 1)
    entries[i] = {entry[1], entry[2], pending[1][4]}
end
return entries
""",
    keys="submissions",
    arguments="group consumer lease_ms count",
)


_Row = tuple[bytes, Mapping[bytes, bytes], int]
"""A row has the id of an entry, its fields and the number of its deliveries."""


@dataclass(frozen=True, slots=True)
class _Submission:
    """This is one entry and its destination: it goes to the lanes of an ecosystem, or is put aside as a dead letter."""

    entry: Entry
    to: Ecosystem | Failure


class Forwarder:
    """This forwards entries as one consumer of the group.

    Every method raises RedisError, also if the group is missing (NOGROUP).
    """

    def __init__(
        self,
        redis: Redis,
        queue: QueueSettings,
        ecosystems: Sequence[Ecosystem],
        group: str,
        consumer: str,
        link: Link,
    ) -> None:
        self._redis = redis
        self._queue = queue
        self._keys = Keys(queue.stream)
        self._ecosystems = ecosystems
        self._by_label: Mapping[str, Ecosystem] = {ecosystem.label: ecosystem for ecosystem in ecosystems}
        self._group = group
        self._consumer = consumer
        self._link = link
        self._claim_at = 0.0
        self._unknown_keys: set[str] = set()
        timeout_s = redis.connection_pool.connection_kwargs.get("socket_timeout")
        # A read that waits longer than the socket's timeout would look like an outage.
        self._block_ms = _BLOCK_MS if timeout_s is None else max(1, min(_BLOCK_MS, int(timeout_s * 500)))

    def apply(self, queue: QueueSettings) -> None:
        """Use the changed settings from now on, as far as they can change while the daemon runs."""
        self._queue = queue

    async def forward(self) -> set[str]:
        """Forward the next batch of entries, and return the names of the ecosystems that have received some.

        If there is no entry, this waits a little for one.
        """
        rows = await self._claimed() or await self._new()
        if not rows:
            return set()
        submissions = [self._read(*row) for row in rows]
        try:
            served = await self._served(submissions)
        except (StoreError, ConfigError) as error:
            logger.info("links_left_to_the_lanes", messages=len(submissions), reason=str(error))
            return await self._move(submissions, set(), half_done=True)
        return await self._move(submissions, served, half_done=False)

    async def _new(self) -> list[_Row]:
        answer: Any = await self._redis.xreadgroup(
            self._group, self._consumer, {self._keys.submissions: ">"}, count=BATCH, block=self._block_ms
        )
        return [(entry_id, fields, 1) for _, rows in answer or () for entry_id, fields in rows]

    async def _claimed(self) -> list[_Row]:
        """Return the entries that other consumers have left. This looks for them only now and then."""
        if time.monotonic() < self._claim_at:
            return []
        rows: Any = await _CLAIM.run(
            self._redis,
            submissions=self._keys.submissions,
            group=self._group,
            consumer=self._consumer,
            lease_ms=int(self._queue.lease_s * 1000),
            count=BATCH,
        )
        if not rows:
            self._claim_at = time.monotonic() + min(1.0, self._queue.lease_s / 3)
        return [
            (entry_id, dict(zip(fields[::2], fields[1::2], strict=True)), deliveries)
            for entry_id, fields, deliveries in rows
        ]

    def _read(self, entry_id: bytes, fields: Mapping[bytes, bytes], deliveries: int) -> _Submission:
        entry = read_submission(entry_id, fields, deliveries=deliveries, unknown=self._tell_unknown)
        if entry.attempts >= self._queue.max_deliveries:
            reason = (
                f"delivered {entry.attempts} times without a result; at most {self._queue.max_deliveries} are allowed"
            )
            return _Submission(entry, Failure("delivery_cap", reason, transient=False))
        try:
            return _Submission(entry, self._ecosystem_of(entry.message))
        except PoisonMessage as error:
            return _Submission(entry, Failure.of(error))

    def _ecosystem_of(self, message: Message) -> Ecosystem:
        if (ecosystem := self._by_label.get(message.node_type)) is None:
            known = ", ".join(sorted(self._by_label))
            raise PoisonMessage(
                f"node_type {message.node_type} is not served by this release, which knows {known}",
                kind="unsupported_type",
            )
        return ecosystem

    def _tell_unknown(self, keys: Iterable[str]) -> None:
        """Log each unknown key once, and only a limited number of keys, because a producer may write anything."""
        for key in sorted({key[:_UNKNOWN_KEY_CHARACTERS] for key in keys} - self._unknown_keys):
            if len(self._unknown_keys) < _UNKNOWN_KEYS_TOLD:
                self._unknown_keys.add(key)
                logger.warning("message_key_unknown", key=key)

    async def _served(self, submissions: Sequence[_Submission]) -> set[str]:
        """Return the ids of the entries whose packages were linked at once.

        This raises StoreError or ConfigError for the graph.
        """
        plain = [each.entry for each in submissions if isinstance(each.to, Ecosystem) and _is_plain(each.entry.message)]
        if not plain:
            return set()
        outcomes = await self._link(plain)
        linked = [(entry, outcome) for entry, outcome in zip(plain, outcomes, strict=True) if outcome is not None]
        # They are queued before their parents are acknowledged, because the graph already counts them as queued.
        follow_ups = [message for _, outcome in linked for message in outcome.queue]
        named = [(self._by_label[message.node_type].name, message) for message in follow_ups]
        await add_follow_ups(self._redis, self._keys, named)
        return {entry.entry_id for entry, _ in linked}

    async def _move(self, submissions: Sequence[_Submission], served: set[str], *, half_done: bool) -> set[str]:
        """Settle the entries that are served or put aside, and move the others.

        Return the names of the ecosystems that have received some. With `half_done`, the graph may have linked the
        packages before it went away; it then counts their follow-ups as queued.
        """
        keys = self._keys
        order = {ecosystem.name: number for number, ecosystem in enumerate(self._ecosystems, start=1)}
        fates: list[str | int] = []
        fields: list[list[Any]] = []
        merge_keys: list[str] = []
        failures: list[Failure | None] = []
        reached: set[str] = set()
        for each in submissions:
            merge_keys.append(_merge_key(each))
            failures.append(each.to if isinstance(each.to, Failure) else None)
            if isinstance(each.to, Failure):
                fates.append("dead")
                fields.append(letter_fields(each.entry, each.to))
            elif each.entry.entry_id in served:
                fates.append("served")
                fields.append([])
            else:
                reached.add(each.to.name)
                fates.append(order[each.to.name])
                # In the lane this is a first delivery, so the history has to say that the entry is redelivered.
                origin = History(each.entry.entry_id, outages=int(half_done or each.entry.redelivered))
                fields.append(entry_fields(each.entry.data, run=each.entry.run, history=origin))
        runs = [each.entry.run for each in submissions]
        await _FORWARD.run(
            self._redis,
            submissions=keys.submissions,
            streams=[keys.lane(ecosystem.name, Lane.ASKED) for ecosystem in self._ecosystems],
            lane_prefixes=[keys.lane_prefix(ecosystem.name) for ecosystem in self._ecosystems],
            waiting=[keys.waiting(ecosystem.name) for ecosystem in self._ecosystems],
            dead_letters=keys.dead_letters,
            counters=keys.counters,
            run_counts=keys.run_counts,
            outcomes=[keys.outcomes(run) for run in runs],
            group=self._group,
            consumer=self._consumer,
            max_length=self._queue.dead_letters_max,
            ids=[each.entry.entry_id for each in submissions],
            fates=fates,
            words=[counter_of(failure.kind) if failure else "" for failure in failures],
            runs=runs,
            data=[each.entry.data for each in submissions],
            merge_keys=merge_keys,
            kinds=[failure.kind if failure else "" for failure in failures],
            reasons=[failure.reason if failure else "" for failure in failures],
            field_counts=[len(each) for each in fields],
            fields=[part for each in fields for part in each],
        )
        for each in submissions:
            if isinstance(each.to, Failure):
                report_dead_letter(each.entry, each.to)
        return reached


def _merge_key(submission: _Submission) -> str:
    """Return the merge key of a submission (`submission`). It is empty if it asks for an edge or goes to no lane."""
    if isinstance(submission.to, Failure) or submission.entry.message.parent_id is not None:
        return ""
    return package_key(submission.entry.message)


def _is_plain(message: Message) -> bool:
    """Return whether the message asks only that the package is in the graph."""
    return not (message.refresh or message.removed or message.at_least is not None)
