"""This is a clock that a test sets: Redis's, which all scripts go by, and that of the HTTP client."""

from __future__ import annotations

import asyncio
import sys
import time
from functools import partial
from typing import Final

import pytest
import redis
from redis.asyncio import Redis

from securechain_ingest import service
from securechain_ingest.http.client import HttpClient
from securechain_ingest.queue import places
from securechain_ingest.queue.script import NOW_MS, Script
from securechain_ingest.waits import Waits

_AHEAD: Final = "test-clock-ahead-ms"
_SHIFTED: Final = NOW_MS.replace("return ", f"return (redis.call('GET', '{_AHEAD}') or 0) + ")
assert _SHIFTED != NOW_MS


class ShiftedClock:
    """This stands as far ahead of the real one as it has been set. Short waits of the client's own take no time."""

    def __init__(self, redis_url: str, patch: pytest.MonkeyPatch) -> None:
        self._redis = redis.Redis.from_url(redis_url)
        self._ahead_s = 0.0
        for script in _scripts():
            patch.setattr(script, "_text", script._text.replace(NOW_MS, _SHIFTED))
            # Loaded anew from the changed text, and at the end from the old one.
            patch.setattr(script, "_async", None)
            patch.setattr(script, "_sync", None)
        patch.setattr(Redis, "time", self._redis_time)
        patch.setattr(service, "HttpClient", partial(HttpClient, clock=self.now, sleep=_no_time))
        # So that what is due is seen at once.
        patch.setattr(places, "POLLS", Waits(0.01, 0.01))

    def close(self) -> None:
        self._redis.close()

    def now(self) -> float:
        """Return the monotonic time, in seconds."""
        return time.monotonic() + self._ahead_s

    def epoch_ms(self) -> int:
        """Return the time as Redis has it."""
        return int((time.time() + self._ahead_s) * 1000)

    def advance(self, seconds: float) -> None:
        self._ahead_s += seconds
        self._redis.set(_AHEAD, int(self._ahead_s * 1000))

    async def _redis_time(self, client: Redis) -> tuple[int, int]:
        now = time.time() + self._ahead_s
        return int(now), int(now % 1 * 1_000_000)


async def _no_time(_seconds: float) -> None:
    await asyncio.sleep(0)


def _scripts() -> list[Script]:
    """Return every script of the product that asks what time it is."""
    modules = [module for name, module in sys.modules.items() if name.startswith("securechain_ingest.")]
    found = {id(each): each for module in modules for each in vars(module).values() if isinstance(each, Script)}
    return [script for script in found.values() if NOW_MS in script._text]
