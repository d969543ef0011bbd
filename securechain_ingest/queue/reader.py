"""This module serves the lanes: it takes messages as places become free, has them handled, and settles each one.

Each ecosystem has a bounded number of places of its own, so that a slow or paused registry costs the others nothing.
Two of these places are reserved for `asked`; an ecosystem with two places reserves one, and one with one place none.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import anyio
import structlog
from anyio.abc import TaskGroup
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from securechain_ingest.ecosystem_settings import WorkerSettings
from securechain_ingest.errors import IngestError, StoreAway
from securechain_ingest.metrics import MESSAGE_SECONDS, MESSAGES
from securechain_ingest.model import Ecosystem
from securechain_ingest.progress import Progress, step
from securechain_ingest.queue.backoff import AWAY, Outage
from securechain_ingest.queue.breakers import Breakers
from securechain_ingest.queue.entries import Entry
from securechain_ingest.queue.failed_deliveries import FailedDeliveries
from securechain_ingest.queue.forwarder import Forwarder
from securechain_ingest.queue.groups import consumer_name, ensure_groups, is_group_missing, remove_consumers
from securechain_ingest.queue.handling import Handler, Link, Outcome
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.leases import LeaseKeeper
from securechain_ingest.queue.places import Places
from securechain_ingest.queue.settlement import Failure, Settlement, named
from securechain_ingest.queue.taking import Taker
from securechain_ingest.settings import QueueSettings

logger = structlog.get_logger(__name__)

_LONGEST_OUTAGE_S = 3600.0
"""If a store is away for more than this many seconds, the message counts this as a failed attempt."""
_CONSUMERS_EVERY_S = 60.0
_DEAD_AFTER_LEASES = 10
"""A consumer that reads nothing for this many leases is regarded as dead."""


@dataclass(slots=True)
class _Work:
    """It is the work on one entry."""

    since: float
    """The work began at this time (monotonic clock, seconds)."""
    handling: anyio.CancelScope
    """An operator's pause interrupts the work within this scope."""
    again: Entry | None = None
    """The entry was taken once more before this work has ended, as after it was handed back."""


