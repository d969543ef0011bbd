"""This module lists the messages that could not be served (dead letters), sends them again or deletes them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from redis.asyncio import Redis

from securechain_ingest.drivers.redis_errors import store_errors
from securechain_ingest.errors import PoisonMessage, StoreFull
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import LANES, Lane
from securechain_ingest.queue.messages import parse_data
from securechain_ingest.queue.script import Script
from securechain_ingest.queue.submission import lane_bound
from securechain_ingest.settings import QueueSettings

KINDS: Final = (
    "archive_refused",
    "bad_json",
    "bad_schema",
    "config",
    "delivery_cap",
    "forbidden_host",
    "internal_error",
    "invalid_name",
    "malformed",
    "missing_data",
    "not_found",
    "parser_lost",
    "stale",
    "store_full",
    "store_refused",
    "store_unavailable",
    "too_large",
    "unavailable",
    "unknown",
    "unknown_node_type",
    "unsupported_type",
)
"""These kinds of failure put messages aside; docs/operations.md says of each what to do. `unknown` stands for a letter
of another program that gives no kind."""

OPERATORS_KINDS: Final = frozenset({"config", "delivery_cap", "internal_error", "store_full", "store_refused"})
"""Of these kinds only an operator can mend the cause, so that the log reports them as errors."""

_PAGE = 500

_REPLAY: Final = Script(
    """
