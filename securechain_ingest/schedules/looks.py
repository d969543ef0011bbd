"""This module says how often the feeds are followed beside the daily updates (`[follow]`)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from securechain_ingest.registries import DECLARATIONS
from securechain_ingest.runs import LOOK
from securechain_ingest.settings import FollowSettings


@dataclass(frozen=True, slots=True)
class Look:
    """Every `period_s` seconds a look follows a feed, or reads the hints at changes between two looks at the feed."""

    job: str
    period_s: float
    options: Mapping[str, str]

    def due_at(self, now: datetime) -> int:
        """Return the last moment at which a look was due, in seconds since the epoch. It is the same in all daemons."""
        return int(now.timestamp() // self.period_s * self.period_s)


def looks_of(settings: FollowSettings) -> dict[str, Look]:
    """Return the looks of every ecosystem that is followed, by name."""
    looks: dict[str, Look] = {}
    for declared in DECLARATIONS:
        period_s = settings[declared.name]
        if period_s == math.inf:
            continue
        looks[declared.name] = Look(declared.updates_job, period_s, {LOOK: "feed"})
        if declared.hints_s is not None:
            looks[f"{declared.name}-hints"] = Look(declared.updates_job, declared.hints_s, {LOOK: "hints"})
    return looks
