"""This module says whether the daemon makes progress (/healthz, which asks no store), and also whether its stores
answer (/readyz)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, Final

import redis.exceptions

from securechain_ingest.errors import IngestError
from securechain_ingest.progress import Progress
from securechain_ingest.stores import Stores

_PATIENCE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Health:
    """This is the answer to a program that supervises the daemon."""

    ok: bool
    details: dict[str, Any]

    @property
    def status(self) -> int:
        """Return the HTTP status for this answer."""
        return 200 if self.ok else 503


def health(progress: Progress) -> Health:
    """Return the answer by the watchdog's rule, with the seconds since each loop last turned and since the slowest
    piece of work made its last step."""
    stuck = progress.stuck()
    ages = {name: round(age, 1) for name, age in progress.ages().items()}
    return Health(stuck is None, {"ok": stuck is None, "reason": stuck, "ages_s": ages})


async def readiness(progress: Progress, stores: Stores) -> Health:
    """Return the answer of `health` with, for each store, whether it answers and how many milliseconds it takes."""
    alive = health(progress)
    names = ("redis", "graph", "vulnerabilities")
    answers = await asyncio.gather(
        _answers(stores.redis.ping()), _answers(stores.graph.ping()), _answers(stores.advisories.count())
    )
    found = dict(zip(names, answers, strict=True))
    ok = alive.ok and all(answer["ok"] for answer in answers)
    return Health(ok, {**alive.details, "ok": ok, "stores": found})


async def _answers(question: Awaitable[Any]) -> dict[str, Any]:
    since = time.perf_counter()
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await question
    except (IngestError, redis.exceptions.RedisError, TimeoutError) as error:
        # Only the product's own sentence is shown; a driver's could have an address with its password.
        reason = str(error) if isinstance(error, IngestError) else type(error).__name__
        return {"ok": False, "reason": reason}
    return {"ok": True, "latency_ms": round((time.perf_counter() - since) * 1000, 1)}
