"""This tests what systemd hears from the daemon (sd_notify)."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.daemon_process import daemon
from tests.end_to_end.one_graph_server import graph_target
from tests.registry_server import World, serve
from tests.waiting import PATIENCE_S

__all__ = ["graph_target"]


class NotifySocket:
    """This is the socket that systemd would listen on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(PATIENCE_S)

    def receive(self) -> dict[str, str]:
        """Return the next message's assignments."""
        lines = self._socket.recv(4096).decode().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def silence(self, for_s: float = 1.0) -> None:
        """Return when nothing has come for so long."""
        self._socket.settimeout(for_s)
        try:
            while True:
                self._socket.recv(4096)
        except TimeoutError:
            self._socket.settimeout(PATIENCE_S)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def notifications(tmp_path: Path) -> Iterator[NotifySocket]:
    listener = NotifySocket(tmp_path / "notify")
    yield listener
    listener.close()


def test_the_watchdog_is_fed_while_the_daemon_gets_on_and_not_while_it_is_stopped(
    environment: dict[str, str], notifications: NotifySocket
) -> None:
    with serve(World()) as server:
        watched = {"NOTIFY_SOCKET": str(notifications.path), "WATCHDOG_USEC": "300000"}
        with daemon(environment | server.environment() | watched, ready=False) as process:
            assert notifications.receive() == {"READY": "1"}
            assert notifications.receive() == {"WATCHDOG": "1"}
            process.send(signal.SIGSTOP)
            notifications.silence()
            process.send(signal.SIGCONT)
            assert notifications.receive() == {"WATCHDOG": "1"}


def test_readiness_reload_and_stopping_are_told_in_order(
    environment: dict[str, str], notifications: NotifySocket
) -> None:
    with serve(World()) as server:
        variables = environment | server.environment() | {"NOTIFY_SOCKET": str(notifications.path)}
        with daemon(variables, ready=False) as process:
            assert notifications.receive() == {"READY": "1"}
            process.send(signal.SIGHUP)
            reloading = notifications.receive()
            assert reloading["RELOADING"] == "1"
            assert int(reloading["MONOTONIC_USEC"]) > 0
            assert notifications.receive() == {"READY": "1"}
            process.send(signal.SIGTERM)
            assert notifications.receive() == {"STOPPING": "1"}
            assert process.wait() == 0
