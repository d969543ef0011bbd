"""Whoever ends a run of tests early finds none of its daemons running afterwards."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

from tests.waiting import block_until

RUN = """
import sys, time
from tests.end_to_end.daemon_process import DaemonProcess
process = DaemonProcess({}, command=(sys.executable, "-c", "import time; print('here', flush=True); time.sleep(600)"))
while not process.lines:
    time.sleep(0.01)
print(process.process.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux ends it")
def test_a_daemon_ends_with_the_run_of_tests_that_started_it() -> None:
    with subprocess.Popen([sys.executable, "-c", RUN], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        daemon = int(run.stdout.readline())
        run.kill()
    block_until(lambda: not psutil.pid_exists(daemon) or psutil.Process(daemon).status() == "zombie", "its end")
