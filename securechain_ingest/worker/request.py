"""What is asked of a package, and how a failure is treated meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

import structlog

from securechain_ingest.bounds import MAX_CONSTRAINTS_BYTES, bounded_constraints
from securechain_ingest.errors import PoisonMessage
from securechain_ingest.model import PackageRef, Parent
from securechain_ingest.queue.entries import Entry
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.messages import Message
from securechain_ingest.registries.protocol import Registry

MAX_LOST_PARSERS: Final = 6
"""As often an archive may have its parser's process ended from outside before its package goes on with the names that
it has: less often than `[queue] max_deliveries`, which would cost the message."""

logger = structlog.get_logger(__name__)


class Follow(Enum):
    """Which of the packages that it requires and the graph lacks are to be asked for next."""

    NONE = auto()
    LATER = auto()
    """Those that the graph does not count as asked for, when there is room for them."""
    UNASKED = auto()
    """Those that the graph does not count as asked for."""
    ALL = auto()
    """Also those that it does: an earlier try may have ended before they were queued, or there is no queue."""


@dataclass(frozen=True, slots=True)
class Insistence:
    """What fails the request because another try of it may mend it; otherwise the package goes on without."""

    on_readings: bool
    """An archive, or a second reading of a document, that could not be had."""
    on_parsers: bool
    """An archive whose parser's process was ended from outside, which is no strike against the archive."""
    on_archives: bool = False
    """The archives' endpoint, if it is away: without it there is nothing that the request could do."""


LAST_TRY: Final = Insistence(on_readings=False, on_parsers=False)


@dataclass(frozen=True, slots=True)
class Request:
    """What one message, or one name on the command line, asks of a package."""

    ref: PackageRef
    parents: tuple[Parent, ...] = ()
    refresh: bool = False
    """Whether a package that is known is to be read again."""
    depth: int | None = None
    """How many levels of requirements are followed; None: without limit."""
    follow: Follow = Follow.UNASKED
    insistence: Insistence = LAST_TRY
    internal: bool = False
    """The daemon itself asks, for a requirement or a refresh: a registry that lacks it is no failure."""
    exact: bool = False
    """No other spelling of the name is to be tried."""
    at_least: str | None = None
    """What the feed announced; an older document does not do (`Registry.fetch`)."""
    has_waited: bool = False
    """It has been put off once because nobody could be reached."""
    removed: bool = False
    """The feed says that the package is gone; if the registry confirms it, the package is marked as removed."""
    listed: str | None = None
    """What the registry's list calls the state that the graph does not have (`Message.listed`)."""
    first: bool = False
    """The fewest requests will do; the rest is left for later."""
    remember: bool = True
    """Whether its import names are worth a place in the cache."""


async def request_of(
    entry: Entry,
    registry: Registry,
    *,
    depth: int | None,
    max_strikes: int,
    has_room: Callable[[str], Awaitable[bool]],
) -> Request:
    """What an entry of the queue asks. `depth` is for a message that carries none.

    Its archive is insisted on until it has failed `max_strikes` times; `has_room` says whether an ecosystem's
    follow-ups can be queued. Raises PoisonMessage, InvalidName.
    """
    message = entry.message
    ecosystem = registry.ecosystem
    if message.at_least is not None and not ecosystem.announced.fullmatch(message.at_least):
        raise PoisonMessage(
            f"at_least is {message.at_least[:60]!r}, which the feed of {ecosystem.name} never says", kind="bad_schema"
        )
    depth = depth if message.depth is None else message.depth
    if depth == 0:
        follow = Follow.NONE
    elif not await has_room(ecosystem.name):
        follow = Follow.LATER
    else:
        follow = Follow.ALL if entry.redelivered else Follow.UNASKED
    tries = entry.tries + 1
    return Request(
        ref=registry.identify(message.package),
        parents=_parents(message),
        refresh=message.refresh,
        depth=depth,
        follow=follow,
        insistence=Insistence(
            on_readings=tries < max_strikes,
            on_parsers=tries < MAX_LOST_PARSERS,
            on_archives=entry.lane is Lane.COMPLETED,
        ),
        internal=message.internal,
        has_waited=entry.history.outages > 0,
        at_least=message.at_least,
        removed=message.removed,
        listed=message.listed,
        # What a feed has announced is wanted.
        first=message.first and message.at_least is None,
        # Those of a whole registry would fill gigabytes, and are not asked for again soon.
        remember=entry.lane not in {Lane.LISTED, Lane.COMPLETED},
    )


def _parents(message: Message) -> tuple[Parent, ...]:
    """The other end of the edge that a message asks for; its constraints byte for byte, unless nobody can mean them."""
    if message.parent_id is None:
        return ()
    constraints = message.constraints
    if len(constraints.encode()) > MAX_CONSTRAINTS_BYTES:
        constraints = bounded_constraints(constraints)
        logger.warning("constraints_too_long", package=message.package, parent_id=message.parent_id)
    return (Parent(message.parent_id, constraints),)
