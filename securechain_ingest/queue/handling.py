"""This module defines the functions that handle entries for the queue, and what remains to do after them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from securechain_ingest.queue.entries import Entry
from securechain_ingest.queue.messages import Message


@dataclass(frozen=True, slots=True)
class Outcome:
    """This is what remains to do for an entry after its effect is committed."""

    queue: tuple[Message, ...] = ()
    """These messages are added to the lane `required` in the same step that acknowledges the handled entry."""
    versions: int = 0
    """This many versions were read from the registry."""
    asked_registry: bool = True
    """This is False if the entry needed no registry. The outcome then says nothing about the registry's health."""


Handler = Callable[[Entry], Awaitable[Outcome]]
"""A handler raises IngestError; any other exception is a fault of the program."""

Link = Callable[[Sequence[Entry]], Awaitable[Sequence[Outcome | None]]]
"""A link serves those entries whose packages the graph knows completely. It returns None for the others, which need a
registry."""
