"""This is the daemon as a real process, which is followed by its JSON log and ended by signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from securechain_ingest.embedded.leash import leashed
from tests.forked_product import ForkedProduct
from tests.waiting import PATIENCE_S, block_until

Event = dict[str, Any]


def without_settings() -> dict[str, str]:
    """Return the environment of the tests without what would configure the product or the width of its answers."""
    hidden = ("SECURECHAIN_", "REDIS_", "GRAPH_DB_", "VULN_DB_", "COLUMNS")
    return {key: value for key, value in os.environ.items() if not key.startswith(hidden)}


_DEFAULTS = {
    "SECURECHAIN_DAEMON__LOG_FORMAT": "json",
    "SECURECHAIN_WEB__PORT": "0",
    "SECURECHAIN_EMBEDDED__START_TIMEOUT_S": str(PATIENCE_S),
}
"""There is no page: daemons of several tests would want the same port. A busy machine starts servers slowly."""
_FORKED = {"SECURECHAIN_ARCHIVES__PROCESSES": "1"}
"""A parser process costs more than the start of a forked daemon, and few tests read so much that two have work."""


def _started(
    arguments: list[str],
    environment: dict[str, str],
    command: Sequence[str | Path] | None,
    cwd: Path | None,
    output: int,
) -> ForkedProduct | subprocess.Popen[bytes]:
    with Path(os.devnull).open() as nothing:
        if command is None:
            return ForkedProduct(arguments, _FORKED | environment, (nothing.fileno(), output, output), cwd)
        return subprocess.Popen(
            # It ends with the test run even if that is killed.
            leashed([*command, *arguments]),
            cwd=cwd,
            env=environment,
            stdin=nothing,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


class DaemonProcess:
    """This is one run of the daemon. Its events are read by a thread, so the pipe never fills; `log` is a file that
    keeps them. It is a fork of a process that has imported the product, or `command` is what is run instead."""

    def __init__(
        self,
        environment: Mapping[str, str],
        arguments: tuple[str, ...] = (),
        command: Sequence[str | Path] | None = None,
        cwd: Path | None = None,
        log: Path | None = None,
    ) -> None:
        self._log = log
        told, telling = os.pipe()
        self._told = os.fdopen(told, encoding="utf-8")
        try:
            self.process = _started(
                ["run", *arguments], without_settings() | _DEFAULTS | dict(environment), command, cwd, telling
            )
        finally:
            os.close(telling)
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with (
            self._told as told,
            nullcontext() if self._log is None else self._log.open("w", buffering=1) as log,
        ):
            for line in told:
                self.lines.append(line.rstrip("\n"))
                if log is not None:
                    log.write(line)

    def events(self, name: str) -> list[Event]:
        """Return all log events of that name so far."""
        found = []
        for line in list(self.lines):
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if event.get("event") == name:
                found.append(event)
        return found

    def wait_for(self, name: str, count: int = 1, timeout_s: float = PATIENCE_S) -> list[Event]:
        """Wait until that many events of the name were logged."""
        block_until(lambda: len(self.events(name)) >= count or self.process.poll() is not None, name, timeout_s)
        events = self.events(name)
        assert len(events) >= count, "\n".join(["the daemon ended early:", *self.lines[-30:]])
        return events

    def send(self, number: signal.Signals) -> None:
        """Signal the daemon itself, not its children."""
        self.process.send_signal(number)

    def wait(self, timeout_s: float = PATIENCE_S) -> int:
        """Return the exit code, once all that the daemon has told is read."""
        code = self.process.wait(timeout_s)
        # The pipe is closed by its reader: a busy machine may take seconds for the last lines.
        self._reader.join(timeout_s)
        return code

    def stop(self) -> int:
        """Send SIGTERM, and return the exit code."""
        self.send(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """Send SIGKILL: there is no chance to tidy up."""
        self.process.kill()
        self.wait()


@contextmanager
def daemon(
    environment: Mapping[str, str],
    *arguments: str,
    ready: bool = True,
    command: Sequence[str | Path] | None = None,
    cwd: Path | None = None,
    log: Path | None = None,
) -> Iterator[DaemonProcess]:
    """Yield a daemon that is certainly gone at the end. `command` is what is run instead of a fork of the product."""
    process = DaemonProcess(environment, arguments, command, cwd, log)
    try:
        if ready:
            process.wait_for("daemon_ready")
        yield process
    except BaseException:
        # pytest shows it with the failure.
        print("the daemon's last words:", *process.lines[-40:], sep="\n")
        raise
    finally:
        if process.process.poll() is None:
            process.kill()
        else:
            # One that ended by itself leaves its pipe open, of which another test would be warned.
            process.wait()