local replayed, bound, is_full = 0, tonumber(max_length), 0
for i, id in ipairs(ids) do
    local found = redis.call('XRANGE', dead_letters, id, id)
    if bound > 0 and redis.call('XLEN', target) + redis.call('ZCARD', retries) >= bound then
        is_full = #found == 1 and 1 or is_full
    elseif #found == 1 then
        local letter = {}
        for i = 1, #found[1][2], 2 do letter[found[1][2][i]] = found[1][2][i + 1] end
        local fields = {'data', letter.data or ''}
        if letter.also then fields[3], fields[4] = 'also', letter.also end
        if runs[i] ~= '' then
            fields[#fields + 1], fields[#fields + 2] = 'run', runs[i]
            redis.call('HINCRBY', run_counts, runs[i] .. ':open', 1)
        end
        redis.call('XADD', target, '*', unpack(fields))
        redis.call('XDEL', dead_letters, id)
        replayed = replayed + 1
    end
end
return {replayed, is_full}
""",
    keys="dead_letters target retries run_counts",
    arguments="ids* runs* max_length",
)

_COUNT = re.compile(r"[0-9]{1,9}")
_ENTRY_ID = re.compile(r"[0-9]{1,19}-[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """This is one message that was put aside. If another program put it there, it has at most `data` and `error`."""

    entry_id: str
    data: str
    """This is the text as it was received. Bytes that are not UTF-8 are shown as replacement characters, but a replay
    keeps them."""
    error: str
    kind: str
    attempts: int
    first_failed_at: str
    last_failed_at: str
    origin_id: str
    lane: str = ""
    """The message waited in this lane, and a replay puts it there. It is empty if the lane is not known."""


async def list_dead_letters(
    redis: Redis, queue: QueueSettings, *, limit: int, after: str | None = None, kind: str | None = None
) -> list[DeadLetter]:
    """Return at most `limit` dead letters, of `kind` if it is given, after the id `after`; the oldest comes first.

    This raises StoreError.
    """
    letters: list[DeadLetter] = []
    async for page in _pages(redis, queue, after):
        letters.extend(islice((letter for letter in page if kind in (None, letter.kind)), limit - len(letters)))
        if len(letters) >= limit:
            break
    return letters


async def count_by_kind(redis: Redis, queue: QueueSettings) -> Counter[str]:
    """Return the number of dead letters of each kind. This reads all of them and raises StoreError."""
    found: Counter[str] = Counter()
    async for page in _pages(redis, queue, after=None):
        found.update(letter.kind for letter in page)
    return found


async def show_dead_letter(redis: Redis, queue: QueueSettings, entry_id: str) -> DeadLetter | None:
    """Return the dead letter with this id, or None if there is none. This raises StoreError."""
    if not _ENTRY_ID.fullmatch(entry_id):
        return None
    with store_errors():
        rows: Any = await redis.xrange(Keys(queue.stream).dead_letters, entry_id, entry_id)
    return _letter(*rows[0]) if rows else None


async def replay_dead_letters(
    redis: Redis,
    queue: QueueSettings,
    *,
    ecosystems: Mapping[str, str],
    ids: Iterable[str] | None = None,
    kind: str | None = None,
) -> int:
    """Move dead letters back to their lanes as if their raw text had just been sent, and return their number.

    `ecosystems` gives the ecosystem of each node type. A letter goes to the stream of submissions if it is no message
    of these ecosystems or if its lane is not known. Without `ids`, all letters that exist now are moved, or all of
    `kind`. Each letter is moved whole or not at all. This raises StoreError, and StoreFull for the letters whose lane
    has no room; these stay where they are.
    """
    keys = Keys(queue.stream)
    full: set[str] = set()

    async def replay(chosen: list[DeadLetter]) -> int:
        by_target: dict[_Target, list[tuple[str, str]]] = {}
        for letter in chosen:
            target, run = _target(keys, ecosystems, letter)
            by_target.setdefault(target, []).append((letter.entry_id, run))
        replayed = 0
        for target, named in by_target.items():
            moved, is_full = await _REPLAY.run(
                redis,
                dead_letters=keys.dead_letters,
                target=target.stream,
                retries=target.retries,
                run_counts=keys.run_counts,
                ids=[entry_id for entry_id, _ in named],
                runs=[run for _, run in named],
                max_length=lane_bound(queue, target.lane) if target.lane not in (None, Lane.ASKED) else 0,
            )
            replayed += moved
            if is_full:
                full.add(target.stream)
        return replayed

    count = await _each_page(redis, queue, ids, kind, replay)
    if full:
        raise StoreFull(f"{count} replayed; no room is left in {', '.join(sorted(full))}: replay the others later")
    return count


async def drop_dead_letters(
    redis: Redis, queue: QueueSettings, *, ids: Iterable[str] | None = None, kind: str | None = None
) -> int:
    """Delete dead letters, which are chosen as in `replay_dead_letters`, and return their number.

    This raises StoreError.
    """
    stream = Keys(queue.stream).dead_letters

    async def drop(chosen: list[DeadLetter]) -> int:
        if not chosen:
            return 0
        return await redis.xdel(stream, *(letter.entry_id for letter in chosen))

    return await _each_page(redis, queue, ids, kind, drop)


async def _each_page(
    redis: Redis,
    queue: QueueSettings,
    ids: Iterable[str] | None,
    kind: str | None,
    act: Callable[[list[DeadLetter]], Awaitable[int]],
) -> int:
    done = 0
    with store_errors():
        if ids is not None:
            named = [entry_id for entry_id in ids if _ENTRY_ID.fullmatch(entry_id)]
            for start in range(0, len(named), _PAGE):
                done += await act(await _named(redis, queue, named[start : start + _PAGE]))
            return done
        async for page in _pages(redis, queue, after=None):
            done += await act([letter for letter in page if kind in (None, letter.kind)])
    return done


@dataclass(frozen=True, slots=True)
class _Target:
    """This is where a replay adds letters. The stream of submissions has no lane and no retry set."""

    stream: str
    retries: str
    lane: Lane | None = None


def _target(keys: Keys, ecosystems: Mapping[str, str], letter: DeadLetter) -> tuple[_Target, str]:
    """Return where a replay adds the letter, and the run that counts it (empty if there is none)."""
    submissions = _Target(keys.submissions, keys.submissions)
    try:
        message = parse_data(letter.data)
    except PoisonMessage:
        return submissions, ""
    ecosystem = ecosystems.get(message.node_type)
    if ecosystem is None or letter.lane not in LANES:
        return submissions, message.run or ""
    lane = Lane(letter.lane)
    return _Target(keys.lane(ecosystem, lane), keys.retries(ecosystem, lane), lane), message.run or ""


async def _named(redis: Redis, queue: QueueSettings, ids: Iterable[str]) -> list[DeadLetter]:
    async with redis.pipeline(transaction=False) as pipeline:
        for entry_id in ids:
            pipeline.xrange(Keys(queue.stream).dead_letters, entry_id, entry_id)
        found: Any = await pipeline.execute()
    return [_letter(*rows[0]) for rows in found if rows]


async def _pages(redis: Redis, queue: QueueSettings, after: str | None) -> AsyncIterator[list[DeadLetter]]:
    """Yield the dead letters that exist now, in pages.

    Letters that are added meanwhile are left out; one may come from a replayed message that failed again.
    """
    stream = Keys(queue.stream).dead_letters
    start = f"({after}" if after and _ENTRY_ID.fullmatch(after) else "-"
    with store_errors():
        newest: Any = await redis.xrevrange(stream, count=1)
        while newest:
            rows: Any = await redis.xrange(stream, start, newest[0][0], count=_PAGE)
            if not rows:
                break
            yield [_letter(entry_id, fields) for entry_id, fields in rows]
            start = f"({rows[-1][0].decode()}"


def _letter(entry_id: bytes, fields: Mapping[bytes, bytes]) -> DeadLetter:
    text = {key.decode(errors="replace"): value.decode(errors="replace") for key, value in fields.items()}
    attempts = text.get("attempts", "")
    return DeadLetter(
        entry_id=entry_id.decode(),
        data=text.get("data", ""),
        error=text.get("error", ""),
        kind=text.get("kind") or "unknown",
        attempts=int(attempts) if _COUNT.fullmatch(attempts) else 0,
        first_failed_at=text.get("first_failed_at", ""),
        last_failed_at=text.get("last_failed_at", ""),
        origin_id=text.get("origin_id", ""),
        lane=text.get("lane", ""),
    )
