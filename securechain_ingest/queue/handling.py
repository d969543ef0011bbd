"""What the queue has done with an entry, and what that leaves to do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from securechain_ingest.queue.entries import Entry
from securechain_ingest.queue.messages import Message


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an entry whose effect is committed leaves to do."""

    queue: tuple[Message, ...] = ()
    """Messages for the lane `required`, added in the same step that acknowledges the handled one."""
    versions: int = 0
    """How many versions were read from the registry."""
    asked_registry: bool = True
    """False: it needed none, and so says nothing about how the registry is."""


Handler = Callable[[Entry], Awaitable[Outcome]]
"""Raises IngestError; anything else is a fault of the program."""

Link = Callable[[Sequence[Entry]], Awaitable[Sequence[Outcome | None]]]
"""Serves those entries whose packages the graph knows completely; None for the others, which need a registry."""
