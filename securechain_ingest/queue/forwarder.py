"""From the stream that other programs write to into the lanes: checked, and moved in one step a batch.

What needs no registry waits for none: a package that the graph knows completely is linked there and then. While the
graph is away everything is moved on unasked.
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
from securechain_ingest.queue.handling import Link
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.messages import Message, encode
from securechain_ingest.queue.script import Script
from securechain_ingest.queue.settlement import Failure, counter_of, letter_fields
from securechain_ingest.settings import QueueSettings

BATCH: Final = 200
_BLOCK_MS: Final = 250
_UNKNOWN_KEYS_TOLD: Final = 100
_UNKNOWN_KEY_CHARACTERS: Final = 60

logger = structlog.get_logger(__name__)

# An entry leaves the stream in the step that puts it elsewhere, or after its effect is committed. One that another
# consumer has claimed meanwhile is left to that one.
_FORWARD: Final = Script(
    """
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
local function settle(i, word)
    redis.call('HINCRBY', counters, 'total_processed', 1)
    redis.call('HINCRBY', counters, word, 1)
    if runs[i] == '' then return end
    redis.call('HINCRBY', run_counts, runs[i] .. ':' .. (word == 'successful' and 'succeeded' or 'failed'), 1)
    redis.call('HINCRBY', run_counts, runs[i] .. ':open', -1)
    if redis.call('EXISTS', outcomes[i]) == 1 then
        redis.call('XADD', outcomes[i], '*', 'data', data[i], 'kind', kinds[i], 'reason', reasons[i])
    end
end

local forwarded = 0
for i, id in ipairs(ids) do
    local pending = redis.pcall('XPENDING', submissions, group, id, id, 1)
    if not pending.err and #pending > 0 and pending[1][2] == consumer then
        if fates[i] == 'served' then
            settle(i, 'successful')
        elseif fates[i] == 'dead' then
            redis.call('XADD', dead_letters, 'MAXLEN', '~', max_length, '*', unpack(fields_of(i)))
            settle(i, words[i])
        else
            redis.call('XADD', streams[tonumber(fates[i])], '*', unpack(fields_of(i)))
        end
        redis.call('XACK', submissions, group, id)
        redis.call('XDEL', submissions, id)
        forwarded = forwarded + 1
    end
end
return forwarded
""",
    keys="submissions streams* dead_letters counters run_counts outcomes*",
    arguments="group consumer max_length ids* fates* words* runs* data* kinds* reasons* field_counts* fields*",
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
"""An entry's id, its fields and how often it was delivered."""


@dataclass(frozen=True, slots=True)
class _Submission:
    """One entry and what becomes of it: it goes to the lanes of an ecosystem, or is put aside."""

    entry: Entry
    to: Ecosystem | Failure


class Forwarder:
    """Forwards as one consumer of the group. Every call raises RedisError, NOGROUP among them."""

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

    async def forward(self) -> set[str]:
        """Forward what there is, waiting a little if there is nothing; the ecosystems that have got something."""
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
        """What other consumers have left, looked for now and then."""
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
        if entry.tries >= self._queue.max_deliveries:
            reason = f"delivered {entry.tries} times without a result; at most {self._queue.max_deliveries} are allowed"
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
        """Once for each, and of no more than a few: a producer may write anything."""
        for key in sorted({key[:_UNKNOWN_KEY_CHARACTERS] for key in keys} - self._unknown_keys):
            if len(self._unknown_keys) < _UNKNOWN_KEYS_TOLD:
                self._unknown_keys.add(key)
                logger.warning("message_key_unknown", key=key)

    async def _served(self, submissions: Sequence[_Submission]) -> set[str]:
        """The ids of the entries whose packages were linked at once. Raises StoreError or ConfigError of the graph."""
        plain = [each.entry for each in submissions if isinstance(each.to, Ecosystem) and _is_plain(each.entry.message)]
        if not plain:
            return set()
        outcomes = await self._link(plain)
        linked = [(entry, outcome) for entry, outcome in zip(plain, outcomes, strict=True) if outcome is not None]
        # Before their parents are acknowledged: the graph counts them as queued already.
        async with self._redis.pipeline(transaction=False) as pipeline:
            for message in (message for _, outcome in linked for message in outcome.queue):
                stream = self._keys.lane(self._by_label[message.node_type].name, Lane.REQUIRED)
                pipeline.xadd(stream, {"data": encode(message), "mark": message.package})
            await pipeline.execute()
        return {entry.entry_id for entry, _ in linked}

    async def _move(self, submissions: Sequence[_Submission], served: set[str], *, half_done: bool) -> set[str]:
        """Settle those that are served or put aside and move the others; the ecosystems that have got something.

        `half_done`: the graph may have linked them before it went away, and counts their follow-ups as queued.
        """
        keys = self._keys
        order = {ecosystem.name: number for number, ecosystem in enumerate(self._ecosystems, start=1)}
        fates: list[str | int] = []
        fields: list[list[Any]] = []
        failures: list[Failure | None] = []
        reached: set[str] = set()
        for each in submissions:
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
                # That it is redelivered has to be known in the lane, where this is its first delivery.
                origin = History(each.entry.entry_id, outages=int(half_done or each.entry.redelivered))
                fields.append(entry_fields(each.entry.data, run=each.entry.run, history=origin))
        runs = [each.entry.run for each in submissions]
        await _FORWARD.run(
            self._redis,
            submissions=keys.submissions,
            streams=[keys.lane(ecosystem.name, Lane.ASKED) for ecosystem in self._ecosystems],
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
            kinds=[failure.kind if failure else "" for failure in failures],
            reasons=[failure.reason if failure else "" for failure in failures],
            field_counts=[len(each) for each in fields],
            fields=[part for each in fields for part in each],
        )
        for each in submissions:
            if isinstance(each.to, Failure):
                logger.warning(
                    "message_dead_lettered",
                    entry_id=each.entry.entry_id,
                    origin_id=each.entry.entry_id,
                    lane=Lane.ASKED,
                    kind=each.to.kind,
                    reason=each.to.reason,
                )
        return reached


def _is_plain(message: Message) -> bool:
    """Whether it asks for no more than that the package be there."""
    return not (message.refresh or message.removed or message.at_least is not None)
