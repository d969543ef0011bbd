"""This tests what commands say while stores accept connections but never answer."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner

from securechain_ingest.cli import app
from securechain_ingest.cli.answers import ADVISORIES_ANSWER_S, GRAPH_ANSWER_S, REDIS_ANSWER_S, for_answers
from securechain_ingest.configuration import load

LISTEN = 100


class SilentStores:
    """Three servers that accept connections and say nothing. Once each of them was asked, they close all connections.

    `gave_up` has the stores whose client went away before that.
    """

    def __init__(self, *names: str) -> None:
        self._unasked = set(names)
        self._held: list[socket.socket] = []
        self.gave_up: list[str] = []
        self._all_asked, self._lock = threading.Event(), threading.Lock()
        self._listeners = {name: socket.create_server(("127.0.0.1", 0), backlog=LISTEN) for name in names}
        for name in names:
            threading.Thread(target=self._serve, args=(name,), daemon=True).start()

    def address(self, name: str) -> str:
        return f"127.0.0.1:{self._listeners[name].getsockname()[1]}"

    def _serve(self, name: str) -> None:
        while True:
            try:
                connection, _ = self._listeners[name].accept()
            except OSError:
                return
            threading.Thread(target=self._hold, args=(name, connection), daemon=True).start()

    def _hold(self, name: str, connection: socket.socket) -> None:
        with connection:
            with self._lock:
                self._held.append(connection)
            with suppress(OSError):
                while connection.recv(4096):
                    self._note(name)
            if not self._all_asked.is_set():
                self.gave_up.append(name)

    def _note(self, name: str) -> None:
        """Note that a store was asked; if it is the last one, let nobody wait any longer."""
        with self._lock:
            self._unasked.discard(name)
            if not self._unasked:
                self._all_asked.set()
                for connection in self._held:
                    with suppress(OSError):
                        connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        for listener in self._listeners.values():
            listener.close()


@pytest.fixture
def silent() -> Iterator[SilentStores]:
    stores = SilentStores("redis", "graph", "vulnerabilities")
    yield stores
    stores.close()


@pytest.mark.slow
def test_status_asks_all_stores_at_once_and_says_of_each_that_it_does_not_answer(
    silent: SilentStores, tmp_path: Path
) -> None:
    variables = {
        "REDIS_URL": f"redis://{silent.address('redis')}/0",
        "GRAPH_DB_URI": f"bolt://{silent.address('graph')}",
        "VULN_DB_URI": f"mongodb://{silent.address('vulnerabilities')}/",
        "SECURECHAIN_VULNERABILITIES__TIMEOUT_S": "0.2",
        "SECURECHAIN_STATE_DIR": str(tmp_path),
    }
    status = CliRunner().invoke(app, ["status", "--json"], env=variables)
    assert status.exit_code == 3, (status.output, status.exception)
    assert "redis" not in silent.gave_up, "Redis was waited for before the others were asked"
    report = json.loads(status.stdout)
    assert {store for store, state in report["stores"].items() if "error" in state} == set(report["stores"])
    # What only Redis knows is not known; it is not nothing.
    assert (report["queue"], report["daemons"], report["freshness"]) == (None, None, None)


def test_the_text_of_status_says_nothing_of_what_is_not_known(tmp_path: Path) -> None:
    addresses = {"REDIS_URL": "redis://127.0.0.1:1/0", "GRAPH_DB_URI": "bolt://127.0.0.1:1"}
    variables = addresses | {
        "COLUMNS": "200",
        "VULN_DB_URI": "mongodb://127.0.0.1:1/",
        "SECURECHAIN_VULNERABILITIES__TIMEOUT_S": "0.2",
        "SECURECHAIN_STATE_DIR": str(tmp_path),
    }
    status = CliRunner().invoke(app, ["status"], env=variables)
    assert status.exit_code == 3, (status.output, status.exception)
    assert [line.split()[0] for line in status.stdout.splitlines() if line] == ["redis", "graph", "vulnerabilities"]


def test_a_command_waits_less_for_a_store_than_the_daemon_unless_less_is_configured() -> None:
    answers = for_answers(load(environment={}))
    assert answers.redis.timeout_s == REDIS_ANSWER_S
    assert answers.graph.query_timeout_s == GRAPH_ANSWER_S
    assert answers.vulnerabilities.timeout_s == ADVISORIES_ANSWER_S
    answers = for_answers(load(environment={"SECURECHAIN_REDIS__TIMEOUT_S": "0.5"}))
    assert answers.redis.timeout_s == 0.5
