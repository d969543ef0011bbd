"""This module says how long to wait before something is tried again. Every wait that grows with each attempt comes from
here.

Two rules have to be elsewhere: a breaker doubles its wait inside Redis, where all daemons see it (`queue.breakers`),
and the Redis driver itself repeats a command if its connection was no longer usable (`drivers.redis_connection`).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Waits:
    """Each wait is twice as long as the one before it, from `first_s` up to `longest_s`, in seconds.

    `jitter` is the share of each wait that is random, from 0 (none) to 1 (all of it), so that tasks that failed
    together do not try again together.
    """

    first_s: float
    longest_s: float
    jitter: float = 0.0

    def after(self, failures: int, *, uniform: Callable[[float, float], float] = random.uniform) -> float:
        """Return the seconds until the next attempt after so many failed ones in a row (at least 1)."""
        ceiling_s = min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 64))
        return uniform(ceiling_s * (1.0 - self.jitter), ceiling_s) if self.jitter else ceiling_s
