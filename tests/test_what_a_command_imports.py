"""A command answers sooner if it imports only what it needs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.daemon_process import without_settings
from tests.forked_product import SCRIPT
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
    imported = imported_by(command, {"REDIS_URL": redis_url}, tmp_path)
    assert "redis" in imported
    assert not imported & DRIVERS_OF_OTHER_STORES


def test_a_command_that_asks_the_graph_does_not_import_numpy_for_its_driver(
    redis_url: str, arcadedb_server: GraphTarget, advisory_target: AdvisoryTarget, tmp_path: Path
) -> None:
    stores = store_variables(redis_url, arcadedb_server, advisory_target, tmp_path)
    imported = imported_by("show pypi:six", stores, tmp_path)
    assert "neo4j" in imported
    # Python tells of a module, too, that it does not find.
    assert not any(module.startswith("numpy.") for module in imported)


def imported_by(command: str, variables: dict[str, str], folder: Path) -> set[str]:
    """Return the modules of which Python tells that it has imported them for a command."""
    done = subprocess.run(
        [SCRIPT, *command.split()],
        env=without_settings() | variables | {"PYTHONPROFILEIMPORTTIME": "1"},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stderr)  # pytest shows it with a failure.
    return set(re.findall(r"\| +([\w.]+)$", done.stderr, re.MULTILINE))
