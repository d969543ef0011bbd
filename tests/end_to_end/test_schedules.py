"""This tests the jobs as a user meets them: by the clock with several daemons, and from the command line."""

from __future__ import annotations

import json
import subprocess
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import SOON_LEFT
from tests.end_to_end.daemon_process import DaemonProcess, daemon, without_settings
from tests.end_to_end.graph_contents import PlainCypher
from tests.end_to_end.one_graph_server import graph_target
from tests.forked_product import run
from tests.registry_server import World, npm, serve
from tests.schedules_off import schedules_off
from tests.waiting import block_until

__all__ = ["graph_target"]

NAMES = [f"package-{number}" for number in range(12)]
WORLD = World(tuple(npm.Package(name, (npm.Version("1.0.0"), npm.Version("1.1.0"))) for name in NAMES))


class CommandLine:
    """These are the commands, with the configuration of the daemons."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = without_settings() | environment

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """Return what it prints; one that leaves with another code has failed."""
        done = self._done(*arguments)
        assert done.returncode == code, done.stderr
        return done.stdout or done.stderr

    def _done(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run(*arguments, environment=self._environment)

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json"))

    def run_of(self, process: DaemonProcess, job: str, *options: str) -> dict[str, Any]:
        """Return the record of a run that is asked for now, once the packages that it has queued are settled."""
        run_id = self("schedules", "run", job, *options).strip()
        block_until(lambda: run_id in {event["run"] for event in process.events("job_finished")}, f"run {run_id}")
        # A record reaches MongoDB up to a second after the run's end, and more on a slow machine.
        return block_until(lambda: self._settled(run_id), f"its record and its packages ({run_id})")

    def _settled(self, run_id: str) -> dict[str, Any]:
        """Return the record of a run if that is there and final, or else nothing."""
        done = self._done("runs", "show", run_id, "--json")
        record: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {}
        return record if record.get("settled") else {}


def test_three_daemons_run_a_job_once_at_each_time_and_never_twice_at_once(
    environment: dict[str, str], tmp_path: Path
) -> None:
    job = "npm_packages_updates"
    every_second = {f"SECURECHAIN_SCHEDULES__{job.upper()}": "* * * * * *"}
    with serve(WORLD) as server, ExitStack() as stack:
        variables = environment | SOON_LEFT | server.environment() | schedules_off(but=job) | every_second
        command = CommandLine(variables)

        def recorded() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = command.json("runs", "list", "--job", job, "--limit", "1000")
            return found

        daemons = [
            stack.enter_context(daemon(variables | {"SECURECHAIN_STATE_DIR": str(tmp_path / name)}, ready=False))
            for name in ("first", "second", "third")
        ]
        for process in daemons:
            process.wait_for("daemon_ready")
        block_until(lambda: sum(len(process.events("job_finished")) for process in daemons) >= 4, "four runs")
        # Whoever it is that runs most of them, the others go on without it.
        busiest = max(daemons, key=lambda process: len(process.events("job_finished")))
        busiest.kill()
        rest = [process for process in daemons if process is not busiest]
        before = sum(len(process.events("job_finished")) for process in rest)
        block_until(
            lambda: sum(len(process.events("job_finished")) for process in rest) >= before + 3, "runs of the others"
        )
        block_until(lambda: len([run for run in recorded() if run["trigger"] == "schedule"]) >= 4, "four records")
        for process in rest:
            assert process.stop() == 0
        runs = recorded()
    by_clock = [run["scheduled_for"] for run in runs if run["trigger"] == "schedule"]
    assert len(set(by_clock)) == len(by_clock) >= 4
    # A run may be over within a millisecond, and the next one may start in it.
    times = sorted((run["started_at"], run["ended_at"] or "") for run in runs)
    for (_, ended_at), (next_started_at, _) in pairwise(times):
        assert ended_at <= next_started_at


def test_a_job_is_run_switched_and_looked_at_from_the_command_line(
    environment: dict[str, str], reader: PlainCypher
) -> None:
    job = "npm_package_ingestion"
    never = {f"SECURECHAIN_SCHEDULES__{job.upper()}": "0 0 1 1 *"}
    with serve(WORLD) as server:
        variables = environment | server.environment() | never
        command = CommandLine(variables)
        with daemon(variables) as process:
            assert command("runs", "list") == "no runs yet\n"
            record = command.run_of(process, job)
            assert (record["job"], record["trigger"], record["outcome"]) == (job, "command", "succeeded")
            assert record["metrics"] == {
                "total_in_registry": len(NAMES),
                "names_listed": len(NAMES),
                "names_compared": len(NAMES),
                "skipped_existing": 0,
                "queued": len(NAMES),
                "packages_processed": len(NAMES),
                "new_packages_ingested": len(NAMES),
                "total_versions": 2 * len(NAMES),
                "errors": 0,
                "success_rate": 100,
                "ingestion_rate": 100,
            }
            assert record["requests"] >= 1
            assert record["received_bytes"] > 0
            assert reader.count("MATCH (p:NPMPackage) RETURN count(p)") == len(NAMES)

            [header, line] = command("runs", "list").splitlines()
            assert header.split()[:3] == ["run", "job", "started"]
            assert record["id"] in line
            assert f"new_packages_ingested {len(NAMES)}" in line
            assert f"metrics total_in_registry          {len(NAMES)}" in command("runs", "show", record["id"])

            again = command.run_of(process, job)
            assert again["metrics"]["skipped_existing"] == len(NAMES)
            assert again["metrics"]["queued"] == 0

            command("schedules", "enable", job)
            assert process.stop() == 0
        with daemon(variables):
            [row] = [row for row in command.json("schedules", "list") if row["job"] == job]
            assert (row["enabled"], row["overridden"], row["last_run"]) == (True, True, again["id"])
            assert row["next_run_at"] is not None
            assert "yes*" in command("schedules", "list")
            command("schedules", "disable", job)
            [row] = [row for row in command.json("schedules", "list") if row["job"] == job]
            assert (row["enabled"], row["next_run_at"]) == (False, None)


def test_updates_follow_the_feed_and_leave_their_cursor(environment: dict[str, str], reader: PlainCypher) -> None:
    job = "npm_packages_updates"
    with serve(WORLD) as server:
        variables = environment | server.environment()
        command = CommandLine(variables)
        with daemon(variables) as process:
            assert "no cursors yet" in command("cursors", "show")
            first = command.run_of(process, job)
            assert (first["cursor_before"], first["metrics"]["names_compared"]) == (None, len(NAMES))
            assert first["metrics"]["changes_read"] >= 1, "those since the list's head, in the same run"
            second = command.run_of(process, job)
            assert second["cursor_before"] == first["cursor_after"]
            assert second["metrics"]["changes_read"] == 0
            assert "names_compared" not in second["metrics"]
            third = command.run_of(process, job, "--reconcile")
            assert third["metrics"]["names_compared"] == len(NAMES)
            assert third["cursor_after"] in command("cursors", "show")
            assert command("cursors", "reset", "npm") == "npm: forgotten\n"
            assert command.run_of(process, job)["cursor_before"] is None
    assert reader.count("MATCH (p:NPMPackage) RETURN count(p)") == 0, "updates bring nothing new"


def test_a_followed_feed_brings_a_new_version_into_the_graph_and_status_tells_how_long_that_takes(
    environment: dict[str, str], reader: PlainCypher
) -> None:
    before = npm.Package("left", (npm.Version("1.0.0"),))
    after = npm.Package("left", (npm.Version("1.0.0"), npm.Version("1.1.0")))
    with serve(World((before,))) as server:
        variables = environment | server.environment() | schedules_off() | {"SECURECHAIN_FOLLOW__NPM": "1"}
        command = CommandLine(variables)

        def fresh() -> dict[str, Any]:
            found: dict[str, Any] = command.json("status")["freshness"]["npm"]
            return found

        with daemon(variables) as process:
            command.run_of(process, "npm_package_ingestion")
            block_until(lambda: fresh()["empty_looks"], "a look that finds nothing")
            server.replace(World((after,)))
            new = "MATCH (v:Version {purl: 'pkg:npm/left@1.1.0'}) RETURN count(v)"
            block_until(lambda: reader.count(new) == 1, "the new version")
            block_until(lambda: fresh()["lag"], "its lag")
            found = fresh()
            runs = command.json("runs", "list", "--job", "npm_packages_updates")
            assert "npm lag" in command("status")
    assert (found["follow_s"], found["lag"]["versions"]) == (1, 1)
    assert all(run["metrics"].get("queued") or run["metrics"].get("names_compared") for run in runs)
    assert len(runs) <= found["empty_looks"]["count"] + 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("schedules", "run", "npm_package_updates"), "did you mean npm_packages_updates?"),
        (("schedules", "enable", "everything"), "everything is no job"),
        (("runs", "list", "--job", "nothing"), "nothing is no job"),
    ],
)
def test_a_job_that_there_is_not_is_one_line(
    environment: dict[str, str], arguments: tuple[str, ...], words: str
) -> None:
    [line] = CommandLine(environment)(*arguments, code=2).splitlines()
    assert words in line
