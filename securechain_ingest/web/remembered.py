"""This module remembers the answers to slow questions, so that nobody who looks at the page waits for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from securechain_ingest.errors import IngestError

T = TypeVar("T")

_OLD_S: Final = 60.0


class Remembered(Generic[T]):
    """This asks again only when somebody looks and the last answer is older than `good_for_s` seconds.

    Whoever looks gets the last answer at once, while the next one is fetched. If there is none yet, or if
    nobody has looked for a minute, whoever looks waits for the next one, up to `within_s` seconds.
    """

    def __init__(self, ask: Callable[[], Awaitable[T]], *, good_for_s: float, within_s: float = 0.1) -> None:
        self._ask = ask
        self._good_for_s = good_for_s
        self._within_s = within_s
        self.answer: T | None = None
        """This is the last answer. It is None if there is none yet, or none any more (`error`)."""
        self._error: str | None = None
        self._asked_at = self._answered_at = float("-inf")
        self._asking: asyncio.Task[None] | None = None

    @property
    def error(self) -> str | None:
        """Return in one sentence why the last question had no answer. It is None if it had one."""
        return self._error

    async def get(self) -> T | None:
        """Return `answer`, and see to it that it is renewed if it is old."""
        if self._asking is None and time.monotonic() - self._asked_at > self._good_for_s:
            self._asking = asyncio.create_task(self._refresh())
        is_old = self.answer is None or time.monotonic() - self._answered_at > _OLD_S
        if is_old and self._asking is not None:
            await asyncio.wait([self._asking], timeout=self._within_s)
        return self.answer

    def forget(self) -> None:
        """Ask anew the next time, because an action has changed something."""
        self._asked_at = float("-inf")

    async def close(self) -> None:
        """End the question that is under way, if any: the store that it asks may be closed then."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])

    async def _refresh(self) -> None:
        self._asked_at = time.monotonic()
        try:
            self.answer, self._error = await self._ask(), None
            self._answered_at = time.monotonic()
        except IngestError as error:
            self.answer, self._error = None, str(error)
        finally:
            self._asking = None
