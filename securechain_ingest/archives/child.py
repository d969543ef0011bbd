"""The process that parses: `python -m securechain_ingest.archives.child FD MEMORY_BYTES [MODULE...]`.

It reads pickled (ParserCall, seconds of processor time, bytes of the answer) from the socket FD and writes back pickled
Outcomes. It ends when the other side of the socket does, or by SIGXCPU when a parse has had its processor time.
"""

from __future__ import annotations

import ctypes
import importlib
import io
import math
import os
import pickle
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from securechain_ingest.archives.faults import ParserCall, ParserOutcome, attempt, unmeant

_PR_SET_PDEATHSIG = 1
# The event loop comes first where processors are scarce.
_NICENESS = 10
# Where memory is scarce, the kernel ends a parser before the daemon or a store.
_OOM_SCORE = "500"


def main(arguments: list[str]) -> None:
    descriptor, memory_bytes, *modules = arguments
    # A busy child would see the end of its socket only when it is done: the kernel kills it with the daemon.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # Draining goes on after the terminal's or the service manager's signal to the whole group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    for module in modules:
        importlib.import_module(module)
    # Only now: somebody may wait for this process to be there.
    os.nice(_NICENESS)
    with suppress(OSError):  # A kernel that shows no such file ends whom it likes.
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE, encoding="ascii")
    resource.setrlimit(resource.RLIMIT_AS, (int(memory_bytes), int(memory_bytes)))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    with socket.socket(fileno=int(descriptor)) as channel, channel.makefile("rb") as requests:
        while requests.peek(1):
            call, cpu_s, max_answer_bytes = pickle.load(requests)  # noqa: S301  # from our own parent
            with _processor_time(cpu_s):
                reply = answer(call, max_answer_bytes)
            channel.sendall(reply)


@contextmanager
def _processor_time(limit_s: int) -> Iterator[None]:
    """The kernel ends this process by SIGXCPU if it takes more until the block is left."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    used = resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime + limit_s), hard))
    yield
    resource.setrlimit(resource.RLIMIT_CPU, (hard, hard))


def answer(call: ParserCall, max_answer_bytes: int) -> bytes:
    """The pickled ParserOutcome of a parse, of at most so many bytes; always one that the daemon can load."""
    outcome = attempt(call)
    try:
        pickled = _pickled(outcome, max_answer_bytes)
        if outcome.error is not None:
            # An exception of foreign make may not survive the journey.
            pickle.loads(pickled)  # noqa: S301  # our own, a line ago
        return pickled
    except _TooLong:
        sentence = f"what the parser finds takes more than {max_answer_bytes} bytes"
        return _pickled(ParserOutcome(error=call.refusal(sentence, reason="answer_too_large")))
    except Exception as error:  # noqa: BLE001  # a value that cannot be sent, or no memory for it
        return _pickled(unmeant(call, error))


class _TooLong(Exception):
    pass


class _Bounded(io.BytesIO):
    """Refuses to grow beyond a limit, so that what is too long is not even made."""

    def __init__(self, limit_bytes: float) -> None:
        super().__init__()
        self._limit_bytes = limit_bytes

    def write(self, data: bytes, /) -> int:  # type: ignore[override]  # narrower than any buffer
        if self.tell() + len(data) > self._limit_bytes:
            raise _TooLong
        return super().write(data)


def _pickled(outcome: ParserOutcome, limit_bytes: float = math.inf) -> bytes:
    stream = _Bounded(limit_bytes)
    pickle.Pickler(stream, pickle.HIGHEST_PROTOCOL).dump(outcome)
    return stream.getvalue()


if __name__ == "__main__":
    main(sys.argv[1:])
