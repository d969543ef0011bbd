"""This module parses in separate processes, so that a hostile archive or a huge document fails only its own message.

The whole exchange with a parser process (pickling, sending, receiving, unpickling) happens in a thread over a blocking
socket. So the event loop handles none of the bytes and does not pause for them, and while a thread reads a pickle from
a socket, other threads can run between its frames.
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
from securechain_ingest.metrics import PARSER_STRIKES, parse_of
from securechain_ingest.settings import ArchiveSettings

T = TypeVar("T")

logger = structlog.get_logger(__name__)

# Below this a document parses in about a millisecond, not much more than sending it to a child costs.
INLINE_BYTES = 64 * 1024

MAX_LIST_ANSWER_BYTES: Final = 1024 * 1024 * 1024
"""This limits the pickled answer of a parse that reads a registry's whole list. It is many times what the largest list
takes."""

MAX_ENDED_TURNS: Final = 3
"""A parse that was ended in favour of urgent work is begun again so many times. After that its message waits for
another attempt."""

_START_TIMEOUT_S: Final = 60.0


class ParserPool:
    """This pool has at most `processes` parser processes, each with the limits of ArchiveSettings. It is a context
    manager.

    `preload` names modules that the processes import when they start, so that the first parse is as fast as the next
    one.
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
            for number, child in enumerate(children):
                try:
                    await self._greet(child)
                except ParserLost:
                    # It may have been ended from outside, as by a lack of memory. If it cannot start, neither can this.
                    children[number] = self._spawn()
                    await self._greet(children[number])
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
        """Return the limits for the functions that parse archives."""
        return ArchiveLimits.from_settings(self._archives)

    async def run(self, parse: Callable[..., T], *args: object, timeout_s: float | None = None) -> T:
        """Return `parse(*args)`, run in a parser process. `parse` is a module-level function or a partial of one.
        `parse`, its arguments and its result are pickled.

        The settings limit its time, its processor time and the size of its answer. For a parse that reads a registry's
        whole list, `timeout_s` replaces the time limit, in seconds, raises the limit of processor time to at least as
        much, and allows a larger answer.

        Raise what `parse` raises if that is an IngestError or MissingBytes. Any other exception, and a limit that the
        parse exceeds, is the fault of the archive or the document: raise ArchiveRefused, or Malformed and TooLarge if
        `parse` has a parameter `url`. Raise ParserLost if the process dies for any other reason, or if the parse was
        ended too often in favour of urgent work.
        """
        call = ParserCall(parse, args)
        return cast(T, _value_of(await self._served(call, timeout_s), call))

    async def parse_document(
        self, parse: Callable[..., T], body: bytes, *args: object, timeout_s: float | None = None
    ) -> T:
        """Return `parse(body, *args)`. A body of less than 64 KiB is parsed in this process, a larger one in a parser
        process. Raise what `run` raises for documents."""
        call = ParserCall(parse, (body, *args), is_document=True)
        if len(body) < INLINE_BYTES:
            with parse_of(is_document=True):
                outcome = attempt(call)
        else:
            outcome = await self._served(call, timeout_s)
        return cast(T, _value_of(outcome, call))

    async def _served(self, call: ParserCall, timeout_s: float | None) -> ParserOutcome:
        """Return the outcome of a parser process, when the turn of this parse has come. If the turn is ended, wait for
        another one."""
        number = self._turns.number()
        for _ in range(1 + MAX_ENDED_TURNS):
            async with self._turns.turn(number) as turn:
                with turn.scope:
                    child = await self._take()
                    with parse_of(is_document=call.reads_document):
                        outcome = await self._call(child, call, timeout_s)
                    if child.is_alive():
                        self._idle.append(child)
                    return outcome
            PARSER_STRIKES.labels("urgent").inc()
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
        """Wait until a new parser process has answered. Raise ParserLost if it does not."""
        outcome = await self._call(child, ParserCall(_do_nothing, ()), _START_TIMEOUT_S)
        if outcome.error is not None:
            raise ParserLost(f"no parsing process can be started: {outcome.error}")

    async def _call(self, child: ParserProcess, call: ParserCall, timeout_s: float | None) -> ParserOutcome:
        """Return the outcome that the parser process sends. End the process if it sends none, or if the caller is
        cancelled."""
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
            PARSER_STRIKES.labels(TIME).inc()
            outcome = ParserOutcome(error=call.refusal(f"that takes over {limit_s:g} s", reason=TIME))
        except LOST as error:
            exit_code = await self._in_thread(child.exit_code)
            PARSER_STRIKES.labels(CPU_TIME if exit_code == -signal.SIGXCPU else "died").inc()
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


def _value_of(outcome: ParserOutcome, call: ParserCall) -> object:
    """Return the value of a parse, or raise its error. If the parser did not mean to raise it, log the traceback
    first."""
    for event, fields in outcome.notes:
        logger.warning(event, **fields)
    if outcome.traceback is not None:
        logger.warning("parser_failed", parser=call.name, reason=str(outcome.error), exception=outcome.traceback)
    if outcome.error is not None:
        raise outcome.error
    return outcome.value


def _fate(exit_code: int | None) -> str:
    if exit_code is None:
        return "it no longer answers"
    return f"exit code {exit_code}" if exit_code >= 0 else signal.Signals(-exit_code).name


def _do_nothing() -> None:
    pass
