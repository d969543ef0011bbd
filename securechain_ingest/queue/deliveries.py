"""What a message's handler is given, and what it leaves to do."""

from __future__ import annotations

from dataclasses import dataclass

from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.messages import Message


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to be handled."""

    message: Message
    lane: Lane
    attempts: int
    """Failed tries and deliveries without a result before this one."""
    redelivered: bool
    """Its effect, or a part of it, may already have happened."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a handled message leaves to do."""

    queue: tuple[Message, ...] = ()
    """Messages for the lane `required`, added in the same step that acknowledges the handled one."""
    versions: int = 0
    """How many versions were read from the registry."""