class Reader:
    """This serves the lanes of some ecosystems until it is stopped. One instance runs once.

    `handler` is called in one task per message. When it returns, its effect must be committed. A transient IngestError
    postpones the message, and any other IngestError makes it a dead letter. Any other exception is a fault of the
    program and counts as transient. `link` serves at once the messages that need no registry. `redis` must not
    decode responses.
    """

    def __init__(
        self,
        redis: Redis,
        queue: QueueSettings,
        workers: WorkerSettings,
        ecosystems: Sequence[Ecosystem],
        handler: Handler,
        link: Link,
        progress: Progress,
    ) -> None:
        self._progress = progress
        self._redis = redis
        self._queue = queue
        self._workers = workers
        self._ecosystems = ecosystems
        self._handler = handler
        self._keys = Keys(queue.stream)
        self._group = queue.group
        self.consumer = consumer_name(queue.consumer)
        self._forwarder = Forwarder(redis, queue, ecosystems, self._group, self.consumer, link)
        self._settlement = Settlement(redis, self._keys, self._group, self.consumer)
        self._leases = LeaseKeeper(redis, self._keys, self._group, self.consumer, queue.lease_s)
        self._outage = Outage("redis")
        self._failed_deliveries = FailedDeliveries(
            Breakers(redis, self._keys), self._settlement, self._outage, lambda: self._queue
        )
        self._others_outage = Outage("graph or advisories")
        self._in_flight: dict[str, dict[tuple[str, Lane, str], _Work]] = {each.name: {} for each in ecosystems}
        """This maps each ecosystem to its entries in work."""
        self._places: dict[str, Places] = {}
        self._stopping = asyncio.Event()
        self._ready = {name: asyncio.Event() for name in ("forwarder", *self._in_flight)}
        self._settled_at: datetime | None = None

    @property
    def settled_at(self) -> datetime | None:
        """Return when a message was last settled, whatever the result, or None if none was settled yet."""
        return self._settled_at

    @property
    def in_flight(self) -> int:
        """Return the number of messages that are being handled."""
        return sum(map(len, self._in_flight.values()))

    async def ready(self) -> None:
        """Wait until messages are really being taken."""
        for event in self._ready.values():
            await event.wait()

    def stop(self) -> None:
        """Take no further message. `run` returns when the messages in flight are settled."""
        self._stopping.set()
        self._wake_all()

    def apply(self, queue: QueueSettings, workers: WorkerSettings) -> None:
        """Use the changed settings from now on, as far as they can change while the daemon runs."""
        self._queue, self._workers = queue, workers
        self._forwarder.apply(queue)
        self._wake_all()

    def _wake_all(self) -> None:
        for places in self._places.values():
            places.wake.set()

    async def release(self) -> None:
        """Hand back the messages that are still in flight, without counting an attempt, at the end of the grace period.

        The handlers are not interrupted: a message that is finished before another consumer takes it is settled as
        usual. If Redis does not answer, the leases run out instead.
        """
        await anyio.to_thread.run_sync(self._leases.close)
        try:
            handed_back = await self._settlement.hand_back(key for keys in self._in_flight.values() for key in keys)
        except RedisError as error:
            self._outage.failed(error)
        else:
            logger.info("messages_handed_back", count=handed_back)

    async def run(self) -> None:
        """Forward, take, handle and settle messages until `stop`, then finish those in flight.

        Outages of Redis do not end this.
        """
        self._leases.start()
        try:
            async with anyio.create_task_group() as handlers, anyio.create_task_group() as loops:
                loops.start_soon(self._remove_dead_consumers, name="dead consumers")
                async with anyio.create_task_group() as readers:
                    readers.start_soon(self._again_and_again, "forwarder", self._forward, no_rest, name="forwarder")
                    for ecosystem in self._ecosystems:
                        places = self._places[ecosystem.name] = self._make_places(ecosystem, handlers)
                        readers.start_soon(
                            self._again_and_again,
                            ecosystem.name,
                            places.fill,
                            places.rest,
                            name=f"places {ecosystem.name}",
                        )
                loops.cancel_scope.cancel()
            await self._leave()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._leases.close)

    def _make_places(self, ecosystem: Ecosystem, handlers: TaskGroup) -> Places:
        def begin(entry: Entry) -> bool:
            if (work := self._in_flight[ecosystem.name].get(entry.key)) is not None:
                work.again = entry
                return False  # The group was created again, and delivers the entries in work once more.
            work = self._in_flight[ecosystem.name][entry.key] = _Work(time.monotonic(), anyio.CancelScope())
            self._leases.hold(entry.key)
            handlers.start_soon(self._serve, entry, ecosystem, work, name=f"message {entry.entry_id}")
            return True

        return Places(
            ecosystem.name,
            Taker(self._redis, self._keys, ecosystem, self._group, self.consumer),
            total=lambda: self._workers[ecosystem.name],
            more=lambda: (
                self._queue.concurrency - self.in_flight - sum(each.asked_for for each in self._places.values())
            ),
            lease_s=self._queue.lease_s,
            in_flight=self._in_flight[ecosystem.name],
            begin=begin,
            endpoint_fails=lambda: self._failed_deliveries.note_failing(ecosystem),
            hand_back=lambda: self._interrupt(ecosystem.name),
        )

    def _interrupt(self, ecosystem: str) -> None:
        """End the work on an ecosystem's messages, which are handed back then."""
        for work in self._in_flight[ecosystem].values():
            work.handling.cancel()

    @property
    def _streams(self) -> list[str]:
        lanes = [lane for ecosystem in self._ecosystems for lane in self._keys.lanes(ecosystem.name)]
        return [self._keys.submissions, *lanes]

    async def _again_and_again(
        self, name: str, step: Callable[[], Awaitable[bool]], rest: Callable[[], Awaitable[None]]
    ) -> None:
        """Repeat a step, which returns whether Redis was asked, and a rest, until `stop`.

        Outages of Redis and lost groups do not end this. A lost group is created again from the beginning of its
        stream.
        """
        failures = 0
        groups_known = False
        while not self._stopping.is_set():
            self._progress.turned(name)
            asked_at = time.monotonic()
            try:
                if not groups_known:
                    await ensure_groups(self._redis, self._streams, self._group)
                    groups_known = True
                was_asked = await step()
            except ResponseError as error:
                if not is_group_missing(error):
                    failures += 1
                    await self._sit_out(error, asked_at, failures)
                    continue
                logger.warning("group_missing", group=self._group, reason=str(error))
                groups_known = False
            except RedisError as error:
                failures += 1
                await self._sit_out(error, asked_at, failures)
            else:
                failures = 0
                if was_asked:
                    self._outage.answered(asked_at=asked_at)
                    self._ready[name].set()
                await rest()
        self._progress.ended(name)

    async def _sit_out(self, error: RedisError, asked_at: float, failures: int) -> None:
        """Wait a while after a failure; `stop` ends the wait."""
        self._outage.failed(error, asked_at=asked_at)
        with anyio.move_on_after(AWAY.after(failures)):
            await self._stopping.wait()

    async def _forward(self) -> bool:
        for name in await self._forwarder.forward():
            self._places[name].wake.set()
        return True

    async def _serve(self, entry: Entry, ecosystem: Ecosystem, work: _Work) -> None:
        """Handle one entry and settle it. This runs as a task of its own."""
        try:
            with self._progress.work(f"message {entry.entry_id}"):
                with work.handling as scope:
                    failed = await self._handle(entry, ecosystem)
                if scope.cancelled_caught:
                    if entry.is_probe:
                        await self._failed_deliveries.probe_again(ecosystem)
                    await self._outage.insist(lambda: self._settlement.hand_back([entry.key]))
                elif failed is not None:
                    await self._failed_deliveries.settle(entry, ecosystem, *failed)
            if not scope.cancelled_caught:
                self._settled_at = datetime.now(UTC)
                MESSAGES.labels(ecosystem.name, entry.lane, "failed" if failed else "done").inc()
                MESSAGE_SECONDS.labels(ecosystem.name).observe(time.monotonic() - work.since)
            while (again := work.again) is not None:
                work.again = None
                if again.is_probe:
                    await self._failed_deliveries.probe_again(ecosystem)
                await self._outage.insist(lambda: self._settlement.hand_back([entry.key]))
        finally:
            self._leases.drop(entry.key)
            del self._in_flight[ecosystem.name][entry.key]
            self._places[ecosystem.name].wake.set()

    async def _handle(self, entry: Entry, ecosystem: Ecosystem) -> tuple[Failure, Exception | None] | None:
        """Handle and complete one entry; if this fails, return the failure and, if there is one, its exception."""
        if entry.attempts >= self._queue.max_deliveries:
            reason = (
                f"delivered {entry.attempts} times without a result; at most {self._queue.max_deliveries} are allowed"
            )
            return Failure("delivery_cap", reason, transient=False), None
        try:
            outcome = await self._outlast_outages(entry)
        except IngestError as error:
            return Failure.of(error), error
        except Exception as error:
            logger.exception("handler_failed", **named(entry))
            return Failure.of(error), error
        await self._outage.insist(lambda: self._settlement.complete(entry, outcome.queue, outcome.versions))
        if outcome.asked_registry:
            await self._failed_deliveries.answered(entry, ecosystem)
        elif entry.is_probe:
            await self._failed_deliveries.probe_again(ecosystem)
        return None

    async def _outlast_outages(self, entry: Entry) -> Outcome:
        """Have an entry handled, and wait while a store is away, because an outage is no failed attempt of the message.

        This raises what the handler raises. It raises StoreAway only after `stop` or after _LONGEST_OUTAGE_S.
        """
        give_up_at = time.monotonic() + _LONGEST_OUTAGE_S
        failures = 0
        while True:
            try:
                outcome = await self._handler(entry)
            except StoreAway as error:
                step()
                failures += 1
                self._others_outage.failed(error)
                if self._stopping.is_set() or time.monotonic() > give_up_at:
                    raise
            else:
                self._others_outage.answered()
                return outcome
            with anyio.move_on_after(AWAY.after(failures)):
                await self._stopping.wait()
            # The store may have gone away after it had committed the effect.
            entry = replace(entry, claimed=True)

    async def _remove_dead_consumers(self) -> None:
        while True:
            await anyio.sleep(_CONSUMERS_EVERY_S)
            try:
                idle_s = _DEAD_AFTER_LEASES * self._queue.lease_s
                await remove_consumers(self._redis, self._streams, self._group, idle_s=idle_s)
            except RedisError as error:
                # The next round tries again. The reading loops log an outage that lasts.
                logger.debug("consumers_not_removed", reason=str(error))

    async def _leave(self) -> None:
        """Take this consumer out of the groups, unless it still has pending entries."""
        try:
            await remove_consumers(self._redis, self._streams, self._group, idle_s=0, only=self.consumer)
        except RedisError as error:
            logger.debug("consumers_not_removed", reason=str(error))


async def no_rest() -> None:
    """Return at once. This is the rest for a step that waits for work itself."""
