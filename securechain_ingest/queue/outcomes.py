"""How each package of a run ends, for whoever waits for it.

The stream is there only while somebody waits; settling a message adds to it if it is there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import orjson
from redis.asyncio import Redis

from securechain_ingest.queue.keys import Keys
from securechain_ingest.redis_errors import store_errors

_KEPT_S: Final = 86_400
_BLOCK_MS: Final = 250


@dataclass(frozen=True, slots=True)
class PackageOutcome:
    """One package's end."""

    node_type: str
    package: str
    """As the message named it."""
    kind: str
    """Of the failure; empty if the package is in the graph."""
    reason: str


class Outcomes:
    """An async context manager; nothing is kept without `wait`. Methods raise StoreError."""

    def __init__(self, redis: Redis, stream: str, run: str, *, wait: bool) -> None:
        self._redis = redis
        self._key = Keys(stream).outcomes(run)
        self._wait = wait

    async def __aenter__(self) -> Self:
        if self._wait:
            with store_errors():
                async with self._redis.pipeline(transaction=True) as pipeline:
                    pipeline.xadd(self._key, {"begin": ""}, id="0-1")
                    # For a reader that was killed.
                    pipeline.expire(self._key, _KEPT_S)
                    await pipeline.execute()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._wait:
            with store_errors():
                await self._redis.delete(self._key)

    async def follow(self, count: int) -> AsyncIterator[PackageOutcome]:
        """The ends of `count` packages as they come."""
        last = "0-1"
        left = count if self._wait else 0
        while left > 0:
            with store_errors():
                answer: Any = await self._redis.xread({self._key: last}, count=100, block=_BLOCK_MS)
            for _, rows in answer or ():
                for entry_id, fields in rows:
                    last = entry_id.decode()
                    left -= 1
                    yield PackageOutcome(
                        *_named(fields.get(b"data", b"")),
                        fields.get(b"kind", b"").decode(),
                        fields.get(b"reason", b"").decode(errors="replace"),
                    )


def _named(data: bytes) -> tuple[str, str]:
    try:
        document = orjson.loads(data)
        return str(document["node_type"]), str(document["package"])
    except (orjson.JSONDecodeError, TypeError, KeyError):
        return "", data.decode(errors="replace")
