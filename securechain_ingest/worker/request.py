"""This module defines a request for a package, and which failures make the request fail."""

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
"""After so many attempts in which the parser's process was ended from outside, the package is written with the names
that it has. The number is less than `[queue] max_deliveries`, at which the message would become a dead letter."""

logger = structlog.get_logger(__name__)


class Follow(Enum):
    """This says which packages are queued next, among those that the package requires and the graph lacks."""

    NONE = auto()
    LATER = auto()
    """Packages that the graph has not marked as queued are queued later, when there is room for them."""
    ALL_LATER = auto()
    """Marked packages are left for later as well: an earlier attempt may have ended before it queued them."""
    UNASKED = auto()
    """Packages that the graph has not marked as queued are queued now."""
    ALL = auto()
    """Marked packages are queued as well, for the same reason, or because there is no queue."""

    @property
    def is_now(self) -> bool:
        return self in {Follow.UNASKED, Follow.ALL}

    @property
    def is_later(self) -> bool:
        return self in {Follow.LATER, Follow.ALL_LATER}

    @property
    def is_repeated(self) -> bool:
        """Return whether marked packages are followed, too."""
        return self in {Follow.ALL, Follow.ALL_LATER}


@dataclass(frozen=True, slots=True)
class Insistence:
    """Each field that is true names a failure that fails the request, because another attempt at the request may mend
    it.

    After any other of these failures the package is written without what could not be read.
    """

    on_readings: bool
    """The request fails if an archive, or a second reading of a document, could not be read."""
    on_parsers: bool
    """The request fails if the parser's process was ended from outside. That is no strike against the archive."""
    on_archives: bool = False
    """The request fails if the archives' endpoint is away, because the request can do nothing without it."""


LAST_TRY: Final = Insistence(on_readings=False, on_parsers=False)


@dataclass(frozen=True, slots=True)
class Request:
    """This is what one message, or one name on the command line, asks for a package."""

    ref: PackageRef
    parents: tuple[Parent, ...] = ()
    refresh: bool = False
    """True means that a known package is read again."""
    depth: int | None = None
    """So many levels of requirements are followed. None means that there is no limit."""
    follow: Follow = Follow.UNASKED
    insistence: Insistence = LAST_TRY
    internal: bool = False
    """The daemon itself asks, for a requirement or a refresh. It is no failure if the registry lacks the package."""
    exact: bool = False
    """True means that no other spelling of the name is tried."""
    at_least: str | None = None
    """This is what the feed announced. A document that is older is not accepted (`Registry.fetch`)."""
    has_waited: bool = False
    """The message has been put off before, because a server could not be reached."""
    removed: bool = False
    """The feed says that the package is gone. If the registry confirms that, the package is marked as removed."""
    listed: str | None = None
    """The registry's list gives this name to a state of the package that the graph lacks (`Message.listed`)."""
    first: bool = False
    """True means that the package is read with the fewest requests. The rest is left for later."""
    remember: bool = True
    """True means that the import names are kept in the cache."""

    @property
    def asks_for_document(self) -> bool:
        """Return whether the registry's document must be read, whatever the graph has of the package."""
        return self.refresh or self.removed or self.at_least is not None or self.listed is not None


async def request_of(
    entry: Entry,
    registry: Registry,
    *,
    depth: int | None,
    max_strikes: int,
    has_room: Callable[[str], Awaitable[bool]],
) -> Request:
    """Return the request of an entry of the queue. `depth` counts if the message has none.

    In every attempt before number `max_strikes`, a failure to read the archive fails the request. `has_room` tells
    whether the requirements of an ecosystem's packages can be queued. PoisonMessage and InvalidName are raised for a
    message that cannot be served.
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
        follow = Follow.ALL_LATER if entry.redelivered else Follow.LATER
    else:
        follow = Follow.ALL if entry.redelivered else Follow.UNASKED
    attempts = entry.attempts + 1
    return Request(
        ref=registry.identify(message.package),
        parents=_parents(message),
        refresh=message.refresh,
        depth=depth,
        follow=follow,
        insistence=Insistence(
            on_readings=attempts < max_strikes,
            on_parsers=attempts < MAX_LOST_PARSERS,
            on_archives=entry.lane is Lane.COMPLETED,
        ),
        internal=message.internal,
        has_waited=entry.history.outages > 0,
        at_least=message.at_least,
        removed=message.removed,
        listed=message.listed,
        first=message.first,
        # The import names of a whole registry would fill gigabytes, and are not asked for again soon.
        remember=entry.lane not in {Lane.LISTED, Lane.COMPLETED},
    )


def _parents(message: Message) -> tuple[Parent, ...]:
    """Return the other end of the edge that a message asks for; it is empty if the message asks for none.

    The constraints stay as they are, byte for byte, unless they are longer than MAX_CONSTRAINTS_BYTES.
    """
    if message.parent_id is None:
        return ()
    constraints = message.constraints
    if len(constraints.encode()) > MAX_CONSTRAINTS_BYTES:
        constraints = bounded_constraints(constraints)
        logger.warning("constraints_too_long", package=message.package, parent_id=message.parent_id)
    return (Parent(message.parent_id, constraints),)
