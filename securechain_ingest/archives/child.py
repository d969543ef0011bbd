"""This is the program of a parser process: `python -m securechain_ingest.archives.child FD MEMORY_BYTES [MODULE...]`.

It reads pickled tuples (ParserCall, limit of processor time in seconds, limit of the answer in bytes) from the socket
FD, and writes back pickled ParserOutcomes. It ends when the other side closes the socket. The kernel ends it by SIGXCPU
when a parse has used up its processor time.
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
    # A busy process would see the end of its socket only after its parse: the kernel kills it with the daemon.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # The terminal or the service manager sends its signal to the whole group, but parses go on while the daemon drains.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    for module in modules:
        importlib.import_module(module)
    # The priority is lowered only now, because urgent work may wait for this process to start.
    os.nice(_NICENESS)
    with suppress(OSError):  # Without this file, the kernel chooses by its own rules.
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
    """The kernel ends this process by SIGXCPU if it uses more than `limit_s` seconds of processor time before the block
    is left."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    used = resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime + limit_s), hard))
    yield
    resource.setrlimit(resource.RLIMIT_CPU, (hard, hard))


def answer(call: ParserCall, max_answer_bytes: int) -> bytes:
    """Return the pickled ParserOutcome of a parse, in at most `max_answer_bytes` bytes. The daemon can always load it.
    If the parse's own outcome is longer or cannot be sent, an outcome that says so takes its place."""
    outcome = attempt(call)
    try:
        pickled = _pickled(outcome, max_answer_bytes)
        if outcome.error is not None:
            # An exception of another library may be pickled and yet not be loaded again.
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
    """This stream refuses to grow beyond a limit, so that an answer that is too long is not even made."""

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
