"""`python -m tests.registry_server` can be waited for, pointed to, and stopped."""

from __future__ import annotations

import signal
import subprocess
import sys
from itertools import takewhile

import httpx

from tests.registry_server import Shape, generate, spawn
from tests.registry_server.server import REPOSITORY
from tests.waiting import PATIENCE_S


def test_a_process_serves_the_world_of_its_seed_and_counts_requests() -> None:
    truth = generate(Shape(packages=3, seed=9, odd_share=0.0)).truth()
    project = next(package for package in truth.values() if package.ecosystem == "pypi")

    with spawn("--packages", "3", "--seed", "9", "--odd-share", "0") as server:
        url = f"{server.endpoints()['pypi']}/pypi/{project.registry_name}/json"
        releases = httpx.get(url, trust_env=False, timeout=PATIENCE_S).json()["releases"]

        assert set(releases) == {version.name for version in project.versions}
        assert server.counters()["requests"] == {"pypi": 1}


def test_the_lines_printed_point_a_daemon_here_until_a_signal_ends_it() -> None:
    command = [sys.executable, "-m", "tests.registry_server", "--packages", "1"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = list(takewhile(lambda line: line.startswith("export "), iter(process.stdout.readline, "")))
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=PATIENCE_S) == 0

    variables = dict(line.strip().removeprefix("export ").split("=", 1) for line in lines)
    assert variables["SECURECHAIN_ENDPOINTS__PYPI"].startswith("http://127.0.0.1:")
    assert variables["SECURECHAIN_RATES__NPM_REGISTRY"] == "unlimited"
