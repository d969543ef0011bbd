"""This tests the page of a running daemon, and the command by which a supervisor asks whether the daemon gets on."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Mapping

import httpx

from securechain_ingest.embedded.process import free_ports
from tests.end_to_end.daemon_process import daemon, without_settings
from tests.end_to_end.one_graph_server import graph_target
from tests.forked_product import run
from tests.registry_server import World, serve
from tests.waiting import PATIENCE_S, block_until

__all__ = ["graph_target"]


def free_port() -> str:
    """Return a port that no other test, which lets the kernel choose, is given before the daemon listens there."""
    [port] = free_ports(1)
    return str(port)


def health(variables: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return run("health", *arguments, environment=without_settings() | dict(variables))


def test_a_daemon_serves_its_page_and_says_whether_it_gets_on(environment: dict[str, str]) -> None:
    port = free_port()
    with serve(World()) as server:
        variables = environment | server.environment() | {"SECURECHAIN_WEB__PORT": port}
        with daemon(variables) as process:
            [ready] = process.wait_for("page_ready")
            answer = httpx.get(ready["address"], follow_redirects=True, timeout=PATIENCE_S)
            assert "Log in" not in answer.text
            assert 'Pause<span class="hidden"> npm</span>' in answer.text
            ages = httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=PATIENCE_S).json()["ages_s"]
            assert {"scheduler"} <= set(ages)
            healthy = health(variables, "--timeout", "60")
            assert (healthy.returncode, healthy.stdout) == (0, "ok\n")
            process.send(signal.SIGSTOP)
            stopped = health(variables, "--timeout", "0.5")
            assert stopped.returncode == 3
            assert stopped.stderr.count("\n") == 1
            process.send(signal.SIGCONT)
            assert process.stop() == 0


def test_a_second_daemon_on_the_same_port_goes_on_without_a_page(environment: dict[str, str]) -> None:
    with serve(World()) as server, socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with daemon(environment | server.environment() | {"SECURECHAIN_WEB__PORT": port}) as process:
            [warning] = process.wait_for("page_not_served")
            assert warning["level"] == "warning"
            assert process.stop() == 0


def test_without_a_page_the_heartbeat_tells(environment: dict[str, str]) -> None:
    variables = environment | {"SECURECHAIN_WEB__PORT": "0"}
    with serve(World()) as server:
        assert health(variables).returncode == 1
        with daemon(variables | server.environment()) as process:
            process.wait_for("daemon_ready")
            block_until(lambda: health(variables).returncode == 0, "a heartbeat")
            assert health(variables).stdout == "ok\n"
