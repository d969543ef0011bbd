"""The consumer-group reader: takes messages as there is room for them, has them handled, and settles each one.

On-demand messages come first. Bulk messages get what is left, but never the slots that are kept free for on-demand
ones, so that somebody who waits for a package is served at once however long the bulk stream is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import anyio
import structlog
from anyio.abc import TaskGroup
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from securechain_ingest.errors import IngestError, StoreAway
from securechain_ingest.intake.backoff import Outage, retry_delay_s
from securechain_ingest.intake.entries import Entry
from securechain_ingest.intake.groups import consumer_name, ensure_groups, is_group_missing, remove_consumers
from securechain_ingest.intake.keys import Keys
from securechain_ingest.intake.leases import LeaseKeeper
from securechain_ingest.intake.messages import Message, parse
from securechain_ingest.intake.retries import return_due_retries
from securechain_ingest.intake.settlement import Failure, Settlement
from securechain_ingest.intake.source import Source
from securechain_ingest.settings import QueueSettings

logger = structlog.get_logger(__name__)

_POLL_S = 0.1
_LONGEST_OUTAGE_WAIT_S = 5.0
_LONGEST_OUTAGE_S = 3600.0
"""A message that finds a store away for longer counts this as a failed try."""
_CONSUMERS_EVERY_S = 60.0
_UNKNOWN_KEYS_TOLD = 100
_UNKNOWN_KEY_CHARACTERS = 60
_DEAD_AFTER_LEASES = 10
"""A consumer that does not even read for this many leases is taken for dead."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to be handled."""

    message: Message
    bulk: bool
    entry_id: str
    origin_id: str
    """The id of the entry that the producer added."""
    attempts: int
    """Failed tries and deliveries without a result before this one."""
    redelivered: bool
    """Its effect, or a part of it, may already have happened."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a handled message leaves to do."""

    queue: tuple[Message, ...] = ()
    """Messages for the bulk stream, added in the same step that acknowledges the handled one."""
    versions: int = 0
    """How many versions were read from the registry."""


