"""This module queues what was left for later, while there is room for it.

Packages that a first reading has not read completely are added to the lane `completed`. Absent packages that no lane
holds are added to the lane `required`, because it had no room for them, or because Redis has lost their messages. On
each page the packages that are required most often come first.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import anyio
import structlog
from redis.asyncio import Redis

from securechain_ingest.drivers.redis_errors import store_errors
from securechain_ingest.errors import ConfigError, StoreError
from securechain_ingest.graph.pending import Pending
from securechain_ingest.model import Ecosystem
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.messages import Message
from securechain_ingest.queue.script import Script
from securechain_ingest.queue.submission import enqueue, lane_bound, room_in
from securechain_ingest.settings import QueueSettings
from securechain_ingest.waits import Waits

PAGE: Final = 500
EVERY_S: Final = 2.0
IDLE_S: Final = 10.0
"""At most so many seconds lie between two looks. They become more with each look that finds nothing."""
TURN_S: Final = 20.0
"""A turn ends after so many seconds if its daemon has not ended it, because it was killed or its graph is very slow."""
LOST_EVERY_S: Final = 60.0
"""So many seconds lie between two looks for packages whose messages are lost."""
AGAIN: Final = timedelta(days=1)
"""A package is asked for again after this time if its message had no effect."""

_LET_END: Final = Script(
    "if redis.call('GET', turn) == token then redis.call('PEXPIRE', turn, remaining_ms) end",
    keys="turn",
    arguments="token remaining_ms",
)

logger = structlog.get_logger(__name__)


async def keep_asking(
    redis: Redis, pending: Pending, ecosystems: Sequence[Ecosystem], queue: Callable[[], QueueSettings]
) -> None:
    """Queue what was left for later until it is cancelled; one daemon does so at a time. It goes on after outages,
    which other loops report."""
    token = secrets.token_hex(8)
    empty = 0
    while True:
        asked = 0
        try:
            for ecosystem in ecosystems:
                turn = Keys(queue().stream).refill(ecosystem.name)
                if await _is_turn(redis, turn, TURN_S, token):
                    try:
                        asked += await ask_for_pending(redis, pending, ecosystem, queue())
                        asked += await ask_for_left_out(redis, pending, ecosystem, queue())
                    finally:
                        await _let_end(redis, turn, EVERY_S / 2, token)
        except (StoreError, ConfigError) as error:
            logger.debug("completion_put_off", reason=str(error))
        # A package that is read in portions is due again after each of them.
        empty = 0 if asked else empty + 1
        await anyio.sleep(Waits(first_s=EVERY_S, longest_s=IDLE_S).after(max(1, empty)))


async def ask_for_pending(redis: Redis, pending: Pending, ecosystem: Ecosystem, queue: QueueSettings) -> int:
    """Add a page of packages that are to be read completely to `completed`, and return how many there were. Raise
    StoreError.

    Each is asked for again after a day if that had no effect, and at once after a portion of its versions was read. If
    this ends after queueing and before that is noted, the same packages are asked for again, and their messages merge
    with those that wait.
    """
    if not (limit := await _page(redis, queue, ecosystem, Lane.COMPLETED)):
        return 0
    now = datetime.now(UTC)
    due = await pending.due(ecosystem, now, limit)
    messages = [Message(ecosystem.label, each.name, depth=each.depth, internal=True) for each in due]
    if messages:
        await enqueue(redis, queue, ecosystem.name, Lane.COMPLETED, messages)
        await pending.ask_again_at([each.element_id for each in due], now, now + AGAIN)
        logger.info("pending_packages_queued", ecosystem=ecosystem.name, packages=len(messages))
    return len(messages)


async def ask_for_left_out(redis: Redis, pending: Pending, ecosystem: Ecosystem, queue: QueueSettings) -> int:
    """Add a page of absent packages that no lane holds to `required`, and return how many there were. Raise
    StoreError."""
    if not (limit := await _page(redis, queue, ecosystem, Lane.REQUIRED)):
        return 0
    absent = await pending.left_out(ecosystem, limit)
    if not absent and await _is_turn(redis, Keys(queue.stream).refill(f"{ecosystem.name}:lost"), LOST_EVERY_S):
        absent = await pending.lost(ecosystem, datetime.now(UTC), limit)
    messages = [
        Message(ecosystem.label, each.name, depth=each.left_out.depth, internal=True, first=each.left_out.first)
        for each in absent
    ]
    if messages:
        await enqueue(redis, queue, ecosystem.name, Lane.REQUIRED, messages)
        await pending.take_up([each.purl for each in absent], datetime.now(UTC))
        logger.info("left_out_packages_queued", ecosystem=ecosystem.name, packages=len(messages))
    return len(messages)


async def _is_turn(redis: Redis, key: str, seconds: float, token: str = "") -> bool:
    """Return whether no daemon has had the turn in the last `seconds`, and take it then. `token` names who has it."""
    with store_errors():
        return bool(await redis.set(key, token, nx=True, px=int(seconds * 1000)))


async def _let_end(redis: Redis, key: str, seconds: float, token: str) -> None:
    """Let a turn end after `seconds`. One that has ended already is left to the daemon that has it now."""
    with store_errors():
        await _LET_END.run(redis, turn=key, token=token, remaining_ms=int(seconds * 1000))


async def _page(redis: Redis, queue: QueueSettings, ecosystem: Ecosystem, lane: Lane) -> int:
    """Return how many messages may be added to a lane now. There are none while it is more than half full, so that a
    page is worth its query."""
    with store_errors():
        room = await room_in(redis, queue, ecosystem.name, lane)
    return min(PAGE, room) if 2 * room >= lane_bound(queue, lane) else 0
