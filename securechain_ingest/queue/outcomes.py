"""This module tells a program that waits for a run how each package of the run ends.

The stream of outcomes exists only while a program waits. If it exists, each settled message adds an entry to it.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import anyio
import orjson
from redis.asyncio import Redis

from securechain_ingest.drivers.redis_errors import store_errors
from securechain_ingest.errors import NothingKept, StoreError
from securechain_ingest.queue.keys import Keys

_KEPT_S: Final = 86_400
_RENEWED_S: Final = 60.0
"""Whoever follows a run renews its outcomes this often: a pause or a whole load takes longer than they are kept."""
_BLOCK_MS: Final = 250


@dataclass(frozen=True, slots=True)
class PackageOutcome:
    """This says how one package of a run has ended."""

    node_type: str
    package: str
    """This is the name as the message gave it."""
    kind: str
    """This is the kind of the failure. It is empty if the package is in the graph."""
    reason: str

    @property
    def is_stored(self) -> bool:
        """Return whether the package is in the graph."""
        return not self.kind


class Outcomes:
    """This is an async context manager. Without `wait` no outcome is kept. Its methods raise StoreError."""

    def __init__(self, redis: Redis, stream: str, run: str, *, wait: bool) -> None:
        self._redis = redis
        self._key = Keys(stream).outcomes(run)
        self._wait = wait

    async def __aenter__(self) -> Self:
        if self._wait:
            await self.begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._wait:
            await self.end()

    async def begin(self, about: str = "") -> None:
        """Let outcomes be kept from now on, for a day at most. `about` is what their readers want to know of the run
        (`so_far`)."""
        with store_errors():
            async with self._redis.pipeline(transaction=True) as pipeline:
                pipeline.xadd(self._key, {"begin": about}, id="0-1")
                # The stream expires in case its reader is killed.
                pipeline.expire(self._key, _KEPT_S)
                await pipeline.execute()

    async def are_kept(self) -> bool:
        """Return whether outcomes are being kept."""
        with store_errors():
            return bool(await self._redis.exists(self._key))

    async def so_far(self) -> tuple[str, list[PackageOutcome]] | None:
        """Return what `begin` was told, and at most 100 of the outcomes that have come since. It is None if no outcomes
        are kept."""
        with store_errors():
            rows: Any = await self._redis.xrange(self._key, count=101)
        if not rows or b"begin" not in rows[0][1]:
            return None
        return rows[0][1][b"begin"].decode(errors="replace"), [_outcome(fields) for _, fields in rows[1:]]

    async def end(self) -> None:
        """Forget the outcomes."""
        with store_errors():
            await self._redis.delete(self._key)

    @asynccontextmanager
    async def renewed(self) -> AsyncIterator[None]:
        """Let the outcomes be kept for as long as the block lasts: a submission may wait for days for room in a lane.

        If Redis is away or has lost them, `follow` tells.
        """
        async with anyio.create_task_group() as group:
            if self._wait:
                group.start_soon(self._keep_renewing, name="renew outcomes")
            yield
            group.cancel_scope.cancel()

    async def _keep_renewing(self) -> None:
        while True:
            await anyio.sleep(_RENEWED_S)
            with suppress(StoreError, NothingKept):
                await self._renew()

    async def follow(self, count: int) -> AsyncIterator[PackageOutcome]:
        """Yield the outcomes of `count` packages as they come; without `wait` there are none.

        NothingKept is raised if Redis has lost them: then no further one would ever come.
        """
        last = "0-1"
        left = count if self._wait else 0
        renew_at = float("-inf")
        while left > 0:
            if time.monotonic() >= renew_at:
                await self._renew()
                renew_at = time.monotonic() + _RENEWED_S
            with store_errors():
                answer: Any = await self._redis.xread({self._key: last}, count=100, block=_BLOCK_MS)
            for _, rows in answer or ():
                for entry_id, fields in rows:
                    last = entry_id.decode()
                    left -= 1
                    yield _outcome(fields)

    async def _renew(self) -> None:
        with store_errors():
            is_kept = await self._redis.expire(self._key, _KEPT_S)
        if not is_kept:
            raise NothingKept(
                "how the packages end is not kept any more, as Redis has lost it: `queue list` and `dead-letters list`"
                " show what became of them"
            )


def _outcome(fields: Mapping[bytes, bytes]) -> PackageOutcome:
    return PackageOutcome(
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
