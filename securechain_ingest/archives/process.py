"""This module has the daemon's side of a parser process."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import Final

from securechain_ingest.archives.faults import ParserCall, ParserOutcome

LOST: Final = (EOFError, OSError, pickle.UnpicklingError)
"""The exchange with a process that has ended raises one of these."""

_EXIT_TIMEOUT_S: Final = 10.0

# A process that reads hostile bytes must not be able to tell a store's password (GRAPH_DB_PASSWORD, REDIS_URL, …).
_PASSED_ON: Final = (
    "PATH",
    "PYTHONPATH",
    "PYTHONHOME",
    "LD_LIBRARY_PATH",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
)


class ParserProcess:
    """This is a parser process, and the socket to it. All methods but `is_alive` block, and are called in threads."""

    def __init__(self, memory_bytes: int, preload: Sequence[str]) -> None:
        """Start the process, which imports the modules `preload`. Raise OSError if it cannot be started."""
        self._socket, theirs = socket.socketpair()
        self._replies = self._socket.makefile("rb")
        module = "securechain_ingest.archives.child"
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  # our own module and numbers
                [sys.executable, "-m", module, str(theirs.fileno()), str(memory_bytes), *preload],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            )

    def call(self, call: ParserCall, cpu_s: int, max_answer_bytes: int) -> ParserOutcome:
        """Return the outcome of the parse. Raise one of LOST if the process has ended."""
        with self._socket.makefile("wb") as requests:
            pickle.dump((call, cpu_s, max_answer_bytes), requests, pickle.HIGHEST_PROTOCOL)
        outcome: ParserOutcome = pickle.load(self._replies)  # noqa: S301  # from our own child
        return outcome

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def exit_code(self) -> int | None:
        """Return the exit code of a process that has ended or is about to end; if a signal ended it, that is minus the
        signal's number. Return None if it still runs after ten seconds, in which a busy machine can end it."""
        try:
            return self._process.wait(_EXIT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return None

    def end(self) -> None:
        """Kill and reap the process. A thread that waits for its answer gets an EOFError."""
        self._process.kill()
        self._process.wait()
        self._replies.close()
        self._socket.close()
