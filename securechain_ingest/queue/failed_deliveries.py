"""This module settles a delivery that did not succeed, and tells the endpoint's breaker what each delivery says of its
registry."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from securechain_ingest.errors import ArchivesAway, UpstreamError
from securechain_ingest.metrics import FAILED_ATTEMPTS
from securechain_ingest.model import Ecosystem
from securechain_ingest.queue.backoff import Outage, retry_delay_s
from securechain_ingest.queue.breakers import Breakers
from securechain_ingest.queue.entries import Entry
from securechain_ingest.queue.messages import package_key
from securechain_ingest.queue.settlement import Failure, Settlement, named, report_dead_letter
from securechain_ingest.settings import QueueSettings

logger = structlog.get_logger(__name__)


class FailedDeliveries:
    """Its methods wait as long as Redis is away. `queue` returns the settings in force."""

    def __init__(
        self, breakers: Breakers, settlement: Settlement, outage: Outage, queue: Callable[[], QueueSettings]
    ) -> None:
        self._breakers = breakers
        self._settlement = settlement
        self._outage = outage
        self._queue = queue
        self._failing: set[str] = set()
        """The breakers of these ecosystems' endpoints have counted failures, and are told of the next answer."""

    def note_failing(self, ecosystem: Ecosystem) -> None:
        """Tell the breaker of the ecosystem's endpoint when it answers again."""
        self._failing.add(ecosystem.name)

    async def answered(self, entry: Entry, ecosystem: Ecosystem) -> None:
        """Note that the endpoint has answered, which ends a row of failures."""
        if entry.is_probe or ecosystem.name in self._failing:
            self._failing.discard(ecosystem.name)
            await self._outage.insist(lambda: self._breakers.succeeded(ecosystem.endpoint, is_probe=entry.is_probe))

    async def probe_again(self, ecosystem: Ecosystem) -> None:
        """Note that the probe has said nothing about the endpoint, so that another one is sent."""
        await self._outage.insist(lambda: self._breakers.unasked(ecosystem.endpoint))

    async def settle(self, entry: Entry, ecosystem: Ecosystem, failure: Failure, error: Exception | None) -> None:
        """Settle a delivery that did not succeed. A failure of the registry is no attempt of the message."""
        if isinstance(error, ArchivesAway):
            # The lane is stopped until the endpoint is well again; then another message is taken first.
            if entry.is_probe:
                await self.probe_again(ecosystem)
            await self._outage.insist(lambda: self._settlement.postpone(entry, failure, 0.0, is_attempt=False))
            return
        answer = error if isinstance(error, UpstreamError) else None
        if answer is not None and answer.endpoint == ecosystem.endpoint and not answer.is_registrys:
            # The endpoint has answered, whatever it said about this package.
            await self.answered(entry, ecosystem)
        elif answer is not None and answer.endpoint == ecosystem.endpoint:
            pause_s = answer.pause_s
            package = package_key(entry.message)
            self.note_failing(ecosystem)
            is_open = await self._outage.insist(
                lambda: self._breakers.failed(
                    ecosystem.endpoint, package, failure.reason, is_probe=entry.is_probe, pause_s=pause_s
                )
            )
            if is_open and entry.is_probe:
                # The message goes behind the others, so that the next probe is another message.
                await self._outage.insist(lambda: self._settlement.postpone(entry, failure, 0.0, is_attempt=False))
                return
            if is_open:
                await self._outage.insist(lambda: self._settlement.hand_back([entry.key]))
                return
        elif entry.is_probe:
            await self.probe_again(ecosystem)
        queue = self._queue()
        if answer is not None and not answer.is_about_package:
            await self._postpone(entry, failure, is_attempt=False)
        elif failure.transient and entry.attempts + 1 < queue.max_deliveries:
            await self._postpone(entry, failure, is_attempt=True)
        elif await self._outage.insist(lambda: self._settlement.dead_letter(entry, failure, queue.dead_letters_max)):
            FAILED_ATTEMPTS.labels(entry.ecosystem, failure.kind).inc()
            report_dead_letter(entry, failure)

    async def _postpone(self, entry: Entry, failure: Failure, *, is_attempt: bool) -> None:
        queue = self._queue()
        if is_attempt:
            FAILED_ATTEMPTS.labels(entry.ecosystem, failure.kind).inc()
        failures = entry.attempts + 1 if is_attempt else entry.history.outages + 1
        delay_s = retry_delay_s(
            failures, base_s=queue.retry_base_s, max_s=queue.retry_max_s, at_least_s=failure.at_least_s
        )
        if await self._outage.insist(lambda: self._settlement.postpone(entry, failure, delay_s, is_attempt=is_attempt)):
            logger.info(
                "message_postponed",
                **named(entry),
                kind=failure.kind,
                is_try=is_attempt,
                delay_s=round(delay_s, 3),
                reason=failure.reason,
            )
