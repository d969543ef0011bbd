"""How a delivery ends: completed, postponed, dead-lettered or handed back. Each end is one atomic step in Redis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import orjson
from redis.asyncio import Redis

from securechain_ingest.bounds import sentence
from securechain_ingest.errors import ConfigError, IngestError, RateLimited
from securechain_ingest.intake import scripts
from securechain_ingest.intake.entries import Entry, now_iso
from securechain_ingest.intake.keys import Keys
from securechain_ingest.intake.messages import Message, encode

VALIDATION_KINDS = frozenset({"missing_data", "bad_json", "bad_schema", "invalid_name"})
TYPE_KINDS = frozenset({"unknown_node_type", "unsupported_type"})

HANDED_BACK_IDLE_MS = 30 * 86_400_000
"""Longer than any sensible lease, so that the next claim of any daemon takes the entry."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a delivery did not succeed, and whether another try can help."""

    kind: str
    reason: str
    """One sentence."""
    transient: bool
    at_least_s: float = 0.0
    """The pause that the registry asked for."""

    @classmethod
    def of(cls, error: Exception) -> Failure:
        if isinstance(error, IngestError):
            delay_s = error.delay_s if isinstance(error, RateLimited) else None
            # A store that refuses the credentials is for the operator to mend; the message is right.
            transient = error.transient or isinstance(error, ConfigError)
            return cls(error.kind, sentence(str(error)), transient, max(delay_s or 0.0, 0.0))
        # A fault of the program may be one of the moment; if it is not, the message ends as a dead letter at the cap.
        return cls("internal_error", sentence(" ".join(f"{type(error).__name__}: {error}".split())), transient=True)


class Settlement:
    """The last step of each delivery. Every call raises RedisError and may be repeated until it gets an answer."""

    def __init__(self, redis: Redis, keys: Keys, group: str, consumer: str) -> None:
        self._keys = keys
        self._group = group
        self._consumer = consumer
        self._complete = redis.register_script(scripts.COMPLETE)
        self._dead_letter = redis.register_script(scripts.DEAD_LETTER)
        self._postpone = redis.register_script(scripts.POSTPONE)
        self._hand_back = redis.register_script(scripts.HAND_BACK)

    async def complete(self, entry: Entry, follow_ups: Sequence[Message], versions: int) -> None:
        """Queue the follow-ups on the bulk stream, acknowledge, delete and count."""
        keys = self._keys
        await self._complete(
            keys=[self._source(entry), keys.bulk, keys.counters, keys.waiting, keys.run_counts],
            args=[self._group, entry.entry_id, entry.mark, entry.run, versions, *map(encode, follow_ups)],
        )

    async def postpone(self, entry: Entry, delay_s: float) -> bool:
        """Move the message out of its stream until it is due; False if another consumer has it by now."""
        history = entry.after_failure(now_iso())
        payload = {"bulk": entry.bulk, "data": entry.data.decode(), "history": history.encode()}
        moved = await self._postpone(
            keys=[self._source(entry), self._keys.retries, self._keys.retry_payloads, self._keys.waiting],
            args=[
                self._group,
                self._consumer,
                entry.entry_id,
                f"{'bulk' if entry.bulk else 'on-demand'}:{entry.origin_id}:{entry.entry_id}",
                int(delay_s * 1000),
                orjson.dumps(payload),
                entry.mark,
            ],
        )
        return bool(moved)

    async def dead_letter(self, entry: Entry, failure: Failure, attempts: int, max_length: int) -> bool:
        """Put the raw text and the reason aside for good; False if another consumer has the entry by now."""
        failed_at = now_iso()
        fields: dict[str, str | bytes | int] = {
            "data": entry.data,
            "error": failure.reason,
            "kind": failure.kind,
            "attempts": attempts,
            "first_failed_at": entry.after_failure(failed_at).first_failed_at,
            "last_failed_at": failed_at,
            "origin_id": entry.origin_id,
        }
        keys = self._keys
        moved = await self._dead_letter(
            keys=[self._source(entry), keys.dead_letters, keys.counters, keys.waiting, keys.run_counts],
            args=[
                self._group,
                self._consumer,
                entry.entry_id,
                max_length,
                _counter(failure.kind),
                entry.mark,
                entry.run,
                *(part for field in fields.items() for part in field),
            ],
        )
        return bool(moved)

    async def hand_back(self, entries: Iterable[tuple[bool, str]]) -> int:
        """Let another consumer have the entries (bulk or not, id) at once; how many were still this consumer's."""
        ids: dict[bool, list[str]] = {False: [], True: []}
        for bulk, entry_id in entries:
            ids[bulk].append(entry_id)
        handed_back = 0
        for bulk, named in ids.items():
            handed_back += await self._hand_back(
                keys=[self._keys.source(bulk=bulk)], args=[self._group, self._consumer, HANDED_BACK_IDLE_MS, *named]
            )
        return handed_back

    def _source(self, entry: Entry) -> str:
        return self._keys.source(bulk=entry.bulk)


def _counter(kind: str) -> str:
    """The counter of a dead letter; the three are disjoint, so that with `successful` they add up to the total."""
    if kind in VALIDATION_KINDS:
        return "validation_errors"
    return "unsupported_types" if kind in TYPE_KINDS else "failed"
