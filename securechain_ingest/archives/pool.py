"""Parsing in processes of its own, so that a hostile archive or a huge document costs its own message and nothing else.

The whole exchange with a child (pickling, sending, receiving, unpickling) happens in a thread over a blocking socket:
the event loop sees neither the bytes nor the pauses, and a pickle read from a socket lets other threads run between
its frames.
"""

from __future__ import annotations

import math
import pickle
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Self, TypeVar, cast

import anyio
import anyio.to_thread

from securechain_ingest.archives.limits import ArchiveLimits
from securechain_ingest.errors import ParserLost
from securechain_ingest.settings import ArchiveSettings

T = TypeVar("T")

# Below this a document parses in about a millisecond, not much more than sending it to a child costs.
INLINE_BYTES = 64 * 1024

_LOST = (EOFError, OSError, pickle.UnpicklingError)
_START_TIMEOUT_S = 60.0


class _Child:
    """One process and the socket to it. `call` and `end` block: they are called in threads."""

    def __init__(self, archives: ArchiveSettings, preload: Sequence[str]) -> None:
        self._socket, theirs = socket.socketpair()
        self._replies = self._socket.makefile("rb")
        module = "securechain_ingest.archives.child"
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  # our own module and numbers
                [sys.executable, "-m", module, str(theirs.fileno()), str(archives.memory_bytes), *preload],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def call(self, parse: Callable[..., T], args: tuple[object, ...]) -> tuple[bool, T | Exception]:
        """Whether it succeeded, and the value or the exception; the errors in _LOST say that the child is gone."""
        with self._socket.makefile("wb") as requests:
            pickle.dump((parse, args), requests, pickle.HIGHEST_PROTOCOL)
        reply: tuple[bool, T | Exception] = pickle.load(self._replies)  # noqa: S301  # from our own child
        return reply

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        """Kill and reap it; a thread that waits for its reply gets an EOFError."""
        self._process.kill()
        self._process.wait()
        self._replies.close()
        self._socket.close()


class ParserPool:
    """At most `processes` children, each with the limits of ArchiveSettings; a context manager.

    `preload` names modules that children import when they start, so that the first parse is as fast as the next.
    """

    def __init__(self, archives: ArchiveSettings, *, preload: Sequence[str] = ()) -> None:
        self._archives = archives
        self._preload = preload
        self._capacity = anyio.CapacityLimiter(archives.processes)
        self._threads = anyio.CapacityLimiter(math.inf)
        self._idle: deque[_Child] = deque()

    async def __aenter__(self) -> Self:
        children: list[_Child] = []
        try:
            while len(children) < self._archives.processes:
                children.append(self._spawn())
            for child in children:
                await self._call(child, _START_TIMEOUT_S, _do_nothing)
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

        It may take `timeout_s`, or as long as the settings say; what reads a whole registry's list takes longer.
        Raises what `parse` raises if that is an IngestError, MissingBytes or ValueError; ArchiveRefused for anything
        else (`memory`, `parser_error`); ParserLost if the child dies or exceeds its time.
        """
        async with self._capacity:
            child = await self._take()
            succeeded, value = await self._call(child, timeout_s or self._archives.timeout_s, parse, *args)
            self._idle.append(child)
        if succeeded:
            return cast(T, value)
        raise cast(Exception, value)

    async def parse_document(self, parse: Callable[..., T], body: bytes, *args: object) -> T:
        """`parse(body, *args)`: here if the body is small, in a child if not; raises what `run` raises."""
        return parse(body, *args) if len(body) < INLINE_BYTES else await self.run(parse, body, *args)

    async def _end(self, children: Iterable[_Child]) -> None:
        with anyio.CancelScope(shield=True):
            for child in children:
                await self._in_thread(child.end)

    def _spawn(self) -> _Child:
        try:
            return _Child(self._archives, self._preload)
        except OSError as error:
            raise ParserLost(f"no parsing process can be started: {error}") from error

    async def _take(self) -> _Child:
        while self._idle:
            child = self._idle.popleft()
            if child.is_alive():
                return child
            await self._in_thread(child.end)
        child = self._spawn()
        await self._call(child, _START_TIMEOUT_S, _do_nothing)
        return child

    async def _call(
        self, child: _Child, timeout_s: float, parse: Callable[..., T], *args: object
    ) -> tuple[bool, T | Exception]:
        """What the child answers; it is ended if it does not, or if nobody waits for it any more."""
        try:
            with anyio.fail_after(timeout_s):
                return await self._in_thread(child.call, parse, args)
        except BaseException as error:
            with anyio.CancelScope(shield=True):
                await self._in_thread(child.end)
            if isinstance(error, TimeoutError):
                raise ParserLost(f"the parsing process took over {timeout_s:g} s") from error
            if isinstance(error, _LOST):
                raise ParserLost("the parsing process died") from error
            raise

    async def _in_thread(self, function: Callable[..., T], *args: object) -> T:
        return await anyio.to_thread.run_sync(function, *args, abandon_on_cancel=True, limiter=self._threads)


def _do_nothing() -> None:
    pass
