"""This tests what a user sees without any store: help, errors, exit codes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.daemon_process import without_settings
from tests.forked_product import SCRIPT
from tests.forked_product import run as run_product
from tests.waiting import PATIENCE_S


def run(
    *arguments: str, environment: dict[str, str] | None = None, cwd: Path | None = None, given: str = ""
) -> subprocess.CompletedProcess[str]:
    variables = without_settings() | (environment or {})
    return run_product(*arguments, environment=variables, cwd=cwd, given=given)


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
    (tmp_path / "config.toml").write_text("[workers]\nnpm = 0\n")
    result = run("check-config", cwd=tmp_path)
    assert_one_line(result, 2, "config.toml", "[workers] npm = 0", "greater than or equal to 1")


@pytest.mark.parametrize(
    "arguments", [("--config", "other.toml", "check-config"), ("check-config", "--config", "other.toml")]
)
def test_the_config_file_can_be_named_before_or_after_the_command(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "other.toml").write_text("[workers]\nnpm = 5\n")
    result = run(*arguments, "--json", cwd=tmp_path)
    assert json.loads(result.stdout)["workers"]["npm"] == 5


def test_check_config_masks_secrets() -> None:
    result = run("check-config", environment={"GRAPH_DB_PASSWORD": "hunter2", "REDIS_URL": "redis://:hunter2@h"})
    assert result.returncode == 0
    assert "hunter2" not in result.stdout


@pytest.mark.parametrize("command", ["status", "submit", "dead-letters"])
def test_without_a_daemon_or_addresses_a_command_says_how_to_get_one(tmp_path: Path, command: str) -> None:
    more = {"submit": ("pypi:six",), "dead-letters": ("list",), "status": ()}[command]
    result = run(command, *more, environment={"SECURECHAIN_STATE_DIR": str(tmp_path / "state")})
    assert_one_line(result, 3, str(tmp_path / "state"), "securechain-ingest run")


@pytest.mark.parametrize(
    "command", [("run",), ("ingest", "pypi:six"), ("status",), ("backfill", "import-names", "npm")]
)
def test_a_state_directory_that_there_cannot_be_is_one_line_and_exit_code_2(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    (tmp_path / "file").write_text("no folder")
    state_dir = tmp_path / "file" / "state"
    result = run(*command, environment={"SECURECHAIN_STATE_DIR": str(state_dir)})
    if command == ("status",):
        assert_one_line(result, 3, str(state_dir), "no daemon")
    else:
        assert_one_line(result, 2, f"[daemon] state_dir = {state_dir}", "Not a directory")


def test_check_config_masks_the_credentials_of_every_url(tmp_path: Path) -> None:
    """It also masks the credentials of mirrors, of lists, and a password that holds an @."""
    (tmp_path / "config.toml").write_text(
        """
        [graph]
        uri = "bolt://neo4j:hunter2@graph.example:7687"
        [vulnerabilities]
        uri = "mongodb://user:hunter2@documents.example"
        [endpoints]
        pypi = "https://user:hunt@er2@mirror.example/pypi"
        npm_registry = "https://hunter2@mirror.example"
        [http]
        contact = "https://user:hunter2@contact.example"
        """
    )
    for more in ((), ("--json",)):
        result = run("check-config", *more, cwd=tmp_path)
        assert result.returncode == 0
        assert not any(secret in result.stdout for secret in ("hunter2", "er2@", "user:"))
        assert "https://***@mirror.example/pypi" in result.stdout


@pytest.mark.parametrize(
    "module", ["typing_extensions", "typer", "pydantic", "securechain_ingest.cli", "redis", "neo4j", "lxml.etree"]
)
def test_a_ctrl_c_while_the_program_is_still_being_loaded_leaves_no_traceback(tmp_path: Path, module: str) -> None:
    environment = without_settings() | {"SECURECHAIN_STATE_DIR": str(tmp_path), "PYTHONPROFILEIMPORTTIME": "1"}
    pipe = subprocess.PIPE
    process = subprocess.Popen([SCRIPT, "run"], env=environment, stdout=pipe, stderr=pipe, text=True)
    assert process.stderr is not None
    # Python tells of each module when it is loaded.
    while not (line := process.stderr.readline()).rstrip().endswith(f" {module}"):
        assert line, f"{module} is not loaded by this command"
    process.send_signal(signal.SIGINT)
    log, errors = process.communicate(timeout=PATIENCE_S)
    # Where this process was slow, the other had all modules loaded and began to run; then it stops in good order.
    has_begun = "daemon_starting" in log
    assert process.returncode in ({0} if has_begun else {-signal.SIGINT, 130})
    assert not any(word in errors for word in ("Traceback", "Exception ignored", "KeyboardInterrupt"))


def test_the_made_registry_runs_a_command_that_is_pointed_at_it() -> None:
    code = "import os, sys; print(os.environ['SECURECHAIN_ENDPOINTS__PYPI']); sys.exit(7)"
    result = subprocess.run(
        [sys.executable, "-m", "tests.registry_server", "--packages", "1", sys.executable, "-c", code],
        env=without_settings(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (result.returncode, result.stdout[:17]) == (7, "http://127.0.0.1:")


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


def test_what_a_file_or_a_bill_names_is_shown_without_being_queued(tmp_path: Path) -> None:
    listed, bill = tmp_path / "requirements.txt", tmp_path / "bom.json"
    listed.write_text("-r more.txt\nsix==1.16.0\nnpm:left\n")
    bill.write_text(json.dumps({"bomFormat": "CycloneDX", "components": [{"purl": "pkg:gem/rails@7"}, {"name": "x"}]}))
    done = run("submit", "--dry-run", "--file", str(listed), "--sbom", str(bill))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["PyPIPackage  six", "NPMPackage  left", "RubyGemsPackage  rails"]
    assert "-r more.txt" in done.stderr
    assert "1 without a package URL" in done.stderr
    wrong = run("submit", "--dry-run", "--sbom", str(listed))
    assert_one_line(wrong, 2, "requirements.txt is not JSON")


def test_a_version_asks_for_its_package_as_it_does_in_a_file_and_that_is_told() -> None:
    done = run("submit", "--dry-run", "pkg:npm/left-pad@1.3.0", "npm:@babel/core@7.0.0", "pypi:six", "npm:left-pad")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["NPMPackage  left-pad", "NPMPackage  @babel/core", "PyPIPackage  six"]
    assert done.stderr.splitlines() == [
        "packages are meant as a whole, without the version: pkg:npm/left-pad@1.3.0, npm:@babel/core@7.0.0",
        "3 would be queued",
    ]


def test_a_bill_may_come_from_another_program_by_a_pipe() -> None:
    bill = json.dumps({"bomFormat": "CycloneDX", "components": [{"purl": "pkg:gem/rails@7"}]})
    done = run("submit", "--dry-run", "--sbom", "-", given=bill)
    assert (done.returncode, done.stdout) == (0, "RubyGemsPackage  rails\n"), done.stderr


def test_an_input_that_names_no_package_is_named_in_the_error(tmp_path: Path) -> None:
    bill, listed = tmp_path / "bom.json", tmp_path / "list.txt"
    bill.write_text(json.dumps({"bomFormat": "CycloneDX"}))
    listed.write_text("# nothing yet\n")
    assert_one_line(run("submit", "--sbom", str(bill)), 2, str(bill))
    assert_one_line(run("submit", "--file", str(listed), "--sbom", str(bill)), 2, str(bill), str(listed))
    assert_one_line(run("submit", "--file", "-", "--sbom", "-", given=""), 2, "both a list and a bill")


@pytest.mark.parametrize("command", [("show", "pypi:six"), ("find", "import", "six"), ("snapshot", "export", "copy")])
def test_a_question_in_a_folder_without_data_is_no_answer_about_an_empty_graph(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    result = run(*command, cwd=tmp_path)
    assert_one_line(result, 3, str(tmp_path), "securechain-ingest run")
    assert result.stdout == ""
    assert not (tmp_path / ".state").exists()


CTRL_C = """
import signal
from securechain_ingest import __main__, cli
from securechain_ingest.cli.options import run_async

def handled():
    return signal.getsignal(signal.SIGINT) is not signal.SIG_DFL

async def running():
    return handled()

cli.main = lambda: print(handled(), run_async(running()), handled())
__main__.main()
"""


def test_until_the_loop_of_a_command_runs_a_ctrl_c_ends_the_process_in_the_midst_of_no_import() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CTRL_C], env=without_settings(), capture_output=True, text=True, check=True
    )
    assert done.stdout == "False True True\n"


LOGGING = """
import structlog
from securechain_ingest.cli.options import run_async

async def command():
    logger = structlog.get_logger("securechain_ingest.embedded")
    logger.info("embedded_server_started")
    logger.error("embedded_server_lost")
    print("the answer")

run_async(command())
"""


def test_what_is_logged_meanwhile_does_not_stand_in_the_answer_of_a_command() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOGGING], env=without_settings(), capture_output=True, text=True, check=True
    )
    assert done.stdout == "the answer\n"
    assert "embedded_server_lost" in done.stderr
    assert "embedded_server_started" not in done.stderr
