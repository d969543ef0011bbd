"""One local server as a child process: started, found ready, stopped; and those reclaimed that a killed daemon left."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio
import psutil
import structlog

from securechain_ingest.embedded.addresses import write_private
from securechain_ingest.errors import StoreError

logger = structlog.get_logger(__name__)

_POLL_S = 0.05
_STOP_S = 15.0
_LOG_LIMIT_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """What a server is started with; the same after each restart, so that drivers find it again."""

    name: str
    command: Sequence[str]
    home: Path
    """Its data, and the folder that it runs in."""
    probe: Callable[[], Awaitable[bool]]
    """Whether it answers its own protocol."""
    prepare: Callable[[], Awaitable[None]] | None = None
    """What has to be done before its first start."""


class ServerProcess:
    """A running server. Its output goes to `<home>.log`, its pid to `<home>.pid`."""

    def __init__(self, plan: ServerPlan) -> None:
        self.plan = plan
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    async def start(self, timeout_s: float) -> None:
        """Start it and wait until it answers. Raises StoreError with its last words if it does not in time."""
        await stop_leftover(self.plan.home)
        if self.plan.prepare is not None:
            await self.plan.prepare()
        self.plan.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _fresh_log(self._log).open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220, S603  # returns at once; our own command line
                [sys.executable, "-m", "securechain_ingest.embedded.leash", str(os.getpid()), *self.plan.command],
                cwd=self.plan.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Its own session: the terminal's Ctrl-C is for the daemon, which ends its servers when it is done.
                start_new_session=True,
            )
        write_private(_pid_file(self.plan.home), json.dumps([self._process.pid, _started_at(self._process.pid)]))
        with anyio.move_on_after(timeout_s):
            while self.is_alive():
                if await self.plan.probe():
                    return
                await anyio.sleep(_POLL_S)
        words = self._last_words()
        await self.stop()
        raise StoreError(f"the local {self.plan.name} did not start within {timeout_s:g} s; its log ends: {words}")

    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL if that does not help; returns when it is gone."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            give_up_at = time.monotonic() + _STOP_S
            while self._process.poll() is None:
                if time.monotonic() > give_up_at:
                    logger.warning("embedded_server_killed", server=self.plan.name, after_s=_STOP_S)
                    self._process.kill()
                await anyio.sleep(_POLL_S)
        _pid_file(self.plan.home).unlink(missing_ok=True)

    @property
    def _log(self) -> Path:
        return self.plan.home.with_suffix(".log")

    def _last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return " | ".join(lines[-5:]) or "(nothing)"


async def stop_leftover(home: Path) -> None:
    """Stop the server that a killed daemon left on this data, if one still runs."""
    try:
        pid, started_at = json.loads(_pid_file(home).read_text(encoding="ascii"))
    except FileNotFoundError:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        give_up_at = time.monotonic() + _STOP_S
        while started_at is not None and _started_at(pid) == started_at:
            if time.monotonic() > give_up_at:
                break
            os.kill(pid, number)
            await anyio.sleep(_POLL_S)
    logger.info("embedded_server_reclaimed", home=str(home))
    _pid_file(home).unlink(missing_ok=True)


def free_port() -> int:
    """A port of loopback that nobody listens on at the moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _pid_file(home: Path) -> Path:
    return home.with_suffix(".pid")


def _started_at(pid: int) -> float | None:
    """When a process began, which tells it from a later one of the same number; None if it is gone."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None


def _fresh_log(path: Path) -> Path:
    """The log, put aside when it has grown large; one old one is kept."""
    if path.exists() and path.stat().st_size > _LOG_LIMIT_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return path
