"""This module starts one local server as a child process, waits until it is ready, and stops it. It also stops the
servers that a killed daemon left."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import anyio
import psutil
import structlog

from securechain_ingest.embedded.addresses import write_private
from securechain_ingest.embedded.leash import leashed
from securechain_ingest.errors import StoreError

logger = structlog.get_logger(__name__)

LOG_LIMIT_BYTES = 4 * 1024 * 1024
_POLL_S = 0.05
_STOP_S = 15.0
_ONLY_THIS_USER = 0o077
# The kernel numbers outgoing connections from 32768 upwards: one of those could take the port of a server that starts.
_PORTS = range(20_000, 32_768)
# The kernel computes the time of its boot, and from it the start of a process, anew each time that it is asked.
_START_TIME_JITTER_S = 2.0


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """This is all that a server is started with. It is the same after each restart, so that drivers find the server
    again."""

    name: str
    command: Sequence[str]
    home: Path
    """The server's data are in this folder, and the server runs in it."""
    port: int
    probe: Callable[[], Awaitable[bool]]
    """This returns whether the server answers its own protocol. It is called once the port is open."""
    prepare: Callable[[], Awaitable[None]] | None = None
    """This is called before each start. It does what the server needs before its first one."""


class ServerProcess:
    """This is a server process. Its output goes to `<home>.log`, and its process id to `<home>.pid`."""

    def __init__(self, plan: ServerPlan) -> None:
        self.plan = plan
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    @property
    def log(self) -> Path:
        """Return the file that has the output of the server."""
        return self.plan.home.with_suffix(".log")

    async def start(self, timeout_s: float) -> None:
        """Start the server and wait until it answers. If that fails or is cancelled, nothing is left running.

        Raise StoreError, with the last lines of the log, if the server ends or does not answer within `timeout_s`
        seconds, and before the start if another program listens at its port.
        """
        await stop_leftover(self.plan.home)
        if await _is_open(self.plan.port):
            raise StoreError(
                f"port {self.plan.port} of 127.0.0.1, where the local {self.plan.name} should listen, is taken by"
                " another program: end that, or choose another port in [embedded] (0: any)"
            )
        if self.plan.prepare is not None:
            await self.plan.prepare()
        process = self._launch()
        began_at = time.monotonic()
        try:
            with anyio.move_on_after(timeout_s):
                while process.poll() is None:
                    if await _is_open(self.plan.port) and await self.plan.probe():
                        seconds = round(time.monotonic() - began_at, 1)
                        logger.info(
                            "embedded_server_started",
                            server=self.plan.name,
                            pid=process.pid,
                            port=self.plan.port,
                            seconds=seconds,
                        )
                        return
                    await anyio.sleep(_POLL_S)
            code = process.poll()
            what = f"did not answer within {timeout_s:g} s" if code is None else f"ended at once (exit code {code})"
            raise StoreError(f"the local {self.plan.name} {what}; its log {self.log} ends: {self._last_words()}")
        except BaseException:
            await self.stop()
            raise

    def _launch(self) -> subprocess.Popen[bytes]:
        self.plan.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.bound_log()
        with open(self.log, "ab", opener=_open_private) as log:
            self._process = subprocess.Popen(  # noqa: S603  # our own command line
                leashed(self.plan.command),
                cwd=self.plan.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                umask=_ONLY_THIS_USER,
                # It has its own session, because the terminal's Ctrl-C is for the daemon, which stops its servers last.
                start_new_session=True,
            )
        write_private(_pid_file(self.plan.home), json.dumps([self._process.pid, _started_at(self._process.pid)]))
        return self._process

    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    async def stop(self) -> None:
        """Send SIGTERM to the server, and SIGKILL if it still runs after 15 seconds. Return when it has ended, even if
        this is cancelled meanwhile."""
        process = self._process
        if process is None:
            return
        with anyio.CancelScope(shield=True):
            process.terminate()
            with anyio.move_on_after(_STOP_S):
                await _until(lambda: process.poll() is not None)
            if process.poll() is None:
                logger.warning("embedded_server_killed", server=self.plan.name, after_s=_STOP_S)
                process.kill()
                await _until(lambda: process.poll() is not None)
        _pid_file(self.plan.home).unlink(missing_ok=True)

    def bound_log(self) -> None:
        """Begin the log anew when it is larger than 4 MiB, and keep one old log. The server appends to the log, so it
        goes on writing at its new end."""
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT_BYTES:
            shutil.copy(self.log, self.log.with_suffix(".log.1"))
            os.truncate(self.log, 0)

    def _last_words(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return " | ".join(lines[-5:]) or "(nothing)"


async def stop_leftover(home: Path) -> None:
    """Stop the server that a killed daemon left on this data, if it still runs."""
    path = _pid_file(home)
    if not path.exists():
        return
    pid, started_at = json.loads(path.read_text(encoding="ascii"))

    def is_gone() -> bool:
        now = _started_at(pid)
        return started_at is None or now is None or abs(now - started_at) > _START_TIME_JITTER_S

    for number in (signal.SIGTERM, signal.SIGKILL):
        if is_gone():
            break
        logger.info("embedded_server_reclaimed", server=home.name, pid=pid, signal=number.name)
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        with anyio.move_on_after(_STOP_S):
            await _until(is_gone)
    path.unlink(missing_ok=True)


async def together(*steps: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run all steps at the same time. The first error cancels the others, and is raised as it is and not in a group."""
    try:
        async with anyio.create_task_group() as group:
            for step in steps:
                group.start_soon(step)
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None


def free_ports(count: int) -> list[int]:
    """Return `count` different ports of loopback that no process uses at the moment."""
    candidates = random.SystemRandom().sample(_PORTS, len(_PORTS))
    return list(islice(filter(_is_free, candidates), count))


def chosen_ports(*wanted: int) -> list[int]:
    """Return the ports as they are wanted, and a free one in the place of each 0."""
    free = (port for port in free_ports(2 * len(wanted)) if port not in wanted)
    return [port or next(free) for port in wanted]


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


async def _is_open(port: int) -> bool:
    try:
        async with await anyio.connect_tcp("127.0.0.1", port):
            return True
    except OSError:
        return False


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  # a process that ends sets no event
        await anyio.sleep(_POLL_S)


def _pid_file(home: Path) -> Path:
    return home.with_suffix(".pid")


def _started_at(pid: int) -> float | None:
    """Return when a process began, in seconds since 1970, or None if it has ended. By this time it can be told from a
    later process with the same id."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
