"""This tests the daemon as a process against real stores and a made registry: what goes in, and what comes out."""

from __future__ import annotations

import json

import redis

from tests.end_to_end.conftest import STREAM, Send, submit_all, wait_until_settled
from tests.end_to_end.daemon_process import daemon
from tests.end_to_end.graph_contents import PlainCypher, assert_graph_equals
from tests.registry_server import Fault, FaultKind, Shape, World, generate, npm, serve
from tests.waiting import block_until

SMALL = generate(Shape(packages=12, seed=7))


def test_what_is_submitted_stands_in_the_graph_as_the_registry_has_it(
    environment: dict[str, str], send: Send, queue: redis.Redis, reader: PlainCypher
) -> None:
    with serve(SMALL) as server, daemon(environment | server.environment()) as process:
        submit_all(SMALL, send)
        wait_until_settled(queue)
        assert process.stop() == 0
        assert_graph_equals(reader, SMALL.truth(), SMALL.truth())
        assert queue.xlen(f"{STREAM}-dlq") == 0
        assert process.events("daemon_stopped")


def test_a_registry_that_is_down_for_a_while_costs_time_and_no_message(
    environment: dict[str, str], send: Send, queue: redis.Redis, reader: PlainCypher
) -> None:
    world = World((npm.Package("flaky", (npm.Version("1.0.0"),)),))
    with serve(world) as server, daemon(environment | {"SECURECHAIN_HTTP__RETRIES": "0"} | server.environment()):
        server.faults.add(Fault("/flaky", FaultKind.STATUS, times=3, status=503))
        send("NPMPackage", "flaky")
        block_until(reader.packages, "the package")
        wait_until_settled(queue)
        assert queue.xlen(f"{STREAM}-dlq") == 0


def test_one_package_asked_for_by_many_messages_is_fetched_once_and_gets_every_edge(
    environment: dict[str, str], send: Send, queue: redis.Redis, reader: PlainCypher
) -> None:
    files = [
        row["id"]
        for row in reader.rows(
            "UNWIND range(1, 20) AS n CREATE (f:RequirementFile {name: 'file' + toString(n), manager: 'NPM'})"
            " RETURN elementId(f) AS id"
        )
    ]
    world = World((npm.Package("wanted", (npm.Version("1.0.0"),)),))
    with serve(world, latency_s=0.05) as server, daemon(environment | server.environment()):
        for number, file in enumerate(files):
            send("NPMPackage", "wanted", parent_id=file, constraints=f"^{number}")
        wait_until_settled(queue)
        assert len([request for request in server.requests if request.target == "/wanted"]) == 1
        edges = reader.rows(
            "MATCH (:RequirementFile)-[r:REQUIRE]->(:NPMPackage {name: 'wanted'})"
            " RETURN r.constraints AS constraints, r.parent_version_name AS parent"
        )
        assert sorted(edge["constraints"] for edge in edges) == sorted(f"^{number}" for number in range(20))
        assert all(edge["parent"] is None for edge in edges)


def test_a_daemon_waits_for_stores_that_do_not_answer_yet(environment: dict[str, str]) -> None:
    with serve(World()) as server:
        variables = environment | server.environment() | {"REDIS_URL": "redis://127.0.0.1:1/0"}
        with daemon(variables, ready=False) as process:
            process.wait_for("store_unavailable", 2)
            assert process.stop() == 0


def test_wrong_credentials_end_the_daemon_with_one_error_that_says_what_to_mend(environment: dict[str, str]) -> None:
    with serve(World()) as server:
        variables = environment | server.environment() | {"GRAPH_DB_PASSWORD": "not-the-password"}
        with daemon(variables, ready=False) as process:
            assert process.wait() == 2
        [failed] = process.events("daemon_failed")
        assert (failed["level"], failed["kind"]) == ("error", "config")
        assert "GRAPH_DB_PASSWORD" in failed["reason"]
        assert process.lines[-1].endswith(failed["reason"]), "the command line says the same, and nothing more"
        assert [json.loads(line)["event"] for line in process.lines[:-1]] == [
            "daemon_starting",
            "stores_opened",
            "daemon_failed",
        ]
