"""`python leash.py PARENT_PID COMMAND…`: becomes COMMAND, which ends when its parent does.

A daemon that is killed cannot stop its servers, so the kernel tells them (Linux: PR_SET_PDEATHSIG, which outlives
exec). SIGTERM and not SIGKILL: each of them closes its files in order. Elsewhere the next start stops what was left.
Run as a file and with nothing but the standard library, since importing the package would cost each start a second.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    parent, *command = arguments
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    # The parent may have died before the kernel was asked.
    if os.getppid() == int(parent):
        os.execvp(command[0], command)  # noqa: S606  # the daemon's own command line


if __name__ == "__main__":
    main(sys.argv[1:])
