"""Whoever ends a run of tests early finds none of its daemons running afterwards."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.waiting import block_until

RUN = """
import sys, time
from tests.end_to_end.daemon_process import DaemonProcess
from tests.schedules_off import SCHEDULES_OFF
process = DaemonProcess(
    {
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "GRAPH_DB_URI": "bolt://127.0.0.1:1",
        "VULN_DB_URI": "mongodb://127.0.0.1:1",
        "SECURECHAIN_STATE_DIR": sys.argv[1],
        **SCHEDULES_OFF,
    },
    command=sys.argv[2:] or None,
)
process.wait_for("store_unavailable")
print(process.process.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux ends it")
@pytest.mark.parametrize("command", [(), (sys.executable, "-m", "securechain_ingest")], ids=["forked", "started"])
def test_a_daemon_ends_with_the_run_of_tests_that_started_it(command: tuple[str, ...], tmp_path: Path) -> None:
    words = [sys.executable, "-c", RUN, str(tmp_path), *command]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        daemon = int(run.stdout.readline())
        run.kill()
    block_until(lambda: not psutil.pid_exists(daemon) or psutil.Process(daemon).status() == "zombie", "its end")
