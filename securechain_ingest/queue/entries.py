"""One delivered stream entry, and what the queue remembers about a message across its tries."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

HISTORY_FIELD = "securechain-ingest:history"
"""The field beside `data` that only a returned retry carries. Its name is the daemon's own, so that a field that a
producer adds by accident (`attempts`, `error`) is never taken for it."""

MARK_FIELD = "securechain-ingest:waiting"
"""The field beside `data` of a bulk entry that stands for its package: the package's field in `Keys.waiting`."""

_ENTRY_ID = re.compile(r"\d+-\d+")


@dataclass(frozen=True, slots=True)
class History:
    """The failed tries of a message so far."""

    origin_id: str
    """The id of the entry that the producer added."""
    attempts: int
    first_failed_at: str
    """ISO 8601, UTC."""

    def encode(self) -> str:
        return orjson.dumps([self.origin_id, self.attempts, self.first_failed_at]).decode()


@dataclass(frozen=True, slots=True)
class Entry:
    """A delivery of a stream entry, before anything is known of its content."""

    bulk: bool
    entry_id: str
    fields: Mapping[bytes, bytes]
    history: History | None
    deliveries: int
    """How often this entry was delivered, this time included."""
    claimed: bool
    """Taken over from a consumer that fell silent or handed it back."""

    @property
    def key(self) -> tuple[bool, str]:
        """What tells it from every other entry of both streams."""
        return self.bulk, self.entry_id

    @property
    def origin_id(self) -> str:
        return self.history.origin_id if self.history else self.entry_id

    @property
    def attempts(self) -> int:
        """Failed tries and deliveries without a result before this one."""
        return (self.history.attempts if self.history else 0) + self.deliveries - 1

    @property
    def data(self) -> bytes:
        """The raw text as it was received; empty if there was none."""
        return self.fields.get(b"data", b"")

    @property
    def mark(self) -> bytes:
        """Its package's field in `Keys.waiting`; empty if it has none."""
        return self.fields.get(MARK_FIELD.encode(), b"")

    @property
    def run(self) -> str:
        """The run that it counts for; empty if there is none, or if nobody can read it."""
        try:
            document = orjson.loads(self.data)
        except orjson.JSONDecodeError:
            return ""
        run = document.get("run") if isinstance(document, dict) else None
        return run.strip() if isinstance(run, str) else ""

    def after_failure(self, failed_at: str) -> History:
        first = self.history.first_failed_at if self.history else failed_at
        return History(self.origin_id, self.attempts + 1, first)


def entry(
    *, bulk: bool, entry_id: bytes, fields: Mapping[bytes, bytes], deliveries: int = 1, claimed: bool = False
) -> Entry:
    return Entry(bulk, entry_id.decode(), fields, _history(fields), deliveries, claimed)


def now_iso() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _history(fields: Mapping[bytes, bytes]) -> History | None:
    """What `History.encode` wrote; None for anything else, which is then a producer's and means nothing."""
    raw = fields.get(HISTORY_FIELD.encode())
    if raw is None:
        return None
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    match document:
        case [str(origin_id), int(attempts), str(first), *_] if _ENTRY_ID.fullmatch(origin_id) and attempts > 0:
            return History(origin_id, attempts, first)
    return None
