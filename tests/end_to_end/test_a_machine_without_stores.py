"""`run` with nothing configured brings its own stores, and every other command finds them through it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import securechain_ingest
from tests.end_to_end.daemon_process import DaemonProcess, daemon, without_settings
from tests.forked_product import run
from tests.registry_server import Server, World, cargo, maven, npm, nuget, pypi, rubygems, serve
from tests.schedules_off import SCHEDULES_OFF, schedules_off
from tests.waiting import block_until

WORLD = World(
    (
        npm.Package("left", (npm.Version("1.0.0"), npm.Version("1.1.0", needs=(npm.need("right", "^1", "^1"),)))),
        npm.Package("right", (npm.Version("1.0.0"),)),
        pypi.Project("snake", (pypi.ProjectRelease("1.0"),)),
        maven.Package("org.antlr:ST4", (maven.Version("4.3.4"),)),
        cargo.Crate("serde", (cargo.Version("1.0.0"),)),
        rubygems.Gem("RedCloth", (rubygems.Version("4.2"),)),
        rubygems.Gem("some_gem", (rubygems.Version("1.0"),)),
        cargo.Crate("some_crate", (cargo.Version("1.0.0"),)),
        nuget.Package("Newtonsoft.Json", (nuget.Version("13.0.1"),)),
    )
)


class Machine:
    """This is a folder with a daemon in it, and the commands that a user types there."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.server = server
        self.environment = {
            **server.environment(),
            "SECURECHAIN_STATE_DIR": str(folder / "state"),
            **SCHEDULES_OFF,
        }

    def command(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        result = run(*arguments, environment=without_settings() | self.environment, given=stdin)
        # pytest shows it with a failure.
        print(*arguments, "ended with", result.returncode, result.stderr)
        assert "Traceback" not in result.stderr
        return result

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = json.loads(self.command("status", "--json").stdout)
        return status


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with serve(WORLD) as server:
        machine = Machine(tmp_path_factory.mktemp("machine"), server)
        with daemon(machine.environment) as process:
            yield machine
            assert process.stop() == 0


def stored(machine: Machine) -> dict[str, int]:
    counts: dict[str, int] = machine.status()["graph"]
    return counts


def is_idle(machine: Machine) -> bool:
    queue = machine.status()["queue"]
    return not (queue["waiting"] or queue["in_flight"] or queue["retrying"])


def test_submitted_packages_and_what_they_require_show_in_status(machine: Machine) -> None:
    result = machine.command("submit", "npm:left", "pypi:snake")
    assert (result.returncode, result.stdout) == (0, "2 queued on package-extraction\n")
    block_until(lambda: stored(machine)["npm"] == 2 and stored(machine)["pypi"] == 1, "three packages")


def test_messages_are_submitted_from_standard_input(machine: Machine) -> None:
    lines = [json.dumps({"node_type": "NPMPackage", "package": name}) for name in ("left", "right")]
    result = machine.command("submit", "--file", "-", stdin="\n".join(lines))
    assert (result.returncode, result.stdout) == (0, "2 queued on package-extraction\n")


def test_a_malformed_line_queues_nothing_and_is_named(machine: Machine) -> None:
    # What the tests before this one have queued may still be on its way.
    block_until(lambda: is_idle(machine), "an idle daemon")
    before = machine.status()["queue"]["counters"]["total_processed"]
    good = json.dumps({"node_type": "NPMPackage", "package": "left"})
    result = machine.command("submit", "--file", "-", stdin=f"{good}\n{{\n")
    assert result.returncode == 2
    assert "line 2" in result.stderr
    assert is_idle(machine)
    assert machine.status()["queue"]["counters"]["total_processed"] == before


def test_a_dead_letter_is_listed_shown_replayed_and_dropped(machine: Machine) -> None:
    machine.command("submit", "npm:not-there")

    def letters() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(machine.command("dead-letters", "list", "--json").stdout)
        return found

    block_until(letters, "a dead letter")
    [letter] = letters()
    assert letter["kind"] == "not_found"
    shown = machine.command("dead-letters", "show", letter["entry_id"])
    assert "not-there" in shown.stdout
    assert machine.command("dead-letters", "replay", letter["entry_id"]).stdout == "1 replayed\n"
    block_until(
        lambda: [each["entry_id"] for each in letters()] not in ([], [letter["entry_id"]]), "the replayed one to fail"
    )
    assert machine.command("dead-letters", "drop", "--all").stdout == "1 dropped\n"
    assert machine.command("dead-letters", "list").stdout == "no dead letters\n"
    assert machine.command("dead-letters", "show", letter["entry_id"]).returncode == 1


def test_ingest_uses_the_stores_of_the_running_daemon_and_prints_a_report(machine: Machine) -> None:
    result = machine.command("ingest", "npm:left")
    assert result.returncode == 0
    for words in ("pkg:npm/left", "2 versions", "1.1.0", "pkg:npm/right ^1", "import name", "bolt://127.0.0.1"):
        assert words in result.stdout


def test_ingest_takes_all_six_ecosystems_and_finds_the_registrys_spelling(machine: Machine) -> None:
    names = (
        "pypi:Snake",
        "npm:right",
        "maven:org.antlr:st4",
        "crates:Serde",
        "gem:redcloth",
        "pkg:nuget/newtonsoft.json",
    )
    result = machine.command("ingest", *names, "--depth", "0")
    assert (result.returncode, result.stderr) == (0, "")
    for purl in (
        "pypi/snake",
        "npm/right",
        "maven/org.antlr/ST4",
        "cargo/serde",
        "gem/RedCloth",
        "nuget/newtonsoft.json",
    ):
        assert f"pkg:{purl}\n" in result.stdout


def test_a_name_with_a_dash_stands_for_one_with_an_underscore_only_where_the_registry_says_so(machine: Machine) -> None:
    crate = machine.command("ingest", "cargo:some-crate", "--depth", "0")
    assert (crate.returncode, crate.stdout.partition("\n")[0]) == (0, "pkg:cargo/some_crate")
    gem = machine.command("ingest", "gem:some-gem", "--depth", "0")
    assert gem.returncode == 1
    assert gem.stderr.rstrip().endswith("near names: some_gem")


def test_ingest_of_a_misspelt_package_shows_the_names_that_the_registry_calls_near(machine: Machine) -> None:
    result = machine.command("ingest", "gem:edclo", "maven:org.antlr:SST4")
    assert result.returncode == 1
    lines = result.stderr.splitlines()
    assert any("gem/edclo" in line and line.endswith("near names: RedCloth") for line in lines)
    assert any("SST4" in line and line.endswith("near names: org.antlr:ST4") for line in lines)


def test_ingest_of_a_package_that_does_not_exist_says_so_in_one_line(machine: Machine) -> None:
    result = machine.command("ingest", "npm:left", "npm:not-there-either")
    assert result.returncode == 1
    [line] = [line for line in result.stderr.splitlines() if "not-there-either" in line]
    assert "does not exist" in line


def test_ingest_from_a_registry_that_cannot_be_reached_ends_in_exit_code_3(machine: Machine) -> None:
    machine.environment["SECURECHAIN_HTTP__RETRIES"] = "0"
    machine.environment["SECURECHAIN_ENDPOINTS__CRATES_INDEX"] = "http://127.0.0.1:1"
    try:
        result = machine.command("ingest", "cargo:never_asked_for", "--depth", "0")
    finally:
        del machine.environment["SECURECHAIN_HTTP__RETRIES"]
        machine.environment |= machine.server.environment()
    assert result.returncode == 3
    assert "could not be read" in result.stderr


def test_status_tells_an_idle_daemon_from_none(machine: Machine) -> None:
    [daemon] = machine.status()["daemons"]
    assert (daemon["is_up"], daemon["version"]) == (True, securechain_ingest.__version__)
    assert f"pid {daemon['pid']} ({daemon['version']}): up" in machine.command("status").stdout


def test_status_in_words_shows_no_password(machine: Machine) -> None:
    result = machine.command("status")
    secrets = json.loads((Path(machine.environment["SECURECHAIN_STATE_DIR"]) / "secrets.json").read_text())
    assert result.returncode == 0
    assert "ok" in result.stdout
    assert not any(secret in result.stdout for secret in secrets.values() if isinstance(secret, str))


def test_after_kill_9_the_next_daemon_has_all_data_and_serves_what_was_queued(tmp_path: Path) -> None:
    with serve(WORLD) as server:
        machine = Machine(tmp_path, server)
        with daemon(machine.environment) as process:
            machine.command("submit", "npm:left")
            process.wait_for("package_stored", 2)
            process.kill()
        again = DaemonProcess(machine.environment)
        try:
            again.wait_for("daemon_ready")
            assert stored(machine)["npm"] == 2
            machine.command("submit", "pypi:snake")
            again.wait_for("package_stored")
        finally:
            assert again.stop() == 0
        status = machine.command("status")
        assert status.returncode == 3


def test_packages_whose_check_is_old_are_read_again_on_schedule(tmp_path: Path) -> None:
    with serve(WORLD) as server:
        machine = Machine(tmp_path, server)
        schedule = {
            **schedules_off(but="packages_refresh"),
            "SECURECHAIN_SCHEDULES__PACKAGES_REFRESH": "* * * * * *",
            "SECURECHAIN_REFRESH__MAX_AGE_S": "0.1",
        }
        with daemon(machine.environment | schedule) as process:
            machine.command("submit", "npm:right")
            block_until(
                lambda: len([each for each in server.requests if each.target == "/right"]) >= 3, "two refreshes"
            )
            conditional = [each for each in server.requests if each.target == "/right"][1:]
            assert all(each.status == 304 for each in conditional)
            assert process.stop() == 0


def test_sigterm_while_the_stores_are_starting_stops_them_again(tmp_path: Path) -> None:
    with serve(WORLD) as server:
        machine = Machine(tmp_path, server)
        with daemon(machine.environment, ready=False) as process:
            block_until(lambda: list((tmp_path / "state").glob("*.pid")), "a server")
            assert process.stop() == 0
            assert process.events("daemon_stopped")
            if process.events("daemon_ready"):
                pytest.skip("the stores had started before the signal came")
        assert not list((tmp_path / "state").glob("*.pid"))
