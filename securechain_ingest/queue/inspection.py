"""This module shows the queued messages one by one, and takes messages out of the queue again."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from securechain_ingest.drivers.redis_errors import store_errors
from securechain_ingest.queue.entries import Entry, read_entry, read_submission
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import LANES, Lane
from securechain_ingest.queue.messages import Message
from securechain_ingest.queue.script import Script
from securechain_ingest.queue.settlement import HANDED_BACK_IDLE_MS
from securechain_ingest.registries import ECOSYSTEMS
from securechain_ingest.times import iso

WAITING, IN_WORK, RETRYING = STATES = ("waiting", "in work", "retrying")

_PAGE: Final = 500
_TOKEN_TAIL: Final = re.compile(r"\d+-\d+$")

# This returns a page of a lane. Each entry has the milliseconds since a consumer received it (-1 if none has) and the
# number of its deliveries.
_PAGE_OF: Final = Script(
    """
local found = {}
for i, entry in ipairs(redis.call('XRANGE', stream, from, '+', 'COUNT', count)) do
    local pending = redis.pcall('XPENDING', stream, group, entry[1], entry[1], 1)
    local is_pending = not pending.err and #pending > 0
    found[i] = {entry[1], entry[2], is_pending and pending[1][3] or -1, is_pending and pending[1][4] or 0}
end
return found
""",
    keys="stream",
    arguments="group from count",
)

_RETRIES_OF: Final = Script(
    """
