"""The lanes of an ecosystem decide which messages are served before others.

The lane `asked` comes first whenever a place becomes free. The other lanes share what is left by their weights, counted
in messages, so that none of them starves another (docs/architecture.md, "Lanes").
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Lane(StrEnum):
    """The lanes stand in the order of their urgency, the most urgent first."""

    ASKED = "asked"
    """Somebody waits for the package."""
    CHANGED = "changed"
    """A feed or a refresh says that the package has changed."""
    REQUIRED = "required"
    """A version requires the package."""
    LISTED = "listed"
    """A load of all packages has found the package in a list."""
    COMPLETED = "completed"
    """A first reading has left out a part of the package."""

    @property
    def rank(self) -> int:
        """Return the position of the lane by urgency; 0 is the most urgent."""
        return LANES.index(self)

    @property
    def may_be_required(self) -> bool:
        """Return whether a message that was queued because a version requires the package may be in this lane: it goes
        to `required`, and from there to a more urgent lane if its package is asked for there, too."""
        return self.rank <= Lane.REQUIRED.rank


LANES: Final = tuple(Lane)

COSTS: Final = {Lane.CHANGED: 1, Lane.REQUIRED: 2, Lane.LISTED: 4, Lane.COMPLETED: 8}
"""One message uses this much of its lane's share. The costs are the inverse of the weights 8:4:2:1."""

COMPLETED_MAX: Final = 5000
"""The lane `completed` holds at most this many entries. Its job fills it up again from the graph."""
