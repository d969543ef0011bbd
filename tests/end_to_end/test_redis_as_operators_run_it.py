"""This tests the daemon and the commands on a Redis behind Sentinel that fails over, and on one over TLS with an ACL
user.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import redis
import trustme

from securechain_ingest.embedded.process import free_ports
from tests.chaos.contents import left_over
from tests.end_to_end.conftest import STREAM, dead_letters, settled
from tests.end_to_end.daemon_process import daemon, without_settings
from tests.end_to_end.graph_contents import PlainCypher, assert_graph_equals
from tests.end_to_end.one_graph_server import graph_target
from tests.forked_product import run
from tests.redis_servers import ACL, PASSWORD, USER, over_tls, pair, server
from tests.registry_server import Fault, FaultKind, Shape, World, generate, npm, serve
from tests.waiting import block_until

__all__ = ["graph_target"]

SHAPE = Shape(packages=12, median_versions=3, odd_share=0.0, ecosystems=("npm", "cargo"))


def command(variables: Mapping[str, str], *arguments: str) -> str:
    """Return what it prints; its exit code must be 0."""
    done = run(*arguments, environment=without_settings() | dict(variables))
    assert done.returncode == 0, done.stderr
    return done.stdout


def queued(variables: Mapping[str, str]) -> list[Any]:
    """Return what `queue list` tells."""
    found: list[Any] = json.loads(command(variables, "queue", "list", "--json"))
    return found


def submit(queue: redis.Redis, world: World) -> None:
    """Submit as a program does that wants to be sure: it waits until the replica has got it."""
    for package in world.truth().values():
        queue.xadd(STREAM, {"data": json.dumps({"node_type": package.label, "package": package.registry_name})})
    assert queue.wait(1, 60_000) == 1


def is_settled(queue: redis.Redis) -> bool:
    try:
        return settled(queue)
    except redis.RedisError:
        return False


@pytest.mark.parametrize("how", ["the master is killed", "an operator asks for it"])
def test_a_failover_in_the_midst_of_work_loses_no_message(
    how: str, environment: dict[str, str], reader: PlainCypher, tmp_path: Path
) -> None:
    world = generate(SHAPE)
    with pair(tmp_path / "pair") as servers, serve(world, latency_s=0.1) as registries:
        variables = environment | registries.environment() | {"REDIS_URL": servers.url}
        variables |= {"SECURECHAIN_HTTP__TIMEOUT_S": "10"}
        # One of them does not end before the failover.
        stalled = next(package.registry_name for package in world.truth().values() if package.ecosystem == "npm")
        registries.faults.add(Fault(f"/{stalled}", FaultKind.STALL, times=None))
        with (
            redis.Redis(port=servers.first, username=USER, password=PASSWORD) as queue,
            daemon(variables) as process,
        ):
            submit(queue, world)
            process.wait_for("package_stored", 4)
            assert not settled(queue)
            fail_over = servers.kill_the_master if how == "the master is killed" else servers.fail_over
            fail_over()
            registries.faults.clear()
            with redis.Redis(port=servers.second, username=USER, password=PASSWORD, decode_responses=True) as other:
                block_until(lambda: is_settled(other), "an empty queue")
                assert dead_letters(other) == []
                assert left_over(other, STREAM) == []
                assert_graph_equals(reader, world.truth(), world.truth())
                assert queued(variables) == []
            assert process.events("handler_failed") == []
            assert process.stop() == 0


async def test_over_tls_with_an_acl_user_every_connection_is_that_users(
    environment: dict[str, str], reader: PlainCypher, tmp_path: Path
) -> None:
    """And that user may do no more than docs/redis.md says."""
    world = generate(SHAPE)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    [port] = free_ports(1)
    rights = f"~{STREAM}* +@all -@dangerous +config|get"
    lines = f"port {port}\n{ACL}\nuser narrow on >{PASSWORD} {rights}"
    with (
        server(tmp_path / "redis", lines, port, username=USER, password=PASSWORD),
        serve(world) as registries,
    ):
        async with over_tls(authority, port) as outer:
            url = f"rediss://narrow:{PASSWORD}@localhost:{outer}/0?ssl_ca_certs={tmp_path}/ca.pem"
            variables = environment | registries.environment() | {"REDIS_URL": url}
            await asyncio.to_thread(_serve_a_world, variables, port, world, reader)


def test_on_a_cluster_every_key_shares_the_slot_of_a_stream_with_a_hash_tag(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """A node of a cluster refuses a script or a transaction whose keys lie in several slots."""
    stream = f"{{{STREAM}}}"
    world = World(
        (
            npm.Package("app", (npm.Version("1.0.0", (npm.need("lib", "^1"), npm.need("none", "^1"))),)),
            npm.Package("lib", (npm.Version("1.0.0"), npm.Version("1.1.0"))),
        )
    )
    # The port of the cluster's own bus is 10,000 higher otherwise, where the kernel numbers outgoing connections.
    port, bus = free_ports(2)
    with (
        server(tmp_path / "redis", f"port {port}\ncluster-enabled yes\ncluster-port {bus}", port),
        serve(world) as registries,
        redis.Redis(port=port, decode_responses=True) as queue,
    ):
        queue.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16_383)
        block_until(lambda: queue.execute_command("CLUSTER INFO")["cluster_state"] == "ok", "a cluster")
        variables = (
            environment
            | registries.environment()
            | {
                "REDIS_URL": f"redis://127.0.0.1:{port}",
                "SECURECHAIN_QUEUE__STREAM": stream,
                "SECURECHAIN_PACKAGES__DEPTH": "2",
            }
        )
        registries.faults.add(Fault("/lib", FaultKind.STATUS, times=1, status=500))
        with daemon(variables) as process:
            command(variables, "submit", "--wait", "npm:app")
            process.wait_for("package_stored", 2)
            block_until(lambda: queued(variables) == [], "an empty queue: what npm:app requires is asked for, too")
            command(variables, "pause", "npm")
            command(variables, "submit", "--refresh", "npm:app", "npm:lib")
            block_until(lambda: len(queued(variables)) == 2, "two that wait")
            command(variables, "queue", "cancel", "npm:lib")
            command(variables, "resume", "npm")
            jobs = {"npm_package_ingestion", "npm_packages_updates", "advisory_sync"}
            for job in jobs:
                command(variables, "schedules", "run", job)
            block_until(lambda: _succeeded(variables) >= jobs, "the runs")
            queue.xadd(stream, {"data": "no JSON"})
            block_until(lambda: queue.exists(f"{stream}-dlq"), "a dead letter")
            assert json.loads(command(variables, "status", "--json"))
            assert process.stop() == 0
        names = queue.keys("*")
        assert any("import_names" in name for name in names), names
        assert [name for name in names if not name.startswith(stream)] == []


def _succeeded(variables: dict[str, str]) -> set[str]:
    runs = json.loads(command(variables, "runs", "list", "--json"))
    return {run["job"] for run in runs if run["outcome"] == "succeeded"}


def test_a_redis_that_would_drop_messages_ends_the_daemon_with_one_line(
    environment: dict[str, str], tmp_path: Path
) -> None:
    [port] = free_ports(1)
    with server(tmp_path / "redis", f"port {port}\nmaxmemory-policy allkeys-lru", port):
        done = run("run", environment=without_settings() | environment | {"REDIS_URL": f"redis://127.0.0.1:{port}"})
    assert done.returncode == 2
    [line] = done.stderr.strip().splitlines()
    assert "maxmemory-policy noeviction" in line


def _serve_a_world(variables: dict[str, str], port: int, world: World, reader: PlainCypher) -> None:
    names = [f"{package.ecosystem}:{package.registry_name}" for package in world.truth().values()]
    with (
        redis.Redis(port=port, username=USER, password=PASSWORD, decode_responses=True) as queue,
        daemon(variables) as process,
    ):
        command(variables, "submit", "--wait", *names)
        assert json.loads(command(variables, "status", "--json"))
        block_until(lambda: queued(variables) == [], "an empty queue: what they require is asked for, too")
        command(variables, "pause", "npm")
        command(variables, "resume", "npm")
        connections: Any = queue.client_list()
        assert {each["user"] for each in connections} == {USER, "narrow"}
        assert sum(each["user"] == USER for each in connections) == 1, "the test's own"
        assert left_over(queue, STREAM) == []
        assert process.events("leases_not_renewed") == []
        assert process.stop() == 0
    assert_graph_equals(reader, world.truth(), world.truth())
