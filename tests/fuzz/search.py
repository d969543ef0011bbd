"""This says how long, and for what, the readers are tried: a function is given drawn values until its time is over.

In the suite it is the same search each time; `make fuzz` takes longer and another start (FUZZ_SECONDS, FUZZ_SEED).
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from securechain_ingest.errors import IngestError

SECONDS = float(os.environ.get("FUZZ_SECONDS", "2"))
SEED = int(os.environ.get("FUZZ_SEED", "0"))
CPU_S = 10 if "FUZZ_SECONDS" in os.environ else math.inf
"""This is what the daemon would let one parse have. Only a longer search holds readers to it: how fast the machine
is that runs the suite is not known; there steps are counted (tests/steps.py).
"""

SEEDS = st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=3)
"""These are the seeds of `mutations.mutated`."""

_ROUND = settings(
    max_examples=40,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)


def fuzzed(*values: st.SearchStrategy[Any], share: float = 1) -> Callable[[Callable[..., None]], None]:
    """Run the decorated function, there and then, for a share of the time. An error of ours is a result, too."""

    def run(function: Callable[..., None]) -> None:
        def attempt(drawn: tuple[Any, ...]) -> None:
            started = time.process_time()
            with suppress(IngestError):
                function(*drawn)
            assert time.process_time() - started < CPU_S

        ends_at = time.monotonic() + SECONDS * share
        for number in count(SEED):
            seed(number)(_ROUND(given(st.tuples(*values))(attempt)))()
            if time.monotonic() > ends_at:
                return

    return run
