"""This tests what a user sees of vulnerabilities before and after the advisories have first been read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.end_to_end.daemon_process import daemon, without_settings
from tests.end_to_end.one_graph_server import graph_target
from tests.forked_product import run
from tests.registry_server import Fault, FaultKind, World, npm, osv, serve
from tests.schedules_off import schedules_off
from tests.waiting import block_until

__all__ = ["graph_target"]

WORLD = World(
    (npm.Package("left", (npm.Version("1.0.0"), npm.Version("2.0.0"))),),
    advisories=(osv.Advisory("GHSA-1", (("npm", "left"),), fixed="2.0.0"),),
)


def command(environment: dict[str, str], *arguments: str) -> str:
    done = run(*arguments, environment=without_settings() | environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def status(environment: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(command(environment, "status", "--json"))
    return found


@pytest.mark.parametrize("seconds", ["600", "0"])
def test_ingest_reads_the_advisories_of_its_packages_first(environment: dict[str, str], seconds: str) -> None:
    with serve(WORLD) as server:
        variables = environment | server.environment() | {"SECURECHAIN_VULNERABILITIES__FIRST_SYNC_S": seconds}
        assert status(variables)["advisories"] == "unknown"
        tree = command(variables, "ingest", "npm:left")
        asked = [request.target for request in server.requests if request.endpoint == "osv"]
        found = status(variables)
    if seconds == "600":
        assert "1 known vulnerability in 1 of" in tree
        assert {target.split("/")[1] for target in asked} == {"npm"}
        assert (found["advisories"], "npm" in found["advisories_unknown"]) == (1, False)
    else:
        assert "vulnerabilities: unknown: advisories not read yet" in tree
        assert (asked, found["advisories"]) == ([], "unknown")


def test_ingest_without_advisories_says_unknown_and_ends_as_with_them(environment: dict[str, str]) -> None:
    with serve(WORLD) as server:
        server.faults.add(Fault("/npm/*", FaultKind.STATUS, times=None, status=404))
        variables = environment | server.environment()
        tree = command(variables, "ingest", "npm:left")
        words = command(variables, "status")
    assert "vulnerabilities: unknown: advisories not reachable" in tree
    assert "1 packages read, 0 failed" in tree
    assert "advisories       unknown\n" in words


def test_a_daemon_that_starts_with_none_reads_them_at_once_and_another_start_does_not(
    environment: dict[str, str],
) -> None:
    never = {"SECURECHAIN_SCHEDULES__ADVISORY_SYNC": "0 0 1 1 *"}
    with serve(WORLD) as server:
        variables = environment | server.environment() | schedules_off(but="advisory_sync") | never
        with daemon(variables) as process:
            [finished] = process.wait_for("job_finished")
            assert finished["job"] == "advisory_sync"
            block_until(lambda: status(variables)["advisories_unknown"] == [], "advisories of all ecosystems")
            assert process.stop() == 0
        server.requests.clear()
        with daemon(variables) as process:
            assert process.stop() == 0
        assert not [request for request in server.requests if request.endpoint == "osv"]


def test_what_is_vulnerable_and_where_it_is_fixed_is_shown_and_found_without_a_registry(
    environment: dict[str, str],
) -> None:
    with serve(WORLD) as server:
        command(environment | server.environment(), "ingest", "npm:left")
    report = json.loads(command(environment, "show", "npm:left", "--json"))
    [found] = report["vulnerabilities"]
    assert (report["purl"], found["ids"], found["fixed_in"]) == ("pkg:npm/left", ["GHSA-1"], ["2.0.0"])
    assert found["affected_versions"] == ["1.0.0"]
    assert [(each["name"], each["vulnerabilities"]) for each in report["versions"]] == [
        ("2.0.0", []),
        ("1.0.0", ["GHSA-1"]),
    ]
    assert json.loads(command(environment, "find", "advisory", "GHSA-1", "--json")) == ["pkg:npm/left"]
    assert json.loads(command(environment, "find", "import", "left", "--json")) == ["pkg:npm/left"]
    assert json.loads(command(environment, "show", "npm:left@2.0.0", "--json"))["vulnerabilities"] == []
    assert "fixed in 2.0.0" in command(environment, "show", "npm:left")
