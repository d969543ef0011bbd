"""A command answers sooner if it imports only what it needs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.daemon_process import SCRIPT, without_settings
from tests.stores import AdvisoryTarget, GraphTarget, store_variables

DRIVERS_OF_OTHER_STORES = {"neo4j", "pymongo", "motor"}


COMMANDS = [
    "cursors list",
    "dead-letters list",
    "health",
    "pause pypi",
    "queue list",
    "schedules disable pypi_package_ingestion",
    "submit pypi:six",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_asks_only_redis_imports_no_other_driver(command: str, redis_url: str, tmp_path: Path) -> None:
    program = "import sys\nfrom securechain_ingest.cli import app\ntry: app()\nfinally: print('\\n', *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program, *command.split()],
        env={**without_settings(), "REDIS_URL": redis_url},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    imported = set(done.stdout.split())
    assert "redis" in imported, done.stderr
    assert not imported & DRIVERS_OF_OTHER_STORES


def test_a_command_that_asks_the_graph_does_not_import_numpy_for_its_driver(
    redis_url: str, arcadedb_server: GraphTarget, advisory_target: AdvisoryTarget, tmp_path: Path
) -> None:
    stores = store_variables(redis_url, arcadedb_server, advisory_target, tmp_path)
    done = subprocess.run(
        [SCRIPT, "show", "pypi:six"],
        env=without_settings() | stores | {"PYTHONPROFILEIMPORTTIME": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    imported = set(re.findall(r"\| +([\w.]+)$", done.stderr, re.MULTILINE))
    assert "neo4j" in imported, done.stderr
    # Python tells of a module, too, that it does not find.
    assert not any(module.startswith("numpy.") for module in imported)
