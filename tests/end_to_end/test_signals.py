"""A daemon obeys signals: what SIGTERM finishes, leaves and hands over, and what SIGHUP applies."""

from __future__ import annotations

import signal
from pathlib import Path

import redis

from tests.end_to_end.conftest import STREAM, Send, pending, submit_all, wait_until_settled
from tests.end_to_end.daemon_process import daemon
from tests.end_to_end.graph_contents import PlainCypher
from tests.end_to_end.one_graph_server import graph_target
from tests.queue_contents import messages_waiting
from tests.registry_server import Fault, FaultKind, Shape, World, generate, npm, serve
from tests.waiting import PATIENCE_S, block_until

__all__ = ["graph_target"]

LARGER = generate(Shape(packages=40, seed=11))


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
