"""This says how long, and for what, the readers are tried: a function is given drawn values until that is over.

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

SECONDS = float(os.environ["FUZZ_SECONDS"]) if "FUZZ_SECONDS" in os.environ else None
ROUNDS = 10
"""The suite has so many, about a second: a quick machine must try nothing that no other one has tried before."""
SEED = int(os.environ.get("FUZZ_SEED", "0"))
CPU_S = math.inf if SECONDS is None else 10
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
    """Run the decorated function, there and then, for a share of the time or of the rounds. An error of ours is a
    result, too."""

    def run(function: Callable[..., None]) -> None:
        def attempt(drawn: tuple[Any, ...]) -> None:
            started = time.process_time()
            with suppress(IngestError):
                function(*drawn)
            assert time.process_time() - started < CPU_S

        begun = time.monotonic()
        for number in count():
            seed(SEED + number)(_ROUND(given(st.tuples(*values))(attempt)))()
            done, enough = (number + 1, ROUNDS) if SECONDS is None else (time.monotonic() - begun, SECONDS)
            if done >= enough * share:
                return

    return run
