"""This runs the product's commands as processes that need not import the product first, which takes each of them more
processor time than most of what tests ask of it.

Python's own fork server (`multiprocessing`) has imported all of it. A command is a fork of that server: a process with
arguments, environment, folder and streams of its own, which then does what the console script does. The tests of what a
command imports, of how it starts and of the memory that it takes run the console script itself.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from multiprocessing.reduction import DupFd
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Final

from securechain_ingest.__main__ import main
from tests.waiting import PATIENCE_S

SCRIPT: Final = Path(sys.executable).with_name("securechain-ingest")
_PR_SET_PDEATHSIG: Final = 1

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["tests.preloaded_product", __name__])


class ForkedProduct:
    """This is `securechain-ingest ARGUMENTS`, which runs in a session of its own, with the methods of
    `subprocess.Popen` that tests need. It ends with the process of tests that has started it.

    `environment` is all of its environment. `streams` are descriptors for its input, output and errors.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        streams: tuple[int, int, int],
        cwd: Path | None = None,
    ) -> None:
        self.args = [str(SCRIPT), *arguments]
        passed = (self.args, dict(environment), str(cwd or Path.cwd()), _Streams(streams))
        self._process = _forks.Process(target=_become_the_product, args=passed, daemon=True)
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """Return the exit code, which is minus the signal's number if a signal has ended it, or None if it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code. Raise subprocess.TimeoutExpired if the process runs after `timeout` seconds."""
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def run(
    *arguments: str, environment: Mapping[str, str], cwd: Path | None = None, given: str = ""
) -> subprocess.CompletedProcess[str]:
    """Return what a command has answered. `environment` is all of its environment, `given` is its input."""
    with TemporaryFile("w+") as stdin, TemporaryFile("w+") as stdout, TemporaryFile("w+") as stderr:
        stdin.write(given)
        stdin.seek(0)
        command = ForkedProduct(arguments, environment, (stdin.fileno(), stdout.fileno(), stderr.fileno()), cwd)
        try:
            code = command.wait(PATIENCE_S)
        finally:
            command.kill()
        for stream in (stdout, stderr):
            stream.seek(0)
        return subprocess.CompletedProcess(command.args, code, stdout.read(), stderr.read())


class _Streams:
    """These descriptors are sent with the rest of what a process is given."""

    def __init__(self, descriptors: tuple[int, int, int]) -> None:
        self._descriptors = descriptors

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, tuple(DupFd(each) for each in self._descriptors)


def _received(*sent: Any) -> tuple[int, ...]:
    return tuple(each.detach() for each in sent)


def _become_the_product(
    arguments: list[str], environment: dict[str, str], cwd: str, streams: tuple[int, int, int]
) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    # The fork server ends when nobody holds the pipe any more that all its forks have inherited.
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(cwd)
    sys.argv = arguments
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(0, closefd=False),
        os.fdopen(1, "w", closefd=False),
        os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False),
    )
    main()