local found, known = {}, {}
for _, token in ipairs(seen) do known[token] = true end
local due = redis.call('ZRANGEBYSCORE', retries, from, '+inf', 'WITHSCORES', 'LIMIT', 0, tonumber(count) + #seen)
for i = 1, #due, 2 do
    local payload = redis.call('HGET', payloads, due[i])
    if payload and not known[due[i]] then found[#found + 1] = {due[i], due[i + 1], cmsgpack.unpack(payload)} end
end
return found
""",
    keys="retries payloads",
    arguments="from count seen*",
)

# Entries in work stay. The run of each removed message counts it under the word of the command.
_REMOVE: Final = Script(
    """
local removed = {}
local function count(fields, run, id)
    local found = {run = run}
    for i = 1, #fields, 2 do found[fields[i]] = fields[i + 1] end
    -- A newer message may stand for the package by now. One that waits for another try never does.
    if found.mark and id and redis.call('HGET', waiting, found.mark) == lane .. ':' .. id then
        redis.call('HDEL', waiting, found.mark)
    end
    if found.run and found.run ~= '' then
        redis.call('HINCRBY', run_counts, found.run .. ':' .. word, 1)
        redis.call('HINCRBY', run_counts, found.run .. ':open', -1)
        local outcomes = outcomes_prefix .. found.run
        if redis.call('EXISTS', outcomes) == 1 then
            redis.call('XADD', outcomes, '*', 'data', found.data, 'kind', word, 'reason', 'taken out of the queue')
        end
    end
end
for i, id in ipairs(ids) do
    local entry = redis.call('XRANGE', stream, id, id)[1]
    local pending = redis.pcall('XPENDING', stream, group, id, id, 1)
    local in_work = not pending.err and #pending > 0 and pending[1][3] < tonumber(handed_back_ms)
    if entry and not in_work then
        count(entry[2], runs[i], id)
        redis.pcall('XACK', stream, group, id)
        redis.call('XDEL', stream, id)
        removed[#removed + 1] = id
    end
end
for _, token in ipairs(tokens) do
    local payload = redis.call('HGET', payloads, token)
    if payload and redis.call('ZREM', retries, token) == 1 then
        count(cmsgpack.unpack(payload))
        redis.call('HDEL', payloads, token)
        removed[#removed + 1] = token
    end
end
return removed
""",
    keys="stream retries payloads waiting run_counts outcomes_prefix",
    arguments="group lane word handed_back_ms ids* runs* tokens*",
)


@dataclass(frozen=True, slots=True)
class Queued:
    """This is one message of a lane."""

    entry: Entry
    state: str
    """The state is `waiting`, `in work` or `retrying`."""
    key: str
    """This is the id of the message's entry, or its token in the retry set."""
    next_try_at: str | None = None
    """This time is written in ISO 8601, UTC. It is None unless the message is retrying."""
    is_submission: bool = False
    """No daemon has moved the message to its lane yet."""

    @property
    def message(self) -> Message | None:
        """Return the message, or None if its data cannot be read."""
        return self.entry.asks if isinstance(self.entry.asks, Message) else None

    def as_dict(self) -> dict[str, Any]:
        """Return the message and its state as plain data that JSON can hold."""
        return {
            "package": self.message.package if self.message else self.entry.data.decode(errors="replace")[:200],
            "ecosystem": self.entry.ecosystem,
            "lane": str(self.entry.lane),
            "state": self.state,
            "tries": self.entry.attempts,
            "reason": self.entry.history.reason or None,
            "next_try_at": self.next_try_at,
            "id": self.key,
            "run": self.entry.run or None,
        }


Wanted = Callable[[Queued], bool]


async def queued_messages(
    redis: Redis,
    stream: str,
    group: str,
    ecosystems: Iterable[str],
    lanes: Iterable[Lane] = LANES,
    *,
    only_retrying: bool = False,
) -> AsyncIterator[Queued]:
    """Yield every message of the lanes, which are read page by page, or only those that wait for another attempt.

    What other programs have submitted, and no daemon has moved to the lane `asked` yet, comes first. For each lane, the
    messages in the lane come first, beginning with the oldest; then come those that wait for another attempt. A message
    that comes or goes meanwhile may be missed, or may be yielded although it has gone. This raises StoreError.
    """
    keys = Keys(stream)
    ecosystems, lanes = list(ecosystems), list(lanes)
    if Lane.ASKED in lanes and not only_retrying:
        async for message in _submitted(redis, keys, group, ecosystems):
            yield message
    for ecosystem in ecosystems:
        for lane in lanes:
            if not only_retrying:
                async for message in _in_lane(redis, keys, group, ecosystem, lane):
                    yield message
            async for message in _retrying(redis, keys, ecosystem, lane):
                yield message


async def remove_messages(
    redis: Redis,
    stream: str,
    group: str,
    *,
    word: str,
    ecosystems: Iterable[str],
    lanes: Iterable[Lane],
    wanted: Wanted = lambda _: True,
) -> list[Queued]:
    """Take the wanted messages out of the lanes, except those in work, and return the removed ones.

    Their runs count them under `word`, which is `cancelled` or `purged`. This raises StoreError.
    """
    removed: list[Queued] = []
    chosen: dict[tuple[str, Lane, bool], list[Queued]] = {}
    async for message in queued_messages(redis, stream, group, ecosystems, lanes):
        if message.state != IN_WORK and wanted(message):
            origin = message.entry.ecosystem, message.entry.lane, message.is_submission
            page = chosen.setdefault(origin, [])
            page.append(message)
            if len(page) == _PAGE:
                removed += await _remove(redis, Keys(stream), group, word, page)
                page.clear()
    for page in chosen.values():
        if page:
            removed += await _remove(redis, Keys(stream), group, word, page)
    return removed


async def messages_in_work(
    redis: Redis, stream: str, group: str, ecosystems: Sequence[str], lanes: Sequence[Lane], *, limit: int
) -> list[Queued]:
    """Return at most `limit` messages of each lane that a consumer has taken and not settled yet.

    Two calls ask for all lanes. This raises StoreError.
    """
    keys = Keys(stream)
    pairs = [(ecosystem, lane) for ecosystem in ecosystems for lane in lanes]
    taken: list[tuple[str, Lane, bytes, int]] = []
    with store_errors():
        async with redis.pipeline(transaction=False) as pipeline:
            for ecosystem, lane in pairs:
                pipeline.xpending_range(keys.lane(ecosystem, lane), group, "-", "+", limit)
            answers: Any = await pipeline.execute(raise_on_error=False)
        for (ecosystem, lane), answer in zip(pairs, answers, strict=True):
            if isinstance(answer, ResponseError):
                continue  # The lane does not exist yet.
            if isinstance(answer, Exception):
                raise answer
            taken += [
                (ecosystem, lane, row["message_id"], row["times_delivered"])
                for row in answer
                if row["time_since_delivered"] < HANDED_BACK_IDLE_MS
            ]
        async with redis.pipeline(transaction=False) as pipeline:
            for ecosystem, lane, entry_id, _ in taken:
                pipeline.xrange(keys.lane(ecosystem, lane), entry_id, entry_id)
            found: Any = await pipeline.execute() if taken else []
    return [
        Queued(
            read_entry(ecosystem, lane, entry_id, rows[0][1], deliveries=max(1, deliveries)), IN_WORK, entry_id.decode()
        )
        for (ecosystem, lane, entry_id, deliveries), rows in zip(taken, found, strict=True)
        if rows
    ]


async def _remove(redis: Redis, keys: Keys, group: str, word: str, page: Sequence[Queued]) -> list[Queued]:
    pair = page[0].entry.ecosystem, page[0].entry.lane
    waiting = [each for each in page if each.state == WAITING]
    gone = await remove_keys(
        redis,
        keys.stream,
        group,
        *pair,
        word=word,
        ids=[each.key for each in waiting],
        tokens=[each.key for each in page if each.state == RETRYING],
        submission_runs=[each.entry.run for each in waiting] if page[0].is_submission else None,
    )
    return [each for each in page if each.key in gone]


async def remove_keys(
    redis: Redis,
    stream: str,
    group: str,
    ecosystem: str,
    lane: Lane,
    *,
    word: str,
    ids: Sequence[str],
    tokens: Sequence[str],
    submission_runs: Sequence[str] | None = None,
) -> set[str]:
    """Take messages out of one lane: those that wait by the ids of their entries, and those that wait for another
    attempt by their tokens. Return which of them were there and are gone now; messages in work stay.

    Their runs count them under `word`. If `submission_runs` is given, the ids are those of submissions that no daemon
    has moved to the lane yet; it has the run of each, which an entry of that stream does not name. This raises
    StoreError.
    """
    keys = Keys(stream)
    with store_errors():
        gone: list[Any] = await _REMOVE.run(
            redis,
            stream=keys.lane(ecosystem, lane) if submission_runs is None else keys.submissions,
            retries=keys.retries(ecosystem, lane),
            payloads=keys.payloads(ecosystem, lane),
            waiting=keys.waiting(ecosystem),
            run_counts=keys.run_counts,
            outcomes_prefix=keys.outcomes(""),
            group=group,
            lane=lane,
            word=word,
            handed_back_ms=HANDED_BACK_IDLE_MS,
            ids=list(ids),
            runs=[""] * len(ids) if submission_runs is None else list(submission_runs),
            tokens=list(tokens),
        )
    return {key.decode() for key in gone}


async def _submitted(redis: Redis, keys: Keys, group: str, ecosystems: Collection[str]) -> AsyncIterator[Queued]:
    """Yield the submissions that ask for a package of these ecosystems. The others will become dead letters."""
    names = {ecosystem.label: ecosystem.name for ecosystem in ECOSYSTEMS}
    async for entry_id, fields, idle_ms, deliveries in _entries(redis, keys.submissions, group):
        entry = read_submission(entry_id, fields, deliveries=max(1, deliveries), unknown=lambda _: None)
        name = names.get(entry.asks.node_type, "") if isinstance(entry.asks, Message) else ""
        if name in ecosystems:
            yield Queued(replace(entry, ecosystem=name), _state(idle_ms), entry.entry_id, is_submission=True)


async def _in_lane(redis: Redis, keys: Keys, group: str, ecosystem: str, lane: Lane) -> AsyncIterator[Queued]:
    async for entry_id, fields, idle_ms, deliveries in _entries(redis, keys.lane(ecosystem, lane), group):
        entry = read_entry(ecosystem, lane, entry_id, fields, deliveries=max(1, deliveries))
        yield Queued(entry, _state(idle_ms), entry.entry_id)


def _state(idle_ms: int) -> str:
    return IN_WORK if 0 <= idle_ms < HANDED_BACK_IDLE_MS else WAITING


async def _entries(redis: Redis, stream: str, group: str) -> AsyncIterator[tuple[bytes, dict[bytes, bytes], int, int]]:
    """Yield the id of each entry, its fields, and the last two values of `_PAGE_OF`."""
    start = "-"
    while True:
        with store_errors():
            rows: Any = await _PAGE_OF.run(redis, stream=stream, group=group, **{"from": start}, count=_PAGE)
        for entry_id, flat, idle_ms, deliveries in rows:
            yield entry_id, dict(zip(flat[::2], flat[1::2], strict=True)), idle_ms, deliveries
        if len(rows) < _PAGE:
            return
        start = f"({rows[-1][0].decode()}"


async def _retrying(redis: Redis, keys: Keys, ecosystem: str, lane: Lane) -> AsyncIterator[Queued]:
    # Not by rank: whoever is given a page may take it away before the next one is asked for.
    start, seen = "-inf", list[bytes]()
    while True:
        with store_errors():
            rows: Any = await _RETRIES_OF.run(
                redis,
                retries=keys.retries(ecosystem, lane),
                payloads=keys.payloads(ecosystem, lane),
                **{"from": start},
                count=_PAGE,
                seen=seen,
            )
        for token, due_ms, flat in rows:
            fields = dict(zip(flat[::2], flat[1::2], strict=True))
            tail = _TOKEN_TAIL.search(token.decode())
            entry = read_entry(ecosystem, lane, tail.group().encode() if tail else b"0-0", fields)
            due = iso(datetime.fromtimestamp(float(due_ms) / 1000, UTC))
            yield Queued(entry, RETRYING, token.decode(), due)
        if not rows:
            return
        last = rows[-1][1]
        seen = [*(seen if last == start else ()), *(token for token, due_ms, _ in rows if due_ms == last)]
        start = last
