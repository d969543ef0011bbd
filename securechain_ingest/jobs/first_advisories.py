"""This module starts the first sync of the advisories: a daemon that has no advisories requests a sync, and `ingest`
reads the advisories that it needs.

Until the advisories of an ecosystem have once been read completely, nothing is known of the vulnerabilities of its
packages. That does not mean that they have none.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Final

import anyio
import structlog
from redis.exceptions import RedisError

from securechain_ingest.configuration import Settings
from securechain_ingest.errors import IngestError, StoreError
from securechain_ingest.jobs.advisory_sync import AdvisorySync, never_read
from securechain_ingest.jobs.cursors import Cursors
from securechain_ingest.runs import Run, new_run_id, utc_now
from securechain_ingest.schedules.board import Board, RunRequest
from securechain_ingest.stores import Stores

JOB: Final = "advisory_sync"
NOT_REACHABLE: Final = "unknown: advisories not reachable"
NOT_READ: Final = "unknown: advisories not read yet"
NOT_IN_OSV: Final = "unknown: OSV does not have this ecosystem"

_RETRY_S: Final = 10.0

logger = structlog.get_logger(__name__)


async def ask_for_first_advisories(
    stores: Stores, board: Board, settings: Settings, ecosystems: Collection[str]
) -> None:
    """Request a sync of the advisories, once among all daemons, if those of one of the ecosystems (in OSV's words) were
    never read.

    Where the job is disabled it runs only when a command requests it. This returns when the stores have answered.
    """
    while True:
        try:
            state = await board.state()
            if not state.overrides.get(JOB, JOB not in settings.schedules.disabled):
                return
            unread = await never_read(Cursors(stores.redis, settings.queue.stream), stores.advisories, ecosystems)
            if unread and JOB not in state.under_way:
                run_id = await board.request(JOB, RunRequest(new_run_id(datetime.now(UTC)), {}))
                logger.info("first_advisories_asked_for", ecosystems=unread, run=run_id)
        except (StoreError, RedisError) as error:
            logger.warning("first_advisories_not_asked_for", reason=f"{type(error).__name__}: {error}")
            await anyio.sleep(_RETRY_S)
        else:
            return


async def read_first_advisories(
    sync: AdvisorySync, ecosystems: Collection[str], *, within_s: float
) -> Mapping[str, str]:
    """Read the advisories of those of the ecosystems (in OSV's words) that were never read, within `within_s` seconds;
    0 reads none.

    The result has a sentence that begins with "unknown" for each ecosystem of which nothing is known afterwards.
    Nothing is raised: a user who asked for packages gets them without advisories.
    """
    cursors = Cursors(sync.redis, sync.stream)
    unknown = dict.fromkeys(ecosystems, NOT_REACHABLE)
    try:
        unread = await never_read(cursors, sync.store, ecosystems)
        unknown = dict.fromkeys(unread, NOT_READ)
        if unread and within_s:
            unknown = dict.fromkeys(unread, NOT_REACHABLE)
            with anyio.move_on_after(within_s) as limit:
                await _read(sync, unread)
            if limit.cancelled_caught:
                logger.warning("advisories_not_read", ecosystems=unread, reason=f"that takes over {within_s:g} s")
            still_unread = await never_read(cursors, sync.store, unread)
            unknown = dict.fromkeys(still_unread, NOT_REACHABLE)
    except IngestError as error:
        logger.warning("advisories_not_read", ecosystems=list(unknown), kind=error.kind, reason=str(error))
    return unknown


async def _read(sync: AdvisorySync, ecosystems: Collection[str]) -> None:
    try:
        await sync.run(Run(id="ingest", job=JOB, started_at=utc_now()), only=ecosystems)
    except IngestError as error:
        logger.warning("advisories_not_read", ecosystems=list(ecosystems), kind=error.kind, reason=str(error))
