"""`python leash.py PARENT_PID COMMAND…` becomes COMMAND, which ends when its parent does.

A daemon that is killed cannot stop its servers, so the kernel sends them a signal (on Linux: PR_SET_PDEATHSIG, which
stays in force after exec). The signal is SIGTERM and not SIGKILL, so that each server closes its files in order. On
other systems the next start stops the servers that were left. This is run as a file, and imports nothing but the
standard library, so that a server's start hardly takes longer.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1


def leashed(command: Sequence[str | os.PathLike[str]]) -> list[str]:
    """Return a command line by which the process that starts it also ends it, however that one itself ends."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *(os.fspath(each) for each in command)]


def main(arguments: list[str]) -> None:
    parent, *command = arguments
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    # The parent may have died before the kernel was asked.
    if os.getppid() == int(parent):
        os.execvp(command[0], command)  # noqa: S606  # the daemon's own command line


if __name__ == "__main__":
    main(sys.argv[1:])
