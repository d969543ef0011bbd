"""This tests `backfill import-names` as a user runs it: to the end, with failures, killed, interrupted and started
again.
"""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from securechain_ingest.registries.npm.names import NPM
from tests.end_to_end.daemon_process import without_settings
from tests.end_to_end.graph_contents import PlainCypher
from tests.end_to_end.one_graph_server import graph_target
from tests.forked_product import SCRIPT, run
from tests.registry_server import Fault, FaultKind, Server, World, npm, serve
from tests.waiting import PATIENCE_S, block_until

__all__ = ["graph_target"]

NAMES = [f"package-{number:02}" for number in range(50)]
STALLED = NAMES[45]
WORLD = World(tuple(npm.Package(name, (npm.Version("1.0.0"),)) for name in NAMES))


class Command:
    """This is the command on this test's stores and registry."""

    def __init__(self, server: Server, environment: dict[str, str], graph: PlainCypher) -> None:
        self.server = server
        self.graph = graph
        self._environment = (
            without_settings() | server.environment() | environment | {"SECURECHAIN_QUEUE__CONCURRENCY": "4"}
        )
        graph.rows(
            "UNWIND $names AS name CREATE (p:NPMPackage {name: name})"
            " CREATE (p)-[:HAVE]->(:Version {name: '1.0.0', purl: name})",
            names=NAMES,
        )

    @contextmanager
    def start(self, *arguments: str, **streams: Any) -> Iterator[subprocess.Popen[str]]:
        """Yield the running command, which is certainly gone at the end."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
        line = [str(SCRIPT), "backfill", "import-names", *arguments]
        with subprocess.Popen(line, env=self._environment, text=True, **pipes) as process:
            try:
                yield process
            finally:
                process.kill()

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Return the exit code, the standard output and the standard error."""
        done = run("backfill", "import-names", *arguments, environment=self._environment)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout, done.stderr

    def filled(self) -> int:
        return self.graph.count("MATCH (p:NPMPackage) WHERE p.import_names = [p.name] RETURN count(p)")

    def asked_for(self, name: str) -> int:
        return sum(request.target == f"/{name}" for request in self.server.requests)

    def stall(self) -> None:
        """One package never answers; whatever comes long before it is done by the time that this is noticed."""
        self.server.faults.add(Fault(f"/{STALLED}", FaultKind.STALL, times=None))


@pytest.fixture
def command(environment: dict[str, str], reader: PlainCypher) -> Iterator[Command]:
    with serve(WORLD) as server:
        yield Command(server, environment, reader)


def test_it_fills_in_what_is_missing_and_sums_up(command: Command) -> None:
    command.server.faults.add(Fault(f"/{NAMES[7]}", FaultKind.STATUS, times=None, status=404))
    code, output, errors = command.run("npm", "--json")
    summary = json.loads(output)
    assert code == 1, "one has failed"
    assert summary.pop("time_s") > 0
    assert summary.pop("average_s") > 0
    assert summary == {
        "ecosystem": "npm",
        "parser_version": NPM.import_names_version,
        "found": len(NAMES) - 1,
        "without_names": 0,
        "download_errors": 1,
        "parse_errors": 0,
        "total": len(NAMES),
    }
    [line] = errors.splitlines()
    assert "import_names_failed" in line
    assert NAMES[7] in line
    assert command.filled() == len(NAMES) - 1

    command.server.faults.clear()
    code, output, errors = command.run("npm")
    assert (code, errors) == (0, "")
    assert [line.split() for line in output.splitlines()][2:7] == [
        ["found", "1"],
        ["without", "names", "0"],
        ["download", "errors", "0"],
        ["parse", "errors", "0"],
        ["total", "1"],
    ]


def test_one_that_is_killed_goes_on_where_it_stood(command: Command) -> None:
    command.stall()
    with command.start("npm") as process:
        block_until(lambda: command.filled() == 40 and command.asked_for(STALLED), "two batches in the graph")
        process.kill()
    command.server.faults.clear()
    code, output, _ = command.run("npm", "--json")
    assert (code, json.loads(output)["found"]) == (0, len(NAMES) - 40)
    assert command.filled() == len(NAMES)
    assert {command.asked_for(name) for name in NAMES[:40]} == {1}


def test_ctrl_c_tells_what_has_been_done_and_that_it_can_go_on(command: Command) -> None:
    command.stall()
    with command.start("npm", "--json") as process:
        block_until(lambda: command.filled() == 40 and command.asked_for(STALLED), "two batches in the graph")
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert 40 <= json.loads(output)["found"] < len(NAMES)
    assert errors == "interrupted: the same command goes on from here\n"


def test_restart_begins_again_with_those_that_failed(command: Command) -> None:
    command.server.faults.add(Fault(f"/{NAMES[0]}", FaultKind.STATUS, times=1, status=404))
    assert command.run("npm", "--limit", "3")[0] == 1
    code, output, _ = command.run("npm", "--limit", "2", "--restart", "--json")
    assert (code, json.loads(output)["found"]) == (0, 2)
    assert command.filled() == 4
    assert command.asked_for(NAMES[0]) == 2


def test_a_terminal_shows_a_bar(command: Command) -> None:
    command.stall()
    master, terminal = pty.openpty()
    with command.start("npm", stderr=terminal) as process:
        os.close(terminal)
        shown = ""
        while f"{NAMES.index(STALLED)}/?" not in shown:
            shown += os.read(master, 1024).decode(errors="replace")
        process.send_signal(signal.SIGINT)
        block_until(lambda: process.poll() is not None, "its end")
    os.close(master)
    assert "packages" in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("cobol",), "cobol is no ecosystem"),
        (("npm", "--older-than", "99"), "the parser of npm is of version"),
    ],
)
def test_what_makes_no_sense_is_one_line(command: Command, arguments: tuple[str, ...], words: str) -> None:
    code, output, errors = command.run(*arguments)
    assert (code, output) == (2, "")
    [line] = errors.splitlines()
    assert words in line
