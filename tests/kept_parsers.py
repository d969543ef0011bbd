"""This keeps parsing processes that serve one test after the other: to start one takes longer than most tests."""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import Self

from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.archives.process import ParserProcess
from securechain_ingest.settings import ArchiveSettings

_kept: deque[ParserProcess] = deque()


class KeptParserPool(ParserPool):
    """This is a pool of one child under the default limits, which it takes over from the last such pool and leaves
    alive.
    """

    def __init__(self) -> None:
        super().__init__(ArchiveSettings(processes=1))

    async def __aenter__(self) -> Self:
        if not _kept:
            return await super().__aenter__()
        self._idle.append(_kept.pop())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _kept.extend(child for child in self._idle if child.is_alive())
        await self._end(child for child in self._idle if not child.is_alive())


def end_kept_parsers() -> None:
    """Call this at the end of a run, and for a test that counts this process's children."""
    while _kept:
        _kept.pop().end()
