"""This tests every command on real stores: one JSON value with `--json`, and text that fits 60 columns."""

from __future__ import annotations

import json
import threading
import uuid
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from typer.testing import CliRunner

from securechain_ingest.cli import app
from securechain_ingest.cli.manual import MANUAL
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from tests.registry_server import World, npm, serve
from tests.stores import AdvisoryTarget, GraphTarget, empty_graph, store_variables
from tests.waiting import PATIENCE_S

WORLD = World((npm.Package("left", (npm.Version("1.0.0"), npm.Version("1.1.0"))),))

ASKED: dict[str, tuple[tuple[str, ...], int]] = {
    "ingest": (("npm:left", "npm:nobody", "--depth", "0"), 1),
    "show": (("npm:left",), 0),
    "find import": (("left",), 0),
    "find advisory": (("CVE-0",), 1),
    "submit": (("npm:left", "pypi:six"), 0),
    "queue list": ((), 0),
    "queue cancel": (("npm:nobody",), 1),
    "queue purge": (("--lane", "listed"), 0),
    "status": ((), 0),
    "health": ((), 3),
    "pause": (("npm",), 0),
    "resume": (("npm",), 0),
    "backfill import-names": (("npm",), 0),
    "dead-letters list": ((), 0),
    "dead-letters show": (("1-1",), 1),
    "dead-letters replay": (("--all",), 0),
    "dead-letters drop": (("--all",), 0),
    "schedules list": ((), 0),
    "schedules enable": (("advisory_sync",), 0),
    "schedules disable": (("advisory_sync",), 0),
    "schedules run": (("advisory_sync",), 0),
    "runs list": ((), 0),
    "runs show": (("20260101T000000-1a2b3c4d",), 1),
    "cursors show": ((), 0),
    "cursors reset": (("npm",), 1),
    "snapshot export": (("snap",), 0),
    "snapshot verify": (("snap",), 0),
    "snapshot import": (("snap",), 1),
    "check-config": ((), 0),
    "import-names": (("pypi", "absent.whl"), 1),
}
"""This says how each command is asked, in this order, and its exit code."""

WITHOUT_AN_ANSWER = {"find advisory", "dead-letters show", "runs show", "snapshot import"}
"""What they are asked for is not there, or is there already; that is said on standard error alone."""

AS_IT_IS = {"check-config", "completion", "run", "health"}
"""Lines of TOML and of scripts are not broken."""


@pytest.fixture
def ask(
    redis_url: str,
    arcadedb_server: GraphTarget,
    advisory_server: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    empty_graph(arcadedb_server)
    target = AdvisoryTarget(advisory_server, f"answers-{uuid.uuid4().hex}")
    monkeypatch.chdir(tmp_path)
    with serve(WORLD) as server:
        variables = store_variables(redis_url, arcadedb_server, target, tmp_path) | server.environment()
        variables |= {"SECURECHAIN_WEB__PORT": "9", "SECURECHAIN_VULNERABILITIES__FIRST_SYNC_S": "0"}
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        yield lambda *arguments: CliRunner().invoke(app, arguments)


class _AnotherDaemon(BaseHTTPRequestHandler):
    """It has the port that is asked, and gets on."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"ok": true, "reason": null, "pid": 1}')

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(("holder", "code"), [(None, 0), ("1", 0), ("2", 1), ("", 1)])
def test_another_daemon_at_the_port_of_the_page_says_nothing_of_this_one(
    redis_url: str, tmp_path: Path, holder: str | None, code: int
) -> None:
    # The file is empty after a daemon that has ended, and is not there where none has ever run.
    if holder is not None:
        (tmp_path / "daemon.lock").write_text(holder)
    with HTTPServer(("127.0.0.1", 0), _AnotherDaemon) as server:
        server.timeout = PATIENCE_S  # Nobody may ask.
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        variables = {"REDIS_URL": redis_url, "SECURECHAIN_STATE_DIR": str(tmp_path)}
        variables |= {"SECURECHAIN_QUEUE__STREAM": f"nobody-{uuid.uuid4().hex}"}
        done = CliRunner().invoke(app, ["health"], env=variables | {"SECURECHAIN_WEB__PORT": str(server.server_port)})
        thread.join()
    assert done.exit_code == code, (done.output, done.exception)


def test_each_command_with_json_prints_one_value_and_says_the_rest_elsewhere(ask: Any) -> None:
    assert set(ASKED) == {path for path, entry in MANUAL.items() if entry.answer and not entry.only_json}
    for path, (arguments, code) in ASKED.items():
        result = ask(*path.split(), *arguments, "--json")
        told = (path, result.stdout, result.stderr, result.exception)
        if not isinstance(result.exception, SystemExit | None):
            # Expected errors become exit codes in `main`, which this does not pass.
            assert path in WITHOUT_AN_ANSWER, told
            continue
        assert result.exit_code == code, told
        if path in WITHOUT_AN_ANSWER:
            assert result.stdout == "", told
            continue
        answer = json.loads(result.stdout)
        kind = (MANUAL[path].answer or "").split()[1].rstrip(":")
        assert isinstance(answer, dict if kind == "object" else list), told


def test_the_text_of_each_command_fits_60_columns(ask: Any, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    keys, data = Keys("package-extraction"), json.dumps({"node_type": "NPMPackage", "package": "@long/" + "name-" * 20})
    with Redis.from_url(redis_url) as redis:
        redis.xadd(keys.dead_letters, {"data": data, "error": "a reason of many words " * 9, "kind": "not_found"})
        redis.xadd(keys.lane("npm", Lane.REQUIRED), {"data": data})
    for path, (arguments, _) in ASKED.items():
        if path not in AS_IT_IS:
            result = ask(*path.split(), *arguments)
            assert max(map(len, result.stdout.splitlines()), default=0) <= 60, result.stdout
