"""This starts and ends the parts of the demonstration together."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from securechain_ingest.configuration import FIXED_NAMES, PREFIX
from securechain_ingest.embedded.leash import leashed
from securechain_ingest.embedded.process import free_ports
from tests.registry_server import World, serve
from tests.registry_server.server import REPOSITORY
from tests.stores import QUICK_JAVA

COMMAND: Final = (sys.executable, "-m", "securechain_ingest")
_MARK: Final = "# Written by the demonstration at each start."
_START_S: Final = 300.0
_END_S: Final = 60.0


class DemoFailed(Exception):
    """It cannot start; the message says why."""


@dataclass(frozen=True, slots=True)
class Demo:
    """This is a demonstration that runs."""

    config: Path
    """This is the configuration that the commands beside it take."""
    address: str
    """This is the page's address, with the token."""
    daemon: subprocess.Popen[bytes]
    log: Path
    """This is what the daemon tells, as JSON lines."""

    def told(self, event: str) -> list[dict[str, Any]]:
        """Return the daemon's events of this name so far."""
        return [each for each in _events(self.log) if each.get("event") == event]

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of the product's commands beside the daemon."""
        return subprocess.run(
            [*COMMAND, *arguments, "--config", str(self.config)],
            cwd=REPOSITORY,
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=_START_S,
            check=False,
        )


@contextmanager
def demo(world: World, state_dir: Path, port: int = 0) -> Iterator[Demo]:
    """Serve the world and run a daemon on it with new local stores under `state_dir`, until the block ends.

    `port` is the page's; a free one is taken if it is 0 or not free. It raises DemoFailed.
    """
    config = _fresh(state_dir)
    with serve(world, keep_requests=False) as registries:
        tables: dict[str, dict[str, Any]] = {
            "daemon": {"state_dir": str(state_dir), "log_format": "json"},
            "endpoints": registries.endpoints(),
            "web": {"port": _free_port(port)},
            "embedded": {"start_timeout_s": _START_S},
        }
        config.write_text(_toml(tables))
        log = state_dir / "daemon.log"
        with log.open("wb") as written:
            daemon = subprocess.Popen(
                leashed([*COMMAND, "run", "--config", config]),
                cwd=REPOSITORY,
                env=_environment(),
                stdout=written,
                stderr=subprocess.STDOUT,
                # A terminal's Ctrl-C reaches this process alone, which then ends the daemon.
                start_new_session=True,
            )
        try:
            yield Demo(config, _address(daemon, log), daemon, log)
        finally:
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(_END_S)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


def _fresh(state_dir: Path) -> Path:
    """Return the path of the configuration in an empty directory.

    Only a directory of the demonstration's own is emptied.
    """
    config = state_dir / "config.toml"
    if state_dir.exists() and any(state_dir.iterdir()):
        if not config.is_file() or not config.read_text().startswith(_MARK):
            raise DemoFailed(f"{state_dir} holds something else than a demonstration; name another --state-dir")
        if _is_locked(state_dir):
            raise DemoFailed(f"a demonstration runs already in {state_dir}; end it first, or name another --state-dir")
        shutil.rmtree(state_dir)
    state_dir.mkdir(parents=True, exist_ok=True)
    return config


def _is_locked(state_dir: Path) -> bool:
    from securechain_ingest.embedded.addresses import state_lock
    from securechain_ingest.errors import ConfigError

    try:
        with state_lock(state_dir):
            return False
    except ConfigError:
        return True


def _toml(tables: Mapping[str, Mapping[str, Any]]) -> str:
    lines = [_MARK]
    for name, table in tables.items():
        # JSON's strings, numbers and lists are TOML's.
        lines += ["", f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def _environment() -> dict[str, str]:
    """Return the environment without variables that would lead to another installation's stores, and with options by
    which the graph server starts sooner."""
    others = {
        name: value for name, value in os.environ.items() if not name.startswith(PREFIX) and name not in FIXED_NAMES
    }
    return {**others, "JAVA_TOOL_OPTIONS": f"{QUICK_JAVA} -XX:+UseSerialGC"}


def _free_port(wanted: int) -> int:
    try:
        with socket.create_server(("127.0.0.1", wanted)):
            return wanted or free_ports(1)[0]
    except OSError:
        return free_ports(1)[0]


def _address(daemon: subprocess.Popen[bytes], log: Path) -> str:
    """Return what the daemon's log says when the page can be opened."""
    give_up_at = time.monotonic() + _START_S
    while time.monotonic() < give_up_at:
        for event in _events(log):
            if event.get("event") == "page_ready":
                return str(event["address"])
            if event.get("event") == "page_not_served":
                raise DemoFailed(f"the page has no port: {event.get('address')}, {event.get('reason')}")
        if daemon.poll() is not None:
            raise DemoFailed("\n".join(["the daemon did not start:", *log.read_text().splitlines()[-10:]]))
        time.sleep(0.05)
    raise DemoFailed(f"the daemon did not start within {_START_S:.0f} s; its log is {log}")


def _events(log: Path) -> Iterator[dict[str, Any]]:
    for line in log.read_text(errors="replace").splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue
