"""This module describes one entry of a stream, and what the queue remembers about a message across its attempts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import orjson
import structlog

from securechain_ingest.errors import PoisonMessage
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.messages import Message, merged, package_of, parse, parse_data

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class History:
    """This records the failed attempts of a message so far. Fields that a newer release adds at its end are ignored."""

    origin_id: str
    """The producer added the entry with this id. It is empty for an entry that a daemon added itself."""
    attempts: int = 0
    """This counts the attempts that said something about the package; a pause or an outage is no attempt."""
    first_failed_at: str = ""
    """This time is written in ISO 8601, UTC. It is empty as long as no attempt has failed."""
    reason: str = ""
    """This says why the last attempt failed."""
    outages: int = 0
    """The registry could not be reached this many times in a row."""

    def encode(self) -> bytes:
        return orjson.dumps([self.origin_id, self.attempts, self.first_failed_at, self.reason, self.outages])

    @classmethod
    def decode(cls, raw: bytes | None) -> History:
        """Return the history that `encode` wrote. Any other text gives an empty history."""
        try:
            document = orjson.loads(raw or b"null")
        except orjson.JSONDecodeError:
            document = None
        match document:
            case [str(origin), int(attempts), str(first), str(reason), int(outages), *_] if min(attempts, outages) >= 0:
                return cls(origin, attempts, first, reason, outages)
        return cls("")


@dataclass(frozen=True, slots=True)
class Entry:
    """This is one delivery of a lane's entry, or of a submission that is on its way to a lane."""

    ecosystem: str
    """This is empty for a submission."""
    lane: Lane
    entry_id: str
    data: bytes
    """This is the data as the producer sent it, byte for byte."""
    asks: Message | PoisonMessage
    """This is what `data` and `also` ask for together, or the error that says why `data` cannot be read."""
    merge_key: str = ""
    """The entry stands for this package in `Keys.waiting`. The key is empty if the entry is never merged."""
    run: str = ""
    """The entry counts for this run. It is empty if there is none."""
    history: History = History("")
    deliveries: int = 1
    """The entry was delivered this many times, including this time."""
    claimed: bool = False
    """If this is True, another delivery may already have had the entry's effect, or a part of it. The entry was taken
    over from a consumer that fell silent or handed it back, or a store went away while the entry was handled."""
    is_probe: bool = False
    """Only this message is sent to the endpoint, to find out whether the endpoint is well again."""
    also: bytes = b""
    """A submission also stands for this message of the daemon on its package, since its own `data` stays as it came."""

    @property
    def message(self) -> Message:
        """Return the message. This raises PoisonMessage if `data` cannot be read."""
        if isinstance(self.asks, PoisonMessage):
            raise self.asks
        return self.asks

    @property
    def key(self) -> tuple[str, Lane, str]:
        """Return the ecosystem, lane and id, which distinguish the entry from every other one."""
        return self.ecosystem, self.lane, self.entry_id

    @property
    def origin_id(self) -> str:
        """Return the id under which the message's producer added it, or the entry's own id if a daemon added it."""
        return self.history.origin_id or self.entry_id

    @property
    def attempts(self) -> int:
        """Return the number of failed attempts and of deliveries without a result before this delivery."""
        return self.history.attempts + self.deliveries - 1

    @property
    def redelivered(self) -> bool:
        """Return whether the entry's effect, or a part of it, may already have happened."""
        return self.claimed or bool(self.history.first_failed_at or self.history.outages)

    def fields(self, history: History | None = None) -> list[str | bytes]:
        """Return the fields as they are added to a stream, names and values in turn."""
        return entry_fields(
            self.data, merge_key=self.merge_key, run=self.run, history=history or self.history, also=self.also
        )


def entry_fields(
    data: bytes | str, *, merge_key: str = "", run: str = "", history: History | None = None, also: bytes = b""
) -> list[str | bytes]:
    """Return the fields of a lane's entry, names and values in turn. Empty fields are left out."""
    fields: list[str | bytes] = ["data", data]
    if merge_key:
        fields += ["mark", merge_key]
    if run:
        fields += ["run", run]
    if history is not None and history != History(""):
        fields += ["history", history.encode()]
    if also:
        fields += ["also", also]
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
    """Return the entry of a lane that has these stream fields."""
    also = fields.get(b"also", b"")
    return Entry(
        ecosystem,
        lane,
        entry_id.decode(),
        fields.get(b"data", b""),
        _asks_in_all(_asks(fields), also, entry_id),
        fields.get(b"mark", b"").decode(errors="replace"),
        fields.get(b"run", b"").decode(errors="replace"),
        History.decode(fields.get(b"history")),
        deliveries,
        claimed,
        is_probe,
        also,
    )


def read_submission(
    entry_id: bytes,
    fields: Mapping[bytes, bytes],
    *,
    deliveries: int,
    unknown: Callable[[Iterable[str]], None],
) -> Entry:
    """Return the entry that another program has added. Only its field `data` counts, and all other fields are ignored.

    `unknown` has the same meaning as in `parse`.
    """
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


def _asks_in_all(asks: Message | PoisonMessage, also: bytes, entry_id: bytes) -> Message | PoisonMessage:
    """Return what `data` and `also` ask for together. The package is spelled as in `data`."""
    if not also or isinstance(asks, PoisonMessage):
        return asks
    try:
        return merged(parse_data(also), asks)
    except PoisonMessage as error:
        # The daemon itself writes `also`, so another program has changed it. What was asked for is served all the same.
        logger.warning(
            "own_message_unreadable", package=package_of(asks), entry_id=entry_id.decode(), reason=str(error)
        )
        return asks
