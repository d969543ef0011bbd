"""This module is the long-running process: it builds the parts, runs them as named loops in one task group, obeys
signals, and drains.

SIGTERM and SIGINT stop the reading; what is in flight may be finished within the grace period. A second one ends the
process at once. SIGHUP reads the configuration again. The process notifies systemd of readiness, reload and stopping
(sd_notify).
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count

import anyio
import structlog
from sdnotify import SystemdNotifier

from securechain_ingest import __version__, log, metrics
from securechain_ingest.configuration import Settings, merge_reload
from securechain_ingest.drivers.redis_errors import store_errors
from securechain_ingest.embedded.addresses import state_lock
from securechain_ingest.embedded.stores import EmbeddedStores
from securechain_ingest.errors import ConfigError, IngestError, StoreError
from securechain_ingest.jobs.completion import keep_asking
from securechain_ingest.jobs.first_advisories import ask_for_first_advisories
from securechain_ingest.jobs.wiring import build_jobs
from securechain_ingest.progress import LOOP_S, Progress
from securechain_ingest.queue.heartbeats import Heartbeat
from securechain_ingest.queue.reader import Reader
from securechain_ingest.queue.unfinished_import import refuse_unfinished_import
from securechain_ingest.registries import BY_OSV, ECOSYSTEMS
from securechain_ingest.schedules.board import Board
from securechain_ingest.schedules.recorder import Recorder
from securechain_ingest.schedules.scheduler import Scheduler
from securechain_ingest.schedules.timetable import looks_of
from securechain_ingest.service import Service, build_service
from securechain_ingest.store_addresses import configured, missing, refuse_missing, shown_addresses
from securechain_ingest.stores import Stores, open_stores
from securechain_ingest.waits import Waits
from securechain_ingest.web.activity import ActivityMeter
from securechain_ingest.web.page import open_page

logger = structlog.get_logger(__name__)

STORE_WAIT_S = 120.0
"""A starting daemon waits so many seconds for stores that do not answer yet, for example while a whole host boots."""

_STORE_WAITS = Waits(first_s=0.5, longest_s=10.0)

LEAVE_NOW_S = 5.0
"""After a second signal closing may take so many seconds; then the process ends itself."""


async def run(settings: Settings, reload: Callable[[], Settings]) -> None:
    """Serve until a signal comes. `reload` reads the configuration anew. Raise ConfigError, or StoreError at the
    start."""
    began_at = time.monotonic()
    addresses = configured(settings)
    refuse_missing(settings, missing(addresses))
    favour_the_event_loop()
    daemon = Daemon(settings, reload, began_at)
    with anyio.CancelScope() as starting, state_lock(settings.daemon.state_dir):
        # This holds until the loops run and listen to signals themselves; stores that are being started are stopped.
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, starting.cancel)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, daemon.reload_when_ready)
        logger.info(
            "daemon_starting",
            version=__version__,
            pid=os.getpid(),
            state_dir=str(settings.daemon.state_dir),
            local_stores=sorted(missing(addresses)),
            stores=shown_addresses(addresses),
        )
        try:
            async with open_stores(addresses, settings) as (stores, embedded):
                logger.info("stores_opened", seconds=round(time.monotonic() - began_at, 1))
                async with build_service_when_ready(stores, settings, daemon.depth) as service:
                    await daemon.serve(stores, service, embedded)
        except IngestError as error:
            # The command line says it, too; but whoever watches the log of a daemon watches nothing else.
            logger.error("daemon_failed", kind=error.kind, reason=str(error))
            raise
    logger.info("daemon_stopped")


def favour_the_event_loop() -> None:
    """Keep the pauses of the event loop short while threads receive big parsed documents, which are hundreds of
    thousands of young objects.

    It was measured with 50,000 requirements that arrived at once: the lag (99th percentile) was 13 ms instead of 45 ms.
    """
    gc.freeze()
    gc.set_threshold(10_000, 50, 100)
    sys.setswitchinterval(0.001)


@asynccontextmanager
async def build_service_when_ready(
    stores: Stores, settings: Settings, depth: Callable[[], int | None]
) -> AsyncIterator[Service]:
    """Build the service. At most STORE_WAIT_S seconds are waited for stores that do not answer yet or stop answering
    meanwhile.

    It raises StoreError after that time.
    """
    give_up_at = time.monotonic() + STORE_WAIT_S
    for failures in count(1):
        async with AsyncExitStack() as stack:
            try:
                await stores.ping()
                await stores.runs.ensure_indexes()
                service = await stack.enter_async_context(build_service(stores, settings, depth))
                await stores.graph.prepare(ECOSYSTEMS)
            except StoreError as error:
                if time.monotonic() > give_up_at:
                    raise
                wait_s = _STORE_WAITS.after(failures)
                logger.warning("store_unavailable", reason=str(error), next_try_s=wait_s)
            else:
                yield service
                return
        await anyio.sleep(wait_s)


class Daemon:
    """A daemon has the running loops, and the settings that a reload may change while they run."""

    def __init__(self, settings: Settings, reload: Callable[[], Settings], began_at: float) -> None:
        self._settings = settings
        self._began_at = began_at
        self._reload = reload
        self._notifier = SystemdNotifier()
        self._wants_reload = False

    def reload_when_ready(self) -> None:
        """Apply a new configuration as soon as the loops run."""
        self._wants_reload = True

    def depth(self) -> int | None:
        """Return how far requirements are followed for messages that do not say it."""
        return self._settings.packages.depth

    async def serve(self, stores: Stores, service: Service, embedded: EmbeddedStores | None) -> None:
        """Run every loop until a signal has stopped the daemon and the drain is over."""
        progress = Progress(lambda: step_limit_s(self._settings))
        reader = Reader(
            stores.redis,
            self._settings.queue,
            self._settings.workers,
            ECOSYSTEMS,
            service.worker.handle,
            service.worker.link_known,
            progress,
        )
        board = Board(stores.redis, self._settings.queue.stream)
        scheduler = self._scheduler(stores, service, board, progress)
        heartbeat = Heartbeat(
            stores.redis,
            self._settings.queue.stream,
            reader.consumer,
            in_flight=lambda: reader.in_flight,
            last_progress_at=lambda: reader.settled_at,
            stuck=progress.stuck,
        )
        await _join(heartbeat, stores, self._settings.queue.stream)
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            async with anyio.create_task_group() as loops:

                def spawn(name: str, loop: Callable[[], Awaitable[None]]) -> None:
                    loops.start_soon(_supervise, name, loop, name=name)

                async def read() -> None:
                    await reader.run()
                    loops.cancel_scope.cancel()

                async def obey() -> None:
                    await self._obey(signals, reader, scheduler, service, loops.cancel_scope)

                async def ask() -> None:
                    await ask_for_first_advisories(stores, board, self._settings, BY_OSV)

                async def complete() -> None:
                    await keep_asking(stores.redis, stores.graph.pending, ECOSYSTEMS, lambda: self._settings.queue)

                spawn("reader", read)
                spawn("scheduler", scheduler.run)
                spawn("heartbeat", heartbeat.run)
                spawn("lags", service.lags.run)
                spawn("loop lag", metrics.watch_loop)
                spawn("activity", ActivityMeter(stores.redis, self._settings.queue.stream).run)
                spawn("signals", obey)
                spawn("first advisories", ask)
                spawn("completion", complete)
                if embedded is not None:
                    spawn("embedded stores", embedded.watch)
                await reader.ready()
                self._tell_that_it_is_ready(embedded)
                spawn("watchdog", lambda: self._feed_watchdog(progress))
                if (page := open_page(stores, self._settings, progress)) is not None:
                    logger.info("page_ready", address=page.address)
                    spawn("page", page.serve)

    def _scheduler(self, stores: Stores, service: Service, board: Board, progress: Progress) -> Scheduler:
        jobs = build_jobs(stores, service, lambda: self._settings)
        return Scheduler(
            jobs.by_name,
            self._settings.schedules,
            board,
            Recorder(stores.redis, stores.runs, board, self._settings.queue.stream),
            lease_s=self._settings.queue.lease_s,
            looks=looks_of(self._settings.follow),
            left_to_others=jobs.left_to_others,
            ecosystem_of=jobs.ecosystem_of,
            turned=lambda: progress.turned("scheduler"),
        )

    def _tell_that_it_is_ready(self, embedded: EmbeddedStores | None) -> None:
        logger.info(
            "daemon_ready",
            version=__version__,
            pid=os.getpid(),
            stream=self._settings.queue.stream,
            ecosystems=sorted(ecosystem.name for ecosystem in ECOSYSTEMS),
            embedded=embedded is not None,
            seconds=round(time.monotonic() - self._began_at, 1),
        )
        self._notifier.notify("READY=1")

    async def _feed_watchdog(self, progress: Progress) -> None:
        """Tell systemd that the process makes progress, as often as its unit demands. If something makes none, the
        log says once what it is."""
        period_s = int(os.environ.get("WATCHDOG_USEC", "0")) / 1_000_000
        was_stuck: str | None = None
        while True:
            await anyio.sleep(min(period_s / 3, 10.0) if period_s else 10.0)
            stuck = progress.stuck()
            if stuck is None:
                if period_s:
                    self._notifier.notify("WATCHDOG=1")
            elif was_stuck is None:
                logger.error("daemon_stuck", reason=stuck)
            was_stuck = stuck

    async def _obey(
        self,
        signals: AsyncIterator[signal.Signals],
        reader: Reader,
        scheduler: Scheduler,
        service: Service,
        everything: anyio.CancelScope,
    ) -> None:
        stopping = False
        if self._wants_reload:
            self._apply_reload(reader, scheduler, service)
        async with anyio.create_task_group() as group:
            async for number in signals:
                if number == signal.SIGHUP:
                    self._apply_reload(reader, scheduler, service)
                elif stopping:
                    logger.warning("leaving_now", signal=number.name)
                    _end_after(LEAVE_NOW_S)
                    everything.cancel()
                else:
                    stopping = True
                    logger.info("daemon_stopping", signal=number.name, grace_s=self._settings.daemon.grace_s)
                    self._notifier.notify("STOPPING=1")
                    group.start_soon(self._drain, reader, scheduler, everything, name="drain")

    async def _drain(self, reader: Reader, scheduler: Scheduler, everything: anyio.CancelScope) -> None:
        """Let the reader finish. What is still in flight after the grace period is handed back to the queue."""
        scheduler.stop()
        reader.stop()
        await anyio.sleep(self._settings.daemon.grace_s)
        logger.warning("grace_period_over", in_flight=reader.in_flight)
        await reader.release()
        everything.cancel()

    def _apply_reload(self, reader: Reader, scheduler: Scheduler, service: Service) -> None:
        self._notifier.notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            reload = merge_reload(self._settings, self._reload())
        except ConfigError as error:
            logger.error("config_rejected", reason=str(error))
        else:
            self._settings = reload.settings
            log.set_level(self._settings.daemon.log_level)
            service.http.apply(self._settings.rates, self._settings.connections)
            service.room.apply(self._settings.queue)
            reader.apply(self._settings.queue, self._settings.workers)
            scheduler.apply(self._settings.schedules, looks_of(self._settings.follow))
            logger.info("config_reloaded", changed=dict(reload.changed), needs_restart=list(reload.needs_restart))
        self._notifier.notify("READY=1")


def step_limit_s(settings: Settings) -> float:
    """Return the longest time in seconds that one step of a message may take: a request with its turn and its
    pauses, a parse, or a look at the advisories, which MongoDB's driver tries twice. Waits for the graph and for Redis
    are no part of it."""
    http = settings.http
    request_s = 2 * http.total_timeout_s + http.max_retry_after_s
    return request_s + 2 * settings.archives.timeout_s + 4 * settings.vulnerabilities.timeout_s + LOOP_S


async def _join(heartbeat: Heartbeat, stores: Stores, stream: str) -> None:
    """Show the daemon to an import of a snapshot that begins now, and do not start beside one that has begun.

    The import sets its mark and then looks for daemons: of two that start at the same time at least one sees the other.
    It raises ConfigError or StoreError.
    """
    with store_errors():
        await heartbeat.beat()
    try:
        await refuse_unfinished_import(stores.redis, stream)
    except IngestError:
        await heartbeat.leave()
        raise


async def _supervise(name: str, loop: Callable[[], Awaitable[None]]) -> None:
    """Run a loop. If it fails, the process stops cleanly and the log names the loop."""
    try:
        await loop()
    except Exception as error:
        logger.error("loop_failed", loop=name, reason=f"{type(error).__name__}: {error}")
        raise


def _end_after(seconds: float) -> None:
    """End the process after so many seconds, even if closing a store hangs; a second signal ends it at once."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
