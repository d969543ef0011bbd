"""This module says whether the daemon makes progress (/healthz, which asks no store), and also whether its stores
answer (/readyz)."""

from __future__ import annotations

import asyncio
import os
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


@dataclass(frozen=True, slots=True)
class StoreAnswer:
    """This says whether a store has answered, and how long that took."""

    seconds: float
    reason: str | None = None
    """The store has not answered because of this; None means that it has."""
    found: Any = None

    @property
    def details(self) -> dict[str, Any]:
        """Return what /readyz says about the store."""
        if self.reason is not None:
            return {"ok": False, "reason": self.reason}
        return {"ok": True, "latency_ms": round(self.seconds * 1000, 1)}


def health(progress: Progress) -> Health:
    """Return the answer by the watchdog's rule, with the id of this process, the seconds since each loop last turned
    and since the slowest piece of work made its last step."""
    stuck = progress.stuck()
    ages = {name: round(age, 1) for name, age in progress.ages().items()}
    return Health(stuck is None, {"ok": stuck is None, "reason": stuck, "pid": os.getpid(), "ages_s": ages})


async def readiness(progress: Progress, stores: Stores) -> Health:
    """Return the answer of `health` with, for each store, whether it answers and how many milliseconds it takes."""
    alive = health(progress)
    answers = await ask_stores(stores)
    ok = alive.ok and all(answer.reason is None for answer in answers.values())
    found = {store: answer.details for store, answer in answers.items()}
    reason = alive.details["reason"] or next(
        (f"{store}: {answer.reason}" for store, answer in answers.items() if answer.reason), None
    )
    return Health(ok, {**alive.details, "ok": ok, "reason": reason, "stores": found})


async def ask_stores(stores: Stores) -> dict[str, StoreAnswer]:
    """Return how each store answered something small; all are asked at the same time. What the advisories' store
    answers is the number of its documents."""
    names = ("redis", "graph", "vulnerabilities")
    answers = await asyncio.gather(
        _answer(stores.redis.ping()), _answer(stores.graph.ping()), _answer(stores.advisories.count())
    )
    return dict(zip(names, answers, strict=True))


async def _answer(question: Awaitable[Any]) -> StoreAnswer:
    since = time.perf_counter()
    try:
        async with asyncio.timeout(_PATIENCE_S):
            found = await question
    except (IngestError, redis.exceptions.RedisError, TimeoutError) as error:
        # Only the product's own sentence is shown; a driver's could have an address with its password.
        reason = str(error) if isinstance(error, IngestError) else type(error).__name__
        if isinstance(error, TimeoutError):
            reason = f"it has not answered within {_PATIENCE_S:g} s"
        return StoreAnswer(time.perf_counter() - since, reason)
    return StoreAnswer(time.perf_counter() - since, None, found)