class Reader:
    """Serves both streams until it is stopped. One instance runs once.

    `handler` is called in a task per message. If it returns, its effect must be committed. An IngestError that is
    transient postpones the message, any other dead-letters it; another exception is a fault of the program and counts
    as transient. `redis` must not decode responses.
    """

    def __init__(self, redis: Redis, queue: QueueSettings, handler: Callable[[Delivery], Awaitable[Outcome]]) -> None:
        self._redis = redis
        self._queue = queue
        self._handler = handler
        self._keys = Keys(queue.stream)
        self._group = queue.group
        self._lease_s = queue.lease_s
        self.consumer = consumer_name(queue.consumer)
        self._source = Source(redis, self._keys, self._group, self.consumer, self._lease_s)
        self._settlement = Settlement(redis, self._keys, self._group, self.consumer)
        self._leases = LeaseKeeper(redis, self._keys, self._group, self.consumer, self._lease_s)
        self._outage = Outage("redis")
        self._others_outage = Outage("graph or advisories")
        self._in_flight: set[tuple[bool, str]] = set()
        self._settled_at: datetime | None = None
        self._slot_freed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._ready = asyncio.Event()
        self._next_claim_at = {False: 0.0, True: 0.0}
        self._unknown_keys: set[str] = set()

    @property
    def settled_at(self) -> datetime | None:
        """When a message was last settled, one way or another; None: none yet."""
        return self._settled_at

    @property
    def in_flight(self) -> int:
        """How many messages are being handled."""
        return len(self._in_flight)

    async def ready(self) -> None:
        """Return when messages are really being taken."""
        await self._ready.wait()

    def stop(self) -> None:
        """Take no further message; `run` returns when what is in flight is settled."""
        self._stopping.set()
        self._slot_freed.set()

    def apply(self, queue: QueueSettings) -> None:
        """Use the live ones of changed settings from now on."""
        self._queue = queue
        self._slot_freed.set()

    async def release(self) -> None:
        """Hand back what is still in flight, without counting a try; for the end of the grace period.

        What is handled is not interrupted: a message that is finished before another consumer takes it is settled as
        usual. If Redis does not answer, the leases run out instead.
        """
        await anyio.to_thread.run_sync(self._leases.close)
        try:
            handed_back = await self._settlement.hand_back(self._in_flight)
        except RedisError as error:
            self._outage.failed(error)
        else:
            logger.info("messages_handed_back", count=handed_back)

    async def run(self) -> None:
        """Read, handle and settle until `stop`, then drain. Survives outages of Redis."""
        self._leases.start()
        try:
            async with anyio.create_task_group() as handlers, anyio.create_task_group() as loops:
                loops.start_soon(return_due_retries, self._redis, self._keys, self._outage, name="retries")
                loops.start_soon(self._remove_dead_consumers, name="dead consumers")
                await self._read(handlers)
                loops.cancel_scope.cancel()
            await self._leave()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._leases.close)

    async def _read(self, handlers: TaskGroup) -> None:
        wait_s = _POLL_S
        group_known = False
        while not self._stopping.is_set():
            try:
                if not group_known:
                    await ensure_groups(self._redis, self._keys, self._group)
                    group_known = True
                await self._take(handlers)
            except ResponseError as error:
                if not is_group_missing(error):
                    wait_s = await self._sit_out(error, wait_s)
                    continue
                logger.warning("group_missing", group=self._group, reason=str(error))
                group_known = False
            except RedisError as error:
                wait_s = await self._sit_out(error, wait_s)
            else:
                self._outage.answered()
                wait_s = _POLL_S

    async def _sit_out(self, error: RedisError, wait_s: float) -> float:
        """Wait, unless told to stop; the next time longer."""
        self._outage.failed(error)
        with anyio.move_on_after(wait_s):
            await self._stopping.wait()
        return min(wait_s * 2, _LONGEST_OUTAGE_WAIT_S)

    async def _take(self, handlers: TaskGroup) -> None:
        """Take what there is room for; wait a little if nothing could be taken."""
        self._slot_freed.clear()
        taken, more_claims = await self._take_claims(handlers)
        for bulk in (False, True):
            if room := self._room(bulk=bulk):
                taken += self._start(handlers, await self._source.read(bulk=bulk, count=room))
        self._ready.set()
        if taken or more_claims or self._stopping.is_set():
            return
        if self._room(bulk=True) > 1:
            entries = await self._source.wait()
            if self._stopping.is_set():
                await self._settlement.hand_back(entry.key for entry in entries)
            else:
                self._start(handlers, entries)
        else:
            # Waiting in Redis would not notice that a slot gets free for a bulk message.
            with anyio.move_on_after(_POLL_S):
                await self._slot_freed.wait()

    async def _take_claims(self, handlers: TaskGroup) -> tuple[int, bool]:
        """Take over what other consumers left, now and then; how many, and whether there may be more."""
        taken, more = 0, False
        for bulk, next_at in self._next_claim_at.items():
            room = self._room(bulk=bulk)
            if not room or time.monotonic() < next_at:
                continue
            entries, unfinished = await self._source.claim(bulk=bulk, count=room)
            taken += self._start(handlers, entries)
            more = more or unfinished
            if not unfinished:
                self._next_claim_at[bulk] = time.monotonic() + min(1.0, self._lease_s / 3)
        return taken, more

    def _room(self, *, bulk: bool) -> int:
        """How many more messages may be taken. At least one slot is open to bulk messages."""
        concurrency = self._queue.concurrency
        kept_free = min(self._queue.reserved, concurrency - 1) if bulk else 0
        return max(0, concurrency - kept_free - len(self._in_flight))

    def _start(self, handlers: TaskGroup, entries: Iterable[Entry]) -> int:
        """Begin to handle entries; how many. What is in flight already (the group was recreated) is not begun twice."""
        started = 0
        for entry in entries:
            if entry.key not in self._in_flight:
                self._in_flight.add(entry.key)
                self._leases.hold(entry.key)
                handlers.start_soon(self._serve, entry, name=f"message {entry.entry_id}")
                started += 1
        return started

    async def _serve(self, entry: Entry) -> None:
        try:
            failure = await self._handle(entry)
            if failure is not None:
                await self._fail(entry, failure)
            self._settled_at = datetime.now(UTC)
        finally:
            self._leases.drop(entry.key)
            self._in_flight.discard(entry.key)
            self._slot_freed.set()

    async def _handle(self, entry: Entry) -> Failure | None:
        """Handle and complete one entry, or say why that was not possible."""
        if entry.attempts >= self._queue.max_deliveries:
            reason = (
                f"delivered {entry.attempts} times without a result; at most {self._queue.max_deliveries} are allowed"
            )
            return Failure("delivery_cap", reason, transient=False)
        try:
            message = parse(entry.fields, unknown=self._tell_unknown)
            outcome = await self._outlast_outages(
                Delivery(
                    message=message,
                    bulk=entry.bulk,
                    entry_id=entry.entry_id,
                    origin_id=entry.origin_id,
                    attempts=entry.attempts,
                    redelivered=entry.claimed or entry.history is not None,
                )
            )
        except IngestError as error:
            return Failure.of(error)
        except Exception as error:
            logger.exception("handler_failed", entry_id=entry.entry_id, origin_id=entry.origin_id)
            return Failure.of(error)
        await self._outage.insist(lambda: self._settlement.complete(entry, outcome.queue, outcome.versions))
        return None

    def _tell_unknown(self, keys: Iterable[str]) -> None:
        """Once for each, and of no more than a few: a producer may write anything."""
        for key in sorted({key[:_UNKNOWN_KEY_CHARACTERS] for key in keys} - self._unknown_keys):
            if len(self._unknown_keys) < _UNKNOWN_KEYS_TOLD:
                self._unknown_keys.add(key)
                logger.warning("message_key_unknown", key=key)

    async def _outlast_outages(self, delivery: Delivery) -> Outcome:
        """Have a delivery handled, waiting while a store is away: an outage is no failed try of what it meets."""
        wait_s = _POLL_S
        give_up_at = time.monotonic() + _LONGEST_OUTAGE_S
        while True:
            try:
                outcome = await self._handler(delivery)
            except StoreAway as error:
                self._others_outage.failed(error)
                if self._stopping.is_set() or time.monotonic() > give_up_at:
                    raise
            else:
                self._others_outage.answered()
                return outcome
            with anyio.move_on_after(wait_s):
                await self._stopping.wait()
            wait_s = min(wait_s * 2, _LONGEST_OUTAGE_WAIT_S)
            # The store may have gone after it had committed.
            delivery = replace(delivery, redelivered=True)

    async def _fail(self, entry: Entry, failure: Failure) -> None:
        """Postpone a message that another try can help; dead-letter any other and one whose tries are used up."""
        queue = self._queue
        # At the cap this delivery was no try.
        attempts = entry.attempts + (failure.kind != "delivery_cap")
        known = {"entry_id": entry.entry_id, "origin_id": entry.origin_id, "kind": failure.kind, "attempts": attempts}
        if failure.transient and attempts < queue.max_deliveries:
            delay_s = retry_delay_s(
                attempts, base_s=queue.retry_base_s, max_s=queue.retry_max_s, at_least_s=failure.at_least_s
            )
            if await self._outage.insist(lambda: self._settlement.postpone(entry, delay_s)):
                logger.info("message_postponed", **known, delay_s=round(delay_s, 3), reason=failure.reason)
        elif await self._outage.insist(
            lambda: self._settlement.dead_letter(entry, failure, attempts, queue.dead_letters_max)
        ):
            logger.warning("message_dead_lettered", **known, bulk=entry.bulk, reason=failure.reason)

    async def _remove_dead_consumers(self) -> None:
        while True:
            await anyio.sleep(_CONSUMERS_EVERY_S)
            try:
                idle_s = _DEAD_AFTER_LEASES * self._lease_s
                await remove_consumers(self._redis, self._keys, self._group, idle_s=idle_s)
            except RedisError as error:
                # The next round does it; the reading loop tells of an outage that lasts.
                logger.debug("consumers_not_removed", reason=str(error))

    async def _leave(self) -> None:
        """Take this consumer out of the group, unless something is still pending for it."""
        try:
            await remove_consumers(self._redis, self._keys, self._group, idle_s=0, only=self.consumer)
        except RedisError as error:
            logger.debug("consumers_not_removed", reason=str(error))
