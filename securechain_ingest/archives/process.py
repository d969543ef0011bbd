"""One parser process, seen from the daemon."""

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
"""What the exchange with a process ends in that is not there any more."""

_EXIT_TIMEOUT_S: Final = 1.0

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
    """A child process and the socket to it. All methods but `is_alive` block: they are called in threads."""

    def __init__(self, memory_bytes: int, preload: Sequence[str]) -> None:
        """Start it; it imports the modules `preload`. Raises OSError."""
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
        """What becomes of the parse. Raises one of LOST if the process is gone."""
        with self._socket.makefile("wb") as requests:
            pickle.dump((call, cpu_s, max_answer_bytes), requests, pickle.HIGHEST_PROTOCOL)
        outcome: ParserOutcome = pickle.load(self._replies)  # noqa: S301  # from our own child
        return outcome

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def exit_code(self) -> int | None:
        """How a process ended that is gone, or just about to be: minus the signal's number; None if it goes on."""
        try:
            return self._process.wait(_EXIT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return None

    def end(self) -> None:
        """Kill and reap it; a thread that waits for its reply gets an EOFError."""
        self._process.kill()
        self._process.wait()
        self._replies.close()
        self._socket.close()
