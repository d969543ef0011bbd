"""This tests the daemon as a process against real stores and a made registry: what goes in, what comes out, what a
crash costs.
"""

from __future__ import annotations

import json
import random
import signal
from functools import partial
from pathlib import Path

import redis

from tests.end_to_end.conftest import SOON_LEFT, STREAM, Send, dead_letters, has_stored, pending, wait_until_settled
from tests.end_to_end.daemon_process import daemon
from tests.end_to_end.graph_contents import PlainCypher, assert_graph_equals
from tests.queue_contents import messages_waiting
from tests.registry_server import Fault, FaultKind, Shape, World, generate, npm, serve
from tests.waiting import PATIENCE_S, block_until

SMALL = generate(Shape(packages=12, seed=7))
LARGER = generate(Shape(packages=40, seed=11))


def submit_all(world: World, send: Send) -> None:
    for package in world.truth().values():
        send(package.label, package.registry_name)


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


def test_a_daemon_killed_at_random_loses_and_doubles_nothing(
    environment: dict[str, str], send: Send, queue: redis.Redis, reader: PlainCypher
) -> None:
    chance = random.Random(3)
    with serve(LARGER, latency_s=0.02) as server:
        variables = environment | SOON_LEFT | server.environment()
        submit_all(LARGER, send)
        for _ in range(3):
            with daemon(variables) as process:
                enough = chance.randint(3, 12)
                block_until(partial(has_stored, process, enough, queue), "some packages")
                process.kill()
        with daemon(variables) as process:
            wait_until_settled(queue)
            assert process.stop() == 0
        assert_graph_equals(reader, LARGER.truth(), LARGER.truth())
        assert queue.xlen(f"{STREAM}-dlq") == 0


def test_sigterm_in_the_middle_finishes_what_is_in_hand_and_leaves_the_rest_queued(
    environment: dict[str, str], send: Send, queue: redis.Redis, reader: PlainCypher
) -> None:
    variables = environment | {"SECURECHAIN_QUEUE__CONCURRENCY": "2", "SECURECHAIN_PACKAGES__DEPTH": "0"}
    with serve(LARGER, latency_s=0.02) as server:
        submit_all(LARGER, send)
        with daemon(variables | server.environment()) as process:
            process.wait_for("package_stored", 3)
            assert process.stop() == 0
            done = len(process.events("package_stored"))
        assert messages_waiting(queue, STREAM) == len(LARGER.truth()) - done
        assert pending(queue) == 0
        assert len(reader.packages()) == done


def test_a_second_signal_leaves_now(environment: dict[str, str], send: Send, queue: redis.Redis) -> None:
    world = World((npm.Package("stalled", (npm.Version("1.0.0"),)),))
    with serve(world) as server:
        server.faults.add(Fault("/stalled", FaultKind.STALL, times=None))
        patient = {"SECURECHAIN_DAEMON__GRACE_S": str(2 * PATIENCE_S)}
        with daemon(environment | patient | server.environment()) as process:
            send("NPMPackage", "stalled")
            block_until(lambda: server.requests or server.connections, "the request")
            process.send(signal.SIGTERM)
            process.wait_for("daemon_stopping")
            process.send(signal.SIGTERM)
            process.wait()
        assert messages_waiting(queue, STREAM) == 1


def test_what_outlasts_the_grace_period_is_handed_to_the_next_daemon(
    environment: dict[str, str], send: Send, queue: redis.Redis, reader: PlainCypher
) -> None:
    world = World((npm.Package("stalled", (npm.Version("1.0.0"),)),))
    variables = environment | {"SECURECHAIN_DAEMON__GRACE_S": "0.5", "SECURECHAIN_QUEUE__LEASE_S": "600"}
    with serve(world) as server:
        server.faults.add(Fault("/stalled", FaultKind.STALL, times=None))
        with daemon(variables | server.environment()) as process:
            send("NPMPackage", "stalled")
            block_until(lambda: server.connections, "the request")
            assert process.stop() == 0
            assert process.events("grace_period_over")
        server.faults.clear()
        with daemon(variables | server.environment()) as process:
            wait_until_settled(queue)
        assert set(reader.packages()) == {"pkg:npm/stalled"}


def test_sighup_applies_a_good_file_and_refuses_a_bad_one_while_work_goes_on(
    environment: dict[str, str], send: Send, queue: redis.Redis, reader: PlainCypher, tmp_path: Path
) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[workers]\nnpm = 3\n")
    world = World(tuple(npm.Package(name, (npm.Version("1.0.0"),)) for name in ("first", "second", "third")))
    with serve(world) as server, daemon(environment | server.environment(), "--config", str(file)) as process:
        file.write_text("[workers]\nnpm = 9\n[daemon]\nlog_level = 'debug'\n[graph]\nwriters = 3\n")
        process.send(signal.SIGHUP)
        [reloaded] = process.wait_for("config_reloaded")
        assert reloaded["changed"] == {"workers.npm": "3 -> 9", "daemon.log_level": "info -> debug"}
        assert reloaded["needs_restart"] == ["graph.writers"]
        send("NPMPackage", "first")
        process.wait_for("package_stored")
        file.write_text("[workers]\nnpm = 'many'\n")
        process.send(signal.SIGHUP)
        [rejected] = process.wait_for("config_rejected")
        assert "npm" in rejected["reason"]
        send("NPMPackage", "second")
        process.wait_for("package_stored", 2)
        assert process.stop() == 0
        assert set(reader.packages()) == {"pkg:npm/first", "pkg:npm/second"}


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


def test_each_kind_of_bad_message_becomes_a_dead_letter_with_its_reason(
    environment: dict[str, str], send: Send, queue: redis.Redis
) -> None:
    with serve(World()) as server, daemon(environment | server.environment()) as process:
        queue.xadd(STREAM, {"other": "field"})
        queue.xadd(STREAM, {"data": "{"})
        queue.xadd(STREAM, {"data": "[]"})
        send("CobolPackage", "x")
        send("MavenPackage", "a:b:c")
        send("NPMPackage", "no such name")
        send("NPMPackage", "not-there")
        process.wait_for("message_dead_lettered", 7)
        letters = dead_letters(queue)
        kinds = [
            "missing_data",
            "bad_json",
            "bad_schema",
            "unknown_node_type",
            "invalid_name",
            "invalid_name",
            "not_found",
        ]
        assert sorted(letter["kind"] for letter in letters) == sorted(kinds)
        fields = {"data", "error", "kind", "attempts", "first_failed_at", "last_failed_at", "origin_id", "lane"}
        assert all(set(letter) == fields for letter in letters)
        assert next(letter for letter in letters if letter["kind"] == "bad_json")["data"] == "{"


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


def test_a_second_daemon_on_the_same_state_directory_is_refused_in_one_line(environment: dict[str, str]) -> None:
    with serve(World()) as server, daemon(environment | server.environment()):
        with daemon(environment | server.environment(), ready=False) as second:
            assert second.wait() == 2
        assert len(second.lines) == 1
        assert environment["SECURECHAIN_STATE_DIR"] in second.lines[0]


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
