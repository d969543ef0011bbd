"""What came in: one entry of a stream, and what the queue remembers about a message across its tries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from securechain_ingest.errors import PoisonMessage
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.messages import Message, parse


@dataclass(frozen=True, slots=True)
class History:
    """The failed tries of a message so far. Fields that a newer release adds at its end are passed over."""

    origin_id: str
    """The id of the entry that the producer added; empty for one that a daemon added itself."""
    tries: int = 0
    """Those that said something about the package; a pause or an outage is no try."""
    first_failed_at: str = ""
    """ISO 8601, UTC; empty as long as none has failed."""
    reason: str = ""
    """Why the last one failed."""
    outages: int = 0
    """How often in a row its registry could not be reached."""

    def encode(self) -> bytes:
        return orjson.dumps([self.origin_id, self.tries, self.first_failed_at, self.reason, self.outages])

    @classmethod
    def decode(cls, raw: bytes | None) -> History:
        """What `encode` wrote; an empty one for anything else."""
        try:
            document = orjson.loads(raw or b"null")
        except orjson.JSONDecodeError:
            document = None
        match document:
            case [str(origin), int(tries), str(first), str(reason), int(outages), *_] if min(tries, outages) >= 0:
                return cls(origin, tries, first, reason, outages)
        return cls("")


@dataclass(frozen=True, slots=True)
class Entry:
    """One delivery of a lane's entry, or of a submission that is on its way to a lane."""

    ecosystem: str
    """Empty for a submission."""
    lane: Lane
    entry_id: str
    data: bytes
    """As the producer sent it, byte for byte."""
    asks: Message | PoisonMessage
    """What `data` says, or why nobody can tell."""
    mark: str = ""
    """The package that it stands for in `Keys.waiting`; empty if it is never merged."""
    run: str = ""
    """The run that it counts for; empty if there is none."""
    history: History = History("")
    deliveries: int = 1
    """How often this entry was delivered, this time included."""
    claimed: bool = False
    """Its effect, or a part of it, may have come of another delivery: it was taken over from a consumer that fell
    silent or handed it back, or a store went away in the middle of it."""
    is_probe: bool = False
    """Its endpoint is asked with this message alone whether it is well again."""

    @property
    def message(self) -> Message:
        """What it asks. Raises PoisonMessage if nobody can tell."""
        if isinstance(self.asks, PoisonMessage):
            raise self.asks
        return self.asks

    @property
    def key(self) -> tuple[str, Lane, str]:
        """What tells it from every other entry."""
        return self.ecosystem, self.lane, self.entry_id

    @property
    def origin_id(self) -> str:
        return self.history.origin_id or self.entry_id

    @property
    def tries(self) -> int:
        """Failed tries and deliveries without a result before this one."""
        return self.history.tries + self.deliveries - 1

    @property
    def redelivered(self) -> bool:
        """Whether its effect, or a part of it, may already have happened."""
        return self.claimed or bool(self.history.first_failed_at or self.history.outages)

    def fields(self, history: History | None = None) -> list[str | bytes]:
        """As they are added to a stream, names and values in turn."""
        return entry_fields(self.data, mark=self.mark, run=self.run, history=history or self.history)


def entry_fields(
    data: bytes | str, *, mark: str = "", run: str = "", history: History | None = None
) -> list[str | bytes]:
    """The fields of a lane's entry, names and values in turn; what is empty is left out."""
    fields: list[str | bytes] = ["data", data]
    if mark:
        fields += ["mark", mark]
    if run:
        fields += ["run", run]
    if history is not None and history != History(""):
        fields += ["history", history.encode()]
    return fields


def read_entry(
    ecosystem: str,
    lane: Lane,
    entry_id: bytes,
    fields: Mapping[bytes, bytes],
    *,
    deliveries: int = 1,
    claimed: bool = False,
    is_probe: bool = False,
) -> Entry:
    """The entry of a lane."""
    return Entry(
        ecosystem,
        lane,
        entry_id.decode(),
        fields.get(b"data", b""),
        _asks(fields),
        fields.get(b"mark", b"").decode(errors="replace"),
        fields.get(b"run", b"").decode(errors="replace"),
        History.decode(fields.get(b"history")),
        deliveries,
        claimed,
        is_probe,
    )


def read_submission(
    entry_id: bytes,
    fields: Mapping[bytes, bytes],
    *,
    deliveries: int,
    unknown: Callable[[Iterable[str]], None],
) -> Entry:
    """What another program asks for: only its data counts, whatever else it has added. `unknown` as in `parse`."""
    asks = _asks(fields, unknown)
    return Entry(
        "",
        Lane.ASKED,
        entry_id.decode(),
        fields.get(b"data", b""),
        asks,
        run=asks.run or "" if isinstance(asks, Message) else "",
        deliveries=deliveries,
        claimed=deliveries > 1,
    )


def _asks(
    fields: Mapping[bytes, bytes], unknown: Callable[[Iterable[str]], None] = lambda _: None
) -> Message | PoisonMessage:
    try:
        return parse(fields, unknown=unknown)
    except PoisonMessage as error:
        return error


def now_iso() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
