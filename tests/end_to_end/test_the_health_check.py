"""The image's own health check is run against a real daemon: one that is stopped is unhealthy, one without its graph
is not.
"""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
import redis
from prometheus_client.parser import text_string_to_metric_families

from tests.end_to_end.conftest import STREAM, wait_until_settled
from tests.end_to_end.cut_store import cut_store
from tests.end_to_end.daemon_process import daemon, without_settings
from tests.end_to_end.one_graph_server import graph_target
from tests.end_to_end.test_the_page import free_port
from tests.forked_product import SCRIPT, run
from tests.registry_server import Shape, generate, serve
from tests.stores import GraphTarget
from tests.waiting import PATIENCE_S, block_until

__all__ = ["graph_target"]

DOCKERFILE = Path(__file__).resolve().parents[2] / "Dockerfile"
MADE = generate(Shape(packages=4, seed=3, median_versions=3))


def check(variables: Mapping[str, str]) -> int:
    """Return the exit code of the command that the image runs; Docker takes every other than 0 as a failure."""
    [command] = re.findall(r"^HEALTHCHECK .*CMD (\[.*\])$", DOCKERFILE.read_text(), re.MULTILINE)
    program, *arguments = json.loads(command)
    assert program == SCRIPT.name
    done = run(*arguments, environment=without_settings() | dict(variables))
    # pytest shows it with a failure.
    print("the health check ended with", done.returncode, done.stderr)
    return done.returncode


@pytest.mark.parametrize("has_page", [True, False], ids=["by the page", "by the heartbeat"])
def test_a_stopped_daemon_is_unhealthy_and_one_whose_graph_is_away_is_not(
    has_page: bool, environment: dict[str, str], graph_target: GraphTarget, queue: redis.Redis
) -> None:
    port = free_port() if has_page else "0"
    with serve(MADE) as registries, cut_store(graph_target.uri) as graph:
        variables = environment | registries.environment() | {"GRAPH_DB_URI": graph.url, "SECURECHAIN_WEB__PORT": port}
        with daemon(variables) as process:
            block_until(lambda: check(variables) == 0, "a healthy daemon")
            graph.cut()
            for package in MADE.truth().values():
                asked = {"node_type": package.label, "package": package.registry_name}
                queue.xadd(STREAM, {"data": json.dumps(asked)})
            process.wait_for("store_unavailable")
            block_until(lambda: check(variables) == 0, "a healthy daemon without its graph")
            if has_page:
                # The answers of the stores are remembered for two seconds.
                block_until(lambda: readiness(port).status_code == 503, "a daemon that is not ready")
                said = readiness(port).json()
                assert (said["stores"]["graph"]["ok"], "ages_s" in said) == (False, True)
            process.send(signal.SIGSTOP)
            block_until(lambda: check(variables) != 0, "an unhealthy daemon")
            process.send(signal.SIGCONT)
            graph.mend()
            block_until(lambda: check(variables) == 0, "a healthy daemon")
            wait_until_settled(queue)
            assert process.stop() == 0


GROWING = {
    "securechain_requests_total",
    "securechain_request_duration_seconds_count",
    "securechain_received_bytes_total",
    "securechain_messages_total",
    "securechain_message_duration_seconds_count",
    "securechain_parse_duration_seconds_count",
    "securechain_graph_duration_seconds_count",
    "securechain_graph_batch_packages_count",
    "securechain_event_loop_lag_seconds_count",
    "securechain_process_cpu_seconds_total",
}


def readiness(port: str) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=PATIENCE_S)


def test_a_daemon_that_works_counts_and_times_what_it_does(environment: dict[str, str], queue: redis.Redis) -> None:
    port = free_port()
    with serve(MADE) as registries:
        variables = environment | registries.environment() | {"SECURECHAIN_WEB__PORT": port}
        with daemon(variables):
            before = figures(port)

            def grown() -> set[str]:
                return {name for name, value in figures(port).items() if value > before.get(name, 0)}

            for package in MADE.truth().values():
                asked = {"node_type": package.label, "package": package.registry_name}
                queue.xadd(STREAM, {"data": json.dumps(asked)})
            queue.xadd(STREAM, {"data": "not JSON"})
            wait_until_settled(queue)
            # The figures of the stores are remembered for two seconds.
            block_until(lambda: figures(port)["securechain_dead_letters"] == 1, "the dead letter in the figures")
            block_until(lambda: grown() >= GROWING, lambda: f"growth of {GROWING - grown()}")
            after = figures(port)
    assert before["securechain_dead_letters"] == 0
    assert after["securechain_daemons"] == 1
    assert after["securechain_stuck"] == 0
    assert after["securechain_endpoint_requests_per_second"] > 0


def figures(port: str) -> dict[str, float]:
    """Return the sum of every series by its name, once all stores have answered in time: they are all up here."""

    def whole() -> dict[str, float] | None:
        sums = _figures(port)
        return sums if sums["securechain_store_up"] == 3 and "securechain_dead_letters" in sums else None

    found = block_until(whole, "the figures of all stores")
    assert found is not None
    return found


def _figures(port: str) -> dict[str, float]:
    sums: dict[str, float] = {}
    answer = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE_S)
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
    return sums
