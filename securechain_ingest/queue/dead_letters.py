"""Looking at the messages that could not be served; sending them again or dropping them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from redis.asyncio import Redis

from securechain_ingest.errors import PoisonMessage
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import LANES, Lane
from securechain_ingest.queue.messages import parse_data
from securechain_ingest.queue.script import Script
from securechain_ingest.redis_errors import store_errors
from securechain_ingest.settings import QueueSettings

_PAGE = 500

_REPLAY: Final = Script(
    """
local replayed = 0
for i, id in ipairs(ids) do
    local found = redis.call('XRANGE', dead_letters, id, id)
    if #found == 1 then
        local letter = {}
        for i = 1, #found[1][2], 2 do letter[found[1][2][i]] = found[1][2][i + 1] end
        local fields = {'data', letter.data or ''}
        if runs[i] ~= '' then
            fields[3], fields[4] = 'run', runs[i]
            redis.call('HINCRBY', run_counts, runs[i] .. ':open', 1)
        end
        redis.call('XADD', target, '*', unpack(fields))
        redis.call('XDEL', dead_letters, id)
        replayed = replayed + 1
    end
end
return replayed
""",
    keys="dead_letters target run_counts",
    arguments="ids* runs*",
)

_COUNT = re.compile(r"[0-9]{1,9}")
_ENTRY_ID = re.compile(r"[0-9]{1,19}-[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message that was put aside. One that another program put there has no more than `data` and `error`."""

    entry_id: str
    data: str
    """As received; bytes that are not UTF-8 are shown as replacement characters, but kept for a replay."""
    error: str
    kind: str
    attempts: int
    first_failed_at: str
    last_failed_at: str
    origin_id: str
    lane: str = ""
    """Where it waited, and where a replay puts it; empty where that is not known."""


async def list_dead_letters(
    redis: Redis, queue: QueueSettings, *, limit: int, after: str | None = None, kind: str | None = None
) -> list[DeadLetter]:
    """At most `limit` dead letters behind the id `after`, oldest first. Raises StoreError."""
    letters: list[DeadLetter] = []
    async for page in _pages(redis, queue, after):
        letters.extend(islice((letter for letter in page if kind in (None, letter.kind)), limit - len(letters)))
        if len(letters) >= limit:
            break
    return letters


async def count_by_kind(redis: Redis, queue: QueueSettings) -> Counter[str]:
    """How many dead letters there are of each kind; reads all of them. Raises StoreError."""
    found: Counter[str] = Counter()
    async for page in _pages(redis, queue, after=None):
        found.update(letter.kind for letter in page)
    return found


async def show_dead_letter(redis: Redis, queue: QueueSettings, entry_id: str) -> DeadLetter | None:
    """One dead letter; None if there is none of this id. Raises StoreError."""
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
    """Move dead letters back to their lanes as if their raw text had just been sent; how many. Raises StoreError.

    `ecosystems` gives the ecosystem of each node type. A letter that is no message of theirs, or whose lane is not
    known, goes to the stream of submissions. Without `ids`: all that there are now, or all of `kind`. Each is moved
    whole or not at all.
    """
    keys = Keys(queue.stream)

    async def replay(chosen: list[DeadLetter]) -> int:
        by_target: dict[str, list[tuple[str, str]]] = {}
        for letter in chosen:
            target, run = _target(keys, ecosystems, letter)
            by_target.setdefault(target, []).append((letter.entry_id, run))
        replayed = 0
        for target, named in by_target.items():
            replayed += await _REPLAY.run(
                redis,
                dead_letters=keys.dead_letters,
                target=target,
                run_counts=keys.run_counts,
                ids=[entry_id for entry_id, _ in named],
                runs=[run for _, run in named],
            )
        return replayed

    return await _each_page(redis, queue, ids, kind, replay)


async def drop_dead_letters(
    redis: Redis, queue: QueueSettings, *, ids: Iterable[str] | None = None, kind: str | None = None
) -> int:
    """Delete dead letters, chosen as for a replay; how many. Raises StoreError."""
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


def _target(keys: Keys, ecosystems: Mapping[str, str], letter: DeadLetter) -> tuple[str, str]:
    """The stream that a replay adds to, and the run that it counts for."""
    try:
        message = parse_data(letter.data)
    except PoisonMessage:
        return keys.submissions, ""
    ecosystem = ecosystems.get(message.node_type)
    if ecosystem is None or letter.lane not in LANES:
        return keys.submissions, message.run or ""
    return keys.lane(ecosystem, Lane(letter.lane)), message.run or ""


async def _named(redis: Redis, queue: QueueSettings, ids: Iterable[str]) -> list[DeadLetter]:
    async with redis.pipeline(transaction=False) as pipeline:
        for entry_id in ids:
            pipeline.xrange(Keys(queue.stream).dead_letters, entry_id, entry_id)
        found: Any = await pipeline.execute()
    return [_letter(*rows[0]) for rows in found if rows]


async def _pages(redis: Redis, queue: QueueSettings, after: str | None) -> AsyncIterator[list[DeadLetter]]:
    """What is there now, page by page; what is added meanwhile (a replayed message that failed again) is not."""
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
        kind=text.get("kind", "unknown"),
        attempts=int(attempts) if _COUNT.fullmatch(attempts) else 0,
        first_failed_at=text.get("first_failed_at", ""),
        last_failed_at=text.get("last_failed_at", ""),
        origin_id=text.get("origin_id", ""),
        lane=text.get("lane", ""),
    )
