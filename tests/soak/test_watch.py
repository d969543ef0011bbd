"""What a process holds is seen from outside."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.soak.watch import PARSERS, SAMPLES, read_holdings, watch

HOLDS = """
import socket, subprocess, sys
server = socket.create_server(("127.0.0.1", 0))
held = []
print(server.getsockname()[1], flush=True)
for line in sys.stdin:
    match line.split():
        case ["files", count]: held += [open("/dev/null") for _ in range(int(count))]
        case ["bytes", count]: held.append(bytearray(b"x") * int(count))
        case ["child"]: held.append(subprocess.Popen(["sleep", "60"], stdin=subprocess.DEVNULL))
        case ["orphan"]: [each.kill() for each in held if isinstance(each, subprocess.Popen)]
    print("done", flush=True)
"""


class Holder:
    """This is a process that holds what it is told to, and listens on a port."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.port = int(self._read())

    def hold(self, what: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        self._read()

    def _read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


@contextmanager
def holder() -> Iterator[Holder]:
    held = Holder()
    with held.process:
        try:
            yield held
        finally:
            held.hold("orphan")
            assert held.process.stdin is not None
            held.process.stdin.close()


def test_files_memory_and_children_are_seen_in_the_process_that_holds_them(tmp_path: Path) -> None:
    path = tmp_path / SAMPLES
    with holder() as daemon, holder() as store, watch(daemon.process.pid, {"redis": store.port}, path) as watched:
        watched.look(0.0)
        store.hold("files 30")
        daemon.hold("bytes 50000000")
        daemon.hold("child")
        watched.look(10.0)
        before, after = watched.of("redis")
        assert after.descriptors == before.descriptors + 30
        before, after = watched.of("daemon")
        assert after.rss > before.rss + 40_000_000
        assert after.pss > before.pss + 40_000_000
        assert [sample.processes for sample in watched.of(PARSERS)] == [0, 1]
        # The table is whole while it is written.
        assert read_holdings(path) == watched.holdings


def test_a_port_on_which_nothing_listens_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="port 1"), watch(os.getpid(), {"redis": 1}, tmp_path / SAMPLES):
        pass
