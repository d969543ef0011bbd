"""Parsing in processes of its own, so that a hostile archive or a huge document costs its own message and nothing else.

The whole exchange with a child (pickling, sending, receiving, unpickling) happens in a thread over a blocking socket:
the event loop sees neither the bytes nor the pauses, and a pickle read from a socket lets other threads run between
its frames.
"""

from __future__ import annotations

import math
import signal
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Final, Self, TypeVar, cast

import anyio
import anyio.to_thread
import structlog

from securechain_ingest.archives.faults import CPU_TIME, TIME, ParserCall, ParserOutcome, attempt
from securechain_ingest.archives.limits import ArchiveLimits
from securechain_ingest.archives.process import LOST, ParserProcess
from securechain_ingest.archives.turns import Turns
from securechain_ingest.errors import ParserLost
from securechain_ingest.settings import ArchiveSettings

T = TypeVar("T")

logger = structlog.get_logger(__name__)

# Below this a document parses in about a millisecond, not much more than sending it to a child costs.
INLINE_BYTES = 64 * 1024

MAX_LIST_ANSWER_BYTES: Final = 1024 * 1024 * 1024
"""Of what reads a whole registry's list, packed: many times what the largest one takes."""

MAX_ENDED_TURNS: Final = 3
"""As often a parse is begun again that was ended for somebody who waits; then its message waits for better days."""

_START_TIMEOUT_S: Final = 60.0


class ParserPool:
    """At most `processes` children, each with the limits of ArchiveSettings; a context manager.

    `preload` names modules that children import when they start, so that the first parse is as fast as the next.
    """

    def __init__(self, archives: ArchiveSettings, *, preload: Sequence[str] = ()) -> None:
        self._archives = archives
        self._preload = preload
        self._turns = Turns(archives.processes)
        self._threads = anyio.CapacityLimiter(math.inf)
        self._idle: deque[ParserProcess] = deque()

    async def __aenter__(self) -> Self:
        children: list[ParserProcess] = []
        try:
            while len(children) < self._archives.processes:
                children.append(self._spawn())
            for child in children:
                await self._greet(child)
        except BaseException:
            await self._end(children)
            raise
        self._idle.extend(children)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._end(self._idle)

    @property
    def limits(self) -> ArchiveLimits:
        """For the parse functions that read archives."""
        return ArchiveLimits.from_settings(self._archives)

    async def run(self, parse: Callable[..., T], *args: object, timeout_s: float | None = None) -> T:
        """`parse(*args)` in a child; `parse` is a module-level function or a partial of one, everything is pickled.

        It may take as long and give as much as the settings say. What reads a whole registry's list may take
        `timeout_s`, of processor time too, and give more.
        Raises what `parse` raises if that is an IngestError or MissingBytes. Whatever else it raises, and a limit of
        ours that it runs into, is the archive's or the document's fault: ArchiveRefused, or Malformed and TooLarge if
        `parse` has a parameter `url`. ParserLost if the child dies of anything else, or has been ended too often for
        others who wait.
        """
        call = ParserCall(parse, args)
        return cast(T, _settled(await self._served(call, timeout_s), call))

    async def parse_document(
        self, parse: Callable[..., T], body: bytes, *args: object, timeout_s: float | None = None
    ) -> T:
        """`parse(body, *args)`: here if the body is small, in a child if not; raises what `run` raises of documents."""
        call = ParserCall(parse, (body, *args), is_document=True)
        outcome = attempt(call) if len(body) < INLINE_BYTES else await self._served(call, timeout_s)
        return cast(T, _settled(outcome, call))

    async def _served(self, call: ParserCall, timeout_s: float | None) -> ParserOutcome:
        """What a child makes of it, in its turn; in another one if that is ended."""
        number = self._turns.number()
        for _ in range(1 + MAX_ENDED_TURNS):
            async with self._turns.turn(number) as turn:
                with turn.scope:
                    child = await self._take()
                    outcome = await self._call(child, call, timeout_s)
                    if child.is_alive():
                        self._idle.append(child)
                    return outcome
            logger.info("parse_ended", parser=call.name, reason="somebody waits for its process")
        raise ParserLost(f"the parse was ended {1 + MAX_ENDED_TURNS} times for somebody who waits")

    async def _end(self, children: Iterable[ParserProcess]) -> None:
        with anyio.CancelScope(shield=True):
            for child in children:
                await self._in_thread(child.end)

    def _spawn(self) -> ParserProcess:
        try:
            return ParserProcess(self._archives.memory_bytes, self._preload)
        except OSError as error:
            raise ParserLost(f"no parsing process can be started: {error}") from error

    async def _take(self) -> ParserProcess:
        while self._idle:
            child = self._idle.popleft()
            if child.is_alive():
                return child
            await self._in_thread(child.end)
        child = self._spawn()
        await self._greet(child)
        return child

    async def _greet(self, child: ParserProcess) -> None:
        """Return when it has answered. Raises ParserLost."""
        outcome = await self._call(child, ParserCall(_do_nothing, ()), _START_TIMEOUT_S)
        if outcome.error is not None:
            raise ParserLost(f"no parsing process can be started: {outcome.error}")

    async def _call(self, child: ParserProcess, call: ParserCall, timeout_s: float | None) -> ParserOutcome:
        """What the child answers; it is ended if it does not, or if nobody waits for it any more."""
        archives = self._archives
        cpu_s = archives.cpu_s if timeout_s is None else max(archives.cpu_s, math.ceil(timeout_s))
        max_answer_bytes = archives.max_answer_bytes if timeout_s is None else MAX_LIST_ANSWER_BYTES
        limit_s = archives.timeout_s if timeout_s is None else timeout_s
        answered = False
        try:
            with anyio.fail_after(limit_s):
                outcome = await self._in_thread(child.call, call, cpu_s, max_answer_bytes)
            answered = True
        except TimeoutError:
            outcome = ParserOutcome(error=call.refusal(f"that takes over {limit_s:g} s", reason=TIME))
        except LOST as error:
            exit_code = await self._in_thread(child.exit_code)
            if exit_code != -signal.SIGXCPU:
                raise ParserLost(f"the parsing process died ({_fate(exit_code)})") from error
            outcome = ParserOutcome(error=call.refusal(f"that takes over {cpu_s} s of processor time", reason=CPU_TIME))
        finally:
            if not answered:
                with anyio.CancelScope(shield=True):
                    await self._in_thread(child.end)
        return outcome

    async def _in_thread(self, function: Callable[..., T], *args: object) -> T:
        return await anyio.to_thread.run_sync(function, *args, abandon_on_cancel=True, limiter=self._threads)


def _settled(outcome: ParserOutcome, call: ParserCall) -> object:
    """The value of a parse. Raises its error, after a line in the log if nobody meant it."""
    for event, fields in outcome.notes:
        logger.warning(event, **fields)
    if outcome.traceback is not None:
        logger.error("parser_failed", parser=call.name, reason=str(outcome.error), exception=outcome.traceback)
    if outcome.error is not None:
        raise outcome.error
    return outcome.value


def _fate(exit_code: int | None) -> str:
    if exit_code is None:
        return "it no longer answers"
    return f"exit code {exit_code}" if exit_code >= 0 else signal.Signals(-exit_code).name


def _do_nothing() -> None:
    pass
