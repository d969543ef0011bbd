"""The lanes of an ecosystem: who is served before whom.

`asked` comes first whenever a place gets free. The others share what is left by their weights, counted over messages,
so that none of them starves another (docs/architecture.md, "Lanes").
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Lane(StrEnum):
    """In the order of their urgency."""

    ASKED = "asked"
    """Somebody waits for the package."""
    CHANGED = "changed"
    """A feed or a refresh says that it has changed."""
    REQUIRED = "required"
    """A version requires it."""
    LISTED = "listed"
    """A whole load has found it in a list."""
    COMPLETED = "completed"
    """What a first reading has left out."""

    @property
    def rank(self) -> int:
        """0 is the most urgent."""
        return LANES.index(self)


LANES: Final = tuple(Lane)

COSTS: Final = {Lane.CHANGED: 1, Lane.REQUIRED: 2, Lane.LISTED: 4, Lane.COMPLETED: 8}
"""What one message costs its lane of its share; the inverse of the weights 8:4:2:1."""

COMPLETED_MAX: Final = 5000
"""Entries of `completed`; its job fills it up again from the graph."""
