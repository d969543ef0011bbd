"""A command that asks only Redis answers sooner, since it imports no driver of another store."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.daemon_process import without_settings

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
