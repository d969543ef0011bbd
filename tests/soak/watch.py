"""This module reads from /proc what processes hold while they work, and keeps it as a table."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import psutil

DAEMON, PARSERS = "daemon", "parsers"
SAMPLES = "samples.csv"
"""The table of a run has this name."""


@dataclass(frozen=True, slots=True)
class Holding:
    """This is what all processes of one role hold at one moment."""

    at_s: float
    """So many seconds have passed since the watch began."""
    role: str
    processes: int
    rss: int
    """This is resident memory, in bytes."""
    pss: int
    """Of memory that several processes share, each has only its part here, in bytes."""
    descriptors: int
    threads: int


class Watch:
    """A watch looks at a daemon, its children, and the server that listens on each port, and writes a row for each."""

    def __init__(self, daemon_pid: int, ports: Mapping[str, int], table: csv.DictWriter[str]) -> None:
        self._daemon = psutil.Process(daemon_pid)
        self._servers = {role: _listener(port) for role, port in ports.items()}
        self._table = table
        self.holdings: list[Holding] = []

    def look(self, at_s: float) -> None:
        """Add what each role holds now. Raise NoSuchProcess if the daemon or a server has ended."""
        roles = {DAEMON: [self._daemon], PARSERS: self._daemon.children(recursive=True)}
        for role, server in self._servers.items():
            roles[role] = [server, *server.children(recursive=True)]
        for role, processes in roles.items():
            held = _holding(at_s, role, processes)
            self.holdings.append(held)
            self._table.writerow(asdict(held))

    def of(self, role: str) -> list[Holding]:
        """Return the holdings of a role so far, in their order."""
        return [held for held in self.holdings if held.role == role]

    @property
    def roles(self) -> list[str]:
        return [DAEMON, PARSERS, *self._servers]


@contextmanager
def watch(daemon_pid: int, ports: Mapping[str, int], path: Path) -> Iterator[Watch]:
    """Yield a watch that writes its table a line at a time, so that the file is whole however the run ends.

    Raise LookupError if no process below this one listens on a port.
    """
    with path.open("w", newline="", buffering=1) as file:
        table = csv.DictWriter(file, [field.name for field in fields(Holding)])
        table.writeheader()
        yield Watch(daemon_pid, ports, table)


def read_holdings(path: Path) -> list[Holding]:
    """Return the rows of a table, of which the last one may have been cut off by an end of the run."""
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["threads"]]
    return [
        Holding(
            float(row["at_s"]),
            row["role"],
            *(int(row[key]) for key in ("processes", "rss", "pss", "descriptors", "threads")),
        )
        for row in rows
    ]


def _holding(at_s: float, role: str, processes: list[psutil.Process]) -> Holding:
    count = rss = pss = descriptors = threads = 0
    for process in processes:
        try:
            with process.oneshot():
                memory = process.memory_full_info()
                held = process.num_fds(), process.num_threads()
        except psutil.NoSuchProcess:
            # A parser, or a server's child, that has just ended.
            continue
        count += 1
        rss += memory.rss
        pss += memory.pss
        descriptors += held[0]
        threads += held[1]
    return Holding(at_s, role, count, rss, pss, descriptors, threads)


def _listener(port: int) -> psutil.Process:
    """Return the process below this one that listens on a port of loopback."""
    for process in psutil.Process().children(recursive=True):
        # Another test's parser, or a server's child, may just be ending.
        with suppress(psutil.NoSuchProcess):
            for connection in process.net_connections("tcp"):
                if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port:
                    return process
    raise LookupError(f"no process below this one listens on port {port}")
