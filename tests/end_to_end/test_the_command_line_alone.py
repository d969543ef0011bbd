"""What a user sees without any store: help, errors, exit codes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.daemon_process import SCRIPT, without_settings


def run(
    *arguments: str, environment: dict[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, *arguments],
        env=without_settings() | (environment or {}),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def assert_one_line(result: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    for word in words:
        assert word in result.stderr


def test_help_names_every_command_and_the_exit_codes() -> None:
    result = run("--help")
    commands = ("run", "ingest", "submit", "status", "dead-letters", "check-config", "import-names", "backfill")
    assert result.returncode == 0
    assert all(command in result.stdout for command in commands)
    assert "Exit codes" in result.stdout


def test_a_wrong_setting_ends_in_exit_code_2_and_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[queue]\nconcurrency = 0\n")
    result = run("check-config", cwd=tmp_path)
    assert_one_line(result, 2, "config.toml", "[queue] concurrency = 0", "greater than or equal to 1")


@pytest.mark.parametrize(
    "arguments", [("--config", "other.toml", "check-config"), ("check-config", "--config", "other.toml")]
)
def test_the_config_file_can_be_named_before_or_after_the_command(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "other.toml").write_text("[queue]\nconcurrency = 5\n")
    result = run(*arguments, "--json", cwd=tmp_path)
    assert json.loads(result.stdout)["queue"]["concurrency"] == 5


def test_check_config_masks_secrets() -> None:
    result = run("check-config", environment={"GRAPH_DB_PASSWORD": "hunter2", "REDIS_URL": "redis://:hunter2@h"})
    assert result.returncode == 0
    assert "hunter2" not in result.stdout


@pytest.mark.parametrize("command", ["status", "submit", "dead-letters"])
def test_without_a_daemon_or_addresses_a_command_says_how_to_get_one(tmp_path: Path, command: str) -> None:
    more = {"submit": ("pypi:six",), "dead-letters": ("list",), "status": ()}[command]
    result = run(command, *more, environment={"SECURECHAIN_STATE_DIR": str(tmp_path / "state")})
    assert_one_line(result, 2, str(tmp_path / "state"), "securechain-ingest run")


def test_without_embedded_servers_a_missing_address_is_named() -> None:
    result = run("run", environment={"SECURECHAIN_EMBEDDED__ENABLED": "false", "REDIS_URL": "redis://127.0.0.1:1"})
    assert_one_line(result, 2, "GRAPH_DB_URI")


@pytest.mark.parametrize(
    ("name", "words"),
    [("six", "pypi:six"), ("cobol:six", "knows pypi, npm"), ("pypi:a b", "a b"), ("pkg:pypi", "pkg:pypi")],
)
def test_a_name_that_means_no_package_is_one_line(tmp_path: Path, name: str, words: str) -> None:
    result = run("submit", name, environment={"SECURECHAIN_STATE_DIR": str(tmp_path)})
    assert_one_line(result, 2, words)


def test_an_unknown_flag_is_a_usage_error_without_a_traceback() -> None:
    result = run("run", "--fast")
    assert_one_line(result, 2, "--fast")
